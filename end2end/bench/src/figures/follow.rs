//! A new artifact and one who follows it: from the registry's notification to the follower's commit, again and again.
//!
//! The artifact is deployed where its image is tracked, which is a commit; the follower's commit comes behind that one.

use super::deployment::{Deployment, PATIENCE};
use crate::{
    Outcome,
    clock::percentile,
    report::{Report, number},
    repository::Watch,
};
use std::time::Duration;

/// Measures `follow_p99`.
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    let watch = Watch::start(&deployment.repository)?;
    let mut sent = Vec::new();
    for _ in 0..deployment.scale.follows {
        let news = deployment.publish(false).await?;
        both(deployment, &news.1).await?;
        sent.push(news);
    }
    let arrivals = watch.arrivals()?;
    let mut waited = Vec::new();
    for (at, digest) in &sent {
        // Who follows names its source; the deployment of the image itself has none.
        let follower = arrivals.iter().find(|a| a.digest == *digest && !a.source.is_empty());
        waited.push(follower.ok_or("a follower has no commit")?.at - at);
    }
    report.value("follow_p99", percentile(&waited, 99.0));
    report.note(format!(
        "a follower's commit comes {} s after the notification at the median, {} s at the slowest",
        number(percentile(&waited, 50.0)),
        number(percentile(&waited, 100.0))
    ));
    Ok(())
}

/// Waits until the deployment and the follower's promotion have ended.
async fn both(deployment: &Deployment<'_>, digest: &str) -> Outcome<()> {
    let query = format!("SELECT COUNT(*) FROM promotions WHERE digest = '{digest}' AND ended_at IS NOT NULL");
    let look = async {
        while deployment.server.database.number(&query).await? < 2 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .map_err(|_| "a follower was not promoted in time")?
}
