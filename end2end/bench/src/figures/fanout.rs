//! One new artifact with many followers: from the registry's notification until all of them are committed.

use super::deployment::{Deployment, PATIENCE};
use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    repository::Watch,
};
use std::time::Duration;

/// Measures `fanout_1000`.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    let followers = deployment.scale.fanout;
    let (mut seconds, mut pushes) = (Vec::new(), Vec::new());
    for _ in 0..deployment.scale.bursts {
        let watch = Watch::start(&deployment.repository)?;
        let before = deployment.ground.git.pushes();
        let (sent, digest) = deployment.publish(true).await?;
        let query = format!("SELECT COUNT(*) FROM promotions WHERE digest = '{digest}' AND ended_at IS NOT NULL");
        while deployment.server.database.number(&query).await? <= i64::try_from(followers)? {
            if now() - sent > PATIENCE.as_secs_f64() {
                return Err("the followers were not promoted in time".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let arrivals = watch.arrivals()?;
        let theirs: Vec<f64> = arrivals
            .iter()
            .filter(|a| a.digest == digest && !a.source.is_empty())
            .map(|a| a.at)
            .collect();
        if theirs.len() != followers {
            return Err(format!("{} of {followers} followers have a commit", theirs.len()).into());
        }
        seconds.push(theirs.iter().fold(sent, |last, at| last.max(*at)) - sent);
        pushes.push((deployment.ground.git.pushes() - before) as f64);
    }
    report.value("fanout_1000", median(&seconds));
    report.note(format!(
        "a fan-out to {followers} followers takes {} pushes",
        number(median(&pushes))
    ));
    Ok(())
}
