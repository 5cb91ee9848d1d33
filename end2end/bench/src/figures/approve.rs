//! A promotion that waits for one approval: from the click on *Approve* to its commit on the remote, again and again.
//!
//! A program asks for each promotion and a person approves it. For as long as that takes, the environment has a policy.

use super::{
    burst::once_each,
    deployment::{Deployment, PATIENCE},
};
use crate::{
    Outcome,
    clock::percentile,
    report::{Report, number},
    repository::Watch,
};

/// What the environment asks for.
const POLICY: &str = "approvals: { count: 1 }";

/// Measures `approve_to_push_p99`.
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    deployment.set_policy(POLICY).await?;
    let waited = approve(deployment).await;
    deployment.set_policy("").await?;
    let waited = waited?;
    report.value("approve_to_push_p99", percentile(&waited, 99.0));
    report.note(format!(
        "the commit comes {} s after the click on *Approve* at the median, {} s at the slowest",
        number(percentile(&waited, 50.0)),
        number(percentile(&waited, 100.0))
    ));
    Ok(())
}

/// How long each commit came after its click.
async fn approve(deployment: &mut Deployment<'_>) -> Outcome<Vec<f64>> {
    let person = deployment.server.sign_in().await?;
    let watch = Watch::start(&deployment.repository)?;
    let first = deployment.next_time().await?;
    let (mut ids, mut clicks) = (Vec::new(), Vec::new());
    for time in first..first + deployment.scale.approvals {
        let promotion = deployment.promote(time).await?;
        // Nobody approves what they didn't look at.
        let page = person.get(&format!("/promotions/{promotion}")).send().await?;
        page.error_for_status()?.bytes().await?;
        clicks.push(person.approve(&promotion).await?);
        deployment.server.idle(PATIENCE).await?;
        ids.push(promotion);
    }
    let arrivals = watch.arrivals()?;
    let times = once_each(&ids, &arrivals)?;
    let mut waited = Vec::new();
    for (id, clicked) in ids.iter().zip(&clicks) {
        let arrived = times.get(id.as_str()).ok_or("an approved promotion has no commit")?;
        if arrived < clicked {
            return Err(format!("promotion {id} was committed before it was approved").into());
        }
        waited.push(arrived - clicked);
    }
    Ok(waited)
}
