//! A distance between a client and a registry: each byte arrives a while after it was sent, in both directions.
//!
//! A connection costs a round trip before its first byte arrives, as TCP's does. The width of the line is not limited: bytes follow each other
//! as fast as they can be written. There are no lost packets and no slow start. Timers of this runtime are a millisecond late at most.

use crate::Outcome;
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

const CHUNK: usize = 64 * 1024;
/// Chunks under way in one direction: more than the fastest registry here sends within the delay.
const UNDER_WAY: usize = 256;

/// A port that leads to another, far away. It closes with this value.
pub(crate) struct Distance {
    port: u16,
    listening: JoinHandle<()>,
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Distance {
    /// Puts `delay` each way between a new port and `port`.
    pub(crate) async fn to(port: u16, delay: Duration) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(join(near, port, delay));
            }
        });
        Ok(Self { port: own, listening })
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }
}

async fn join(near: TcpStream, port: u16, delay: Duration) {
    let opened = Instant::now() + 2 * delay;
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    // Nothing is to wait but for the delay.
    if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
        return;
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::join!(
        pass(near_in, far_out, delay, opened),
        pass(far_in, near_out, delay, opened)
    );
}

/// Passes bytes on when they are due, and then the end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, opened: Instant) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let reading = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = from.read(&mut chunk).await.unwrap_or_default();
            chunk.truncate(read);
            let due = Instant::now().max(opened) + delay;
            if sender.send((due, chunk)).await.is_err() || read == 0 {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            sleep_until(due).await;
            let written = match chunk.is_empty() {
                true => to.shutdown().await,
                false => to.write_all(&chunk).await,
            };
            if written.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_takes_two_round_trips_on_a_new_connection_and_one_on_a_used_one() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                stream.write_all(&byte).await.unwrap();
            }
        });
        let distance = Distance::to(port, Duration::from_millis(10)).await.unwrap();
        let mut client = TcpStream::connect(distance.host()).await.unwrap();
        for round_trips in [2, 1, 1] {
            let began = Instant::now();
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            let took = began.elapsed();
            let least = round_trips * Duration::from_millis(20) - Duration::from_millis(2);
            assert!(took >= least && took < least + Duration::from_secs(1), "{took:?}");
        }
        client.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end arrives, too");
    }
}
