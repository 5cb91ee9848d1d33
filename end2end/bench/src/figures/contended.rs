//! Promotions while somebody else pushes to the same branch without pause: how long the slowest wait, and that none is lost.

use super::{
    burst::once_each,
    deployment::{Deployment, PATIENCE},
};
use crate::{
    Outcome,
    clock::percentile,
    report::{Report, number},
    repository::{Outsider, Watch},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// So many promotions are asked for at once.
const TOGETHER: usize = 20;
/// From one such to the next. Were promotions asked for one by one at the same pace, a quick server would never leave the outside writer
/// the time for a push: nobody would be in anybody's way.
const PACE: Duration = Duration::from_secs(1);

/// Measures `contended_p99`.
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    let directory = deployment.ground.root().join("contender");
    std::fs::create_dir_all(&directory)?;
    let mut outsider = Outsider::new(&deployment.url, directory.join("clone.git"))?;
    let watch = Watch::start(&deployment.repository)?;
    let stop = Arc::new(AtomicBool::new(false));
    let contender = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || -> Outcome<(usize, usize)> {
            let (mut won, mut lost) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let commit = outsider.prepare()?;
                if outsider.push(&commit)? { won += 1 } else { lost += 1 }
            }
            Ok((won, lost))
        }
    });
    let asked = ask(deployment).await;
    let ended = deployment.server.idle(PATIENCE).await;
    stop.store(true, Ordering::Relaxed);
    let outsiders = contender.join().map_err(|_| "the outside writer broke")?;
    let ids = asked?;
    ended?;
    let (won, lost) = outsiders?;
    let arrivals = watch.arrivals()?;
    let times = once_each(&ids, &arrivals)?;
    let mut waited = Vec::new();
    for id in &ids {
        let recorded = deployment.server.database.recorded_at(id).await?;
        waited.extend(times.get(id.as_str()).map(|at| at - recorded));
    }
    report.value("contended_p99", percentile(&waited, 99.0));
    report.note(format!(
        "{} promotions against an outside writer who pushed {won} times and was rejected {lost} times: median {} s, slowest {} s; each has exactly one commit",
        ids.len(),
        number(percentile(&waited, 50.0)),
        number(percentile(&waited, 100.0))
    ));
    Ok(())
}

async fn ask(deployment: &Deployment<'_>) -> Outcome<Vec<String>> {
    // Asking does not wait for an answer: each promotion comes at its time.
    let requests = (0..deployment.scale.contended).map(|n| async move {
        tokio::time::sleep(PACE * u32::try_from(n / TOGETHER)?).await;
        deployment.promote_contended(n).await
    });
    futures::future::try_join_all(requests).await
}
