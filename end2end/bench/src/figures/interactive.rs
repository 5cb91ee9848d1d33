//! The board in a browser: a script for Playwright measures it (`end2end/bench/interactive.mjs`).

use crate::{
    Outcome,
    clock::median,
    report::{Report, number},
    scale::Scale,
    world::{EMAIL, Ground, PASSWORD, Server},
};
use std::path::Path;
use tokio::process::Command;

/// Measures `board_1000x5_interactive`, where there is a browser.
pub(crate) async fn measure(
    ground: &Ground,
    scale: &Scale,
    server: &Server,
    path: &str,
    report: &mut Report,
) -> Outcome<()> {
    const NAME: &str = "board_1000x5_interactive";
    let browser = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    let missing = [
        (Path::new(&browser), "Chromium is missing; scripts/setup installs it"),
        (
            Path::new("end2end/node_modules/@playwright/test"),
            "Playwright is missing; scripts/setup installs it",
        ),
        (
            &ground.site.join("pkg"),
            "the browser side is not built; scripts/build-web builds it",
        ),
    ];
    if let Some((_, why)) = missing.iter().find(|(path, _)| !path.exists()) {
        report.skipped(NAME, why);
        return Ok(());
    }
    let output = Command::new("node")
        .arg("end2end/bench/interactive.mjs")
        .arg(format!("{}{path}", server.url()))
        .arg(scale.navigations.to_string())
        .env("BENCH_EMAIL", EMAIL)
        .env("BENCH_PASSWORD", PASSWORD)
        .env("CHROMIUM", &browser)
        .kill_on_drop(true)
        .output()
        .await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let times: Vec<f64> = printed
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    if !output.status.success() || times.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " | ");
        return Err(format!("the browser failed: {said}").into());
    }
    report.value(NAME, median(&times));
    report.note(format!(
        "in the browser the first navigation, with nothing cached, takes {} s",
        number(times.first().copied().unwrap_or_default())
    ));
    Ok(())
}
