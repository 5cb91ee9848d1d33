//! Many promotions of one repository that are recorded at once: how fast they are all on the remote, and in how many pushes.
//!
//! They are written into the database in one transaction; the worker is woken by one more promotion, asked for as people do.

use super::deployment::{Deployment, PATIENCE};
use crate::{
    Outcome,
    clock::median,
    report::{Report, number},
    repository::{Arrival, Watch},
};
use std::collections::HashMap;

/// Measures `burst_1000_per_second` and `burst_1000_pushes`.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    let count = deployment.scale.burst;
    let (mut rates, mut pushes, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for time in 0..deployment.scale.bursts {
        let watch = Watch::start(&deployment.repository)?;
        let before = deployment.ground.git.pushes();
        let (recorded, ids) = deployment.record_burst(count).await?;
        let waker = deployment.promote(100 + time).await;
        deployment.server.idle(PATIENCE).await?;
        // It may have nothing to do, where an earlier figure was left out.
        waker.map(drop).or_else(|error| {
            if error.to_string().contains("nothing to promote") {
                Ok(())
            } else {
                Err(error)
            }
        })?;
        let arrivals = watch.arrivals()?;
        let arrivals = once_each(&ids, &arrivals)?;
        let last = ids
            .iter()
            .filter_map(|id| arrivals.get(id.as_str()))
            .fold(recorded, |last, at| last.max(*at));
        rates.push(count as f64 / (last - recorded));
        seconds.push(last - recorded);
        pushes.push((deployment.ground.git.pushes() - before) as f64);
    }
    report.value("burst_1000_per_second", median(&rates));
    report.value("burst_1000_pushes", median(&pushes));
    report.note(format!(
        "a burst of {count} over 19 of 20 values files takes {} s",
        number(median(&seconds))
    ));
    Ok(())
}

/// When each promotion's commit came; an error when one is lost or doubled.
pub(crate) fn once_each<'a>(ids: &[String], arrivals: &'a [Arrival]) -> Outcome<HashMap<&'a str, f64>> {
    let mut times = HashMap::new();
    for arrival in arrivals.iter().filter(|a| !a.promotion.is_empty()) {
        if times.insert(arrival.promotion.as_str(), arrival.at).is_some() {
            return Err(format!("promotion {} was committed twice", arrival.promotion).into());
        }
    }
    let lost = ids.iter().filter(|id| !times.contains_key(id.as_str())).count();
    if lost > 0 {
        return Err(format!("{lost} of {} promotions have no commit", ids.len()).into());
    }
    Ok(times)
}
