//! The board as the server renders it: how long one takes, and how many a second.

use super::{
    estate::{Estate, Size, project},
    interactive,
};
use crate::{
    Outcome,
    clock::{median, now},
    report::{Report, number},
    scale::Scale,
    world::{Ground, Server},
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests under way at a time when counting how many a second.
const AT_ONCE: usize = 8;

/// Measures `board_1000x5_render_p50`, `board_1000x5_rps` and `board_1000x5_interactive`.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) async fn measure(ground: &Ground, scale: &Scale, report: &mut Report) -> Outcome<()> {
    let size = Size {
        projects: 1,
        services: scale.board,
        promotions: 10 * scale.board,
        argocd: true,
    };
    let estate = Estate::start(ground, "board", size).await?;
    let server = &estate.server;
    let path = format!("/w/bench/{}", project(0));
    // What Argo CD says comes in first.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    for _ in 0..3 {
        render(server, &path, "br, gzip").await?;
    }
    let (mut times, mut plain, mut alone, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), (0, 0));
    for n in 0..scale.renders {
        let began = now();
        bytes.0 = render(server, &path, "gzip, deflate, br, zstd").await?;
        times.push(now() - began);
        let began = now();
        bytes.1 = render(server, &path, "identity").await?;
        plain.push(now() - began);
        // A filter that nobody used and that leaves all rows: what the server keeps of others' pages is of no use.
        let own = format!("{path}?q={}", "%20".repeat(n + 1));
        let began = now();
        render(server, &own, "gzip, deflate, br, zstd").await?;
        alone.push(now() - began);
    }
    report.value("board_1000x5_render_p50", median(&times));
    report.note(format!(
        "the board's page has {} KB, {} KB as it is sent; without compression it takes {} s; when nobody else reads the same within a second, {} s",
        bytes.1 / 1000,
        bytes.0 / 1000,
        number(median(&plain)),
        number(median(&alone))
    ));

    let (done, began) = (AtomicUsize::new(0), now());
    let load = (0..AT_ONCE).map(|_| async {
        while now() - began < scale.load {
            render(server, &path, "gzip, deflate, br, zstd").await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::Ok(())
    });
    futures::future::try_join_all(load).await?;
    report.value(
        "board_1000x5_rps",
        done.load(Ordering::Relaxed) as f64 / (now() - began),
    );
    interactive::measure(ground, scale, server, &path, report).await
}

async fn render(server: &Server, path: &str, encodings: &str) -> Outcome<usize> {
    let request = server
        .get(path)
        .header("accept-encoding", encodings)
        .header("accept", "text/html");
    Ok(request.send().await?.error_for_status()?.bytes().await?.len())
}
