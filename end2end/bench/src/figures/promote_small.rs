//! One promotion on a warm server, beside what Git itself needs for a push, and beside the script people use.
//!
//! The three take turns, so that whatever else the machine does hits all of them. All clocks stop when the branch on the
//! remote has the commit.

use super::deployment::{Deployment, PATIENCE, environment, service};
use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    repository::{Outsider, Watch, script},
};

/// Measures `promote_warm_vs_floor` and `promote_vs_script_small`.
pub(crate) async fn measure(deployment: &mut Deployment<'_>, report: &mut Report) -> Outcome<()> {
    let directory = deployment.ground.root().join("people");
    std::fs::create_dir_all(&directory)?;
    let mut outsider = Outsider::new(&deployment.url, directory.join("floor.git"))?;
    let watch = Watch::start(&deployment.repository)?;
    let (mut ours, mut floor, mut whole, mut scripts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for time in 0..deployment.scale.singles {
        let moves = watch.moves();
        let promotion = deployment.promote(time + 1).await?;
        let arrived = watch.moved(moves, PATIENCE).await?;
        ours.push(arrived - deployment.server.database.recorded_at(&promotion).await?);
        deployment.server.idle(PATIENCE).await?;

        let commit = outsider.prepare()?;
        let (moves, began) = (watch.moves(), now());
        if !outsider.push(&commit)? {
            return Err("the push of a ready commit was rejected".into());
        }
        whole.push(now() - began);
        floor.push(watch.moved(moves, PATIENCE).await? - began);

        let (moves, began) = (watch.moves(), now());
        let digest = deployment.some_digest(time + 1).to_owned();
        script(&deployment.url, &directory, &environment(5), &service(180), &digest)?;
        scripts.push(watch.moved(moves, PATIENCE).await? - began);
    }
    let (ours, floor, whole, scripts) = (median(&ours), median(&floor), median(&whole), median(&scripts));
    report.value("promote_warm_vs_floor", ours / floor);
    report.value("promote_vs_script_small", ours / scripts);
    report.note(format!(
        "20 environments × 200 services: a promotion takes {} s from recorded to on the remote, `git push` {} s to the same moment ({} s until the command ends), the script {} s",
        number(ours),
        number(floor),
        number(whole),
        number(scripts)
    ));
    Ok(())
}
