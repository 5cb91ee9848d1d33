//! Serving connections: HTTP/1 and HTTP/2 (without TLS), with limits, so that nobody takes the server away by holding connections.
//!
//! [`serve`] accepts. [`Crowd`] is who is there: it says whether one more may come, who has to leave for them, and who has kept the
//! server waiting for too long ([`life`] knows what each connection is doing). [`socket`] and [`body`] tell it. [`Limits`] has all
//! the numbers, and [`descriptors`] keeps them below what the system allows.

mod body;
mod crowd;
pub mod descriptors;
mod life;
mod socket;

pub use crowd::Crowd;

pub(super) use body::say_stalled;

use crate::{
    config::Limits,
    telemetry::{self, Refused},
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use body::{Arriving, Leaving};
use crowd::Seat;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use life::Life;
use socket::Watched;
use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

/// First pause after a connection could not be accepted; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause after a connection could not be accepted.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a connection that has to leave is waited for, before another takes its place.
const LEAVING: Duration = Duration::from_millis(100);
/// Requests that one connection of HTTP/2 may have under way, as those of one address are limited; and one of a trusted proxy, through
/// which everybody comes.
const STREAMS: u32 = 8;
const STREAMS_OF_A_PROXY: u32 = 200;
/// What HTTP/1 takes of an answer before the other side has read it, and the longest head: with more, a slow reader seems to read nothing.
const BUFFER: usize = 64 * 1024;
/// What a connection is told for which there is no room.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 5\r\n\
    connection: close\r\ncontent-length: 49\r\n\r\nToo many connections are open. Try again in 5 s.\n";

/// Serves what comes to `listener` until `stop` is cancelled, then lets requests end, for [`Limits::farewell`] at most.
///
/// It never ends by itself: a connection that can't be accepted is a passing fault, whatever the system says.
pub async fn serve(listener: TcpListener, router: Router, crowd: Arc<Crowd>, stop: CancellationToken) {
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let mut ticks = interval(tick(crowd.limits()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pause = None;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                crowd.close_overdue(Instant::now());
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                if pause.take().is_some() {
                    tracing::info!("connections are accepted again");
                }
                let life = Arc::new(Life::new(Instant::now(), stop.child_token(), cut.child_token()));
                match crowd.admit(peer.ip(), life) {
                    Ok((seat, leaving)) => {
                        if let Some(leaving) = leaving {
                            // Its descriptor is free before the next one is taken; who doesn't go in time is not waited for.
                            let _ = timeout(LEAVING, leaving.gone.cancelled()).await;
                        }
                        tasks.spawn(connection(socket, peer, router.clone(), seat, *crowd.limits()));
                    }
                    Err(reason) => refuse(&socket, reason),
                }
            }
            // Who came is gone again; the listener is well.
            Err(error) if is_theirs(&error) => {}
            Err(error) => {
                telemetry::connection_refused(Refused::Descriptors);
                if pause.is_none() {
                    tracing::error!(%error, "connections can't be accepted; trying again until they can");
                }
                let now = pause.map_or(FIRST_PAUSE, |last: Duration| (last * 2).min(LONGEST_PAUSE));
                pause = Some(now);
                // When the system has no more descriptors, whoever does nothing gives one back.
                crowd.make_room();
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(now) => crowd.close_overdue(Instant::now()),
                }
            }
        }
    }
    drop(listener);
    tasks.close();
    let watch = async {
        loop {
            ticks.tick().await;
            crowd.close_overdue(Instant::now());
        }
    };
    tokio::select! {
        () = tasks.wait() => {}
        () = watch => {}
        () = sleep(crowd.limits().farewell) => {
            tracing::warn!(connections = tasks.len(), "some connections did not end in time and are cut");
            cut.cancel();
            tasks.wait().await;
        }
    }
}

/// Whether accepting failed by the fault of who came, not of this machine.
fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Turns a connection away; that it reads why is hoped for, not waited for.
fn refuse(socket: &TcpStream, reason: Refused) {
    telemetry::connection_refused(reason);
    tracing::debug!(?reason, "a connection is refused");
    let _ = socket.try_write(NO_ROOM);
}

/// A connection from its first byte to its last.
async fn connection(socket: TcpStream, peer: SocketAddr, router: Router, seat: Seat, limits: Limits) {
    let life = Arc::clone(seat.life());
    let service = service_fn(|request: Request<Incoming>| {
        let (mut router, life) = (router.clone(), Arc::clone(&life));
        async move {
            let answering = life.begin(request.version());
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(ConnectInfo(peer));
            let body = Arriving::new(body, &limits);
            parts.extensions.insert(body.stalled());
            let request = Request::from_parts(parts, Body::new(body));
            let answer: Result<Response, Infallible> = router.call(request).await;
            answer.map(|answer| answer.map(|body| Leaving::new(body, answering)))
        }
    });
    let streams = if seat.is_trusted() { STREAMS_OF_A_PROXY } else { STREAMS };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(BUFFER);
    builder.http2().max_concurrent_streams(streams);
    let socket = TokioIo::new(Watched::new(socket, Arc::clone(&life)));
    let mut served = pin!(builder.serve_connection(socket, service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = life.cut.cancelled() => return,
            () = life.finish.cancelled(), if !is_ending => {
                is_ending = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// How often connections are looked at: often enough that no limit is missed by much.
fn tick(limits: &Limits) -> Duration {
    let shortest = limits.head.min(limits.idle).min(limits.answer);
    (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}
