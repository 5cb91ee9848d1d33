//! What limits a copy, and a look at an image.

use super::super::Timeouts;
use std::time::Duration;

/// What limits a copy, and a look at an image. The defaults are those of a server; tests take others.
#[derive(Clone, Copy, Debug)]
pub struct CopySettings {
    /// For requests that aren't blobs: manifests, lists, the head of an answer.
    pub timeouts: Timeouts,
    /// How long a blob may stand still.
    pub stall: Duration,
    /// How long a registry may take to answer after the last byte of a blob.
    pub answer: Duration,
    /// Bytes a second below which a blob is given up.
    pub floor: u64,
    /// The time over which those are counted.
    pub floor_window: Duration,
    /// Blobs that one copy sends at the same time.
    pub streams: usize,
    /// Small blobs that it sends besides: what they take is waiting for answers.
    pub small_streams: usize,
    /// Blobs that all copies of the process send from or to one host at the same time.
    pub streams_per_host: usize,
    /// Bytes of all blobs of an image.
    pub most_bytes: u64,
    /// What the pauses between tries (1, 2, 4, … seconds) are multiplied by.
    pub pause_scale: f64,
    /// The shortest time between two requests to one host by all looks of the process that have time.
    pub look_interval: Duration,
}

impl Default for CopySettings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                total: Duration::from_secs(30),
            },
            stall: Duration::from_secs(60),
            answer: Duration::from_secs(600),
            floor: 50 * 1024,
            floor_window: Duration::from_secs(120),
            streams: 4,
            small_streams: 8,
            streams_per_host: 8,
            most_bytes: 50 * 1024 * 1024 * 1024,
            pause_scale: 1.0,
            look_interval: Duration::from_secs(1),
        }
    }
}
