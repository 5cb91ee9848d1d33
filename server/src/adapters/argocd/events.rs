//! What Kubernetes said of a pod, as Argo CD passes it on: an `EventList` of the core group, in which times may stand in three places.

use super::{
    wire::{list, or_default, time},
    workloads::clip,
};
use domain::{
    plan::{PodEvent, illness::MOST_EVENTS},
    time::Timestamp,
};
use serde::Deserialize;

/// An answer of `/events`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Events {
    #[serde(deserialize_with = "list")]
    items: Vec<Event>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    count: u32,
    #[serde(deserialize_with = "time")]
    last_timestamp: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    event_time: Option<Timestamp>,
    #[serde(deserialize_with = "or_default")]
    series: Series,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Series {
    #[serde(deserialize_with = "or_default")]
    count: u32,
    #[serde(deserialize_with = "time")]
    last_observed_time: Option<Timestamp>,
}

impl Events {
    /// The newest, newest first.
    pub(super) fn newest(self) -> Vec<PodEvent> {
        let mut events: Vec<PodEvent> = (self.items.into_iter())
            .map(|event| PodEvent {
                reason: clip(&event.reason),
                message: clip(&event.message),
                count: event.count.max(event.series.count).max(1),
                at: [event.last_timestamp, event.series.last_observed_time, event.event_time]
                    .into_iter()
                    .flatten()
                    .max(),
            })
            .collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        events.truncate(MOST_EVENTS);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_come_first_wherever_their_time_stands() {
        let events: Events = serde_json::from_value(json!({ "metadata": {}, "items": [
            { "reason": "Pulling", "message": "Pulling image", "count": 3, "lastTimestamp": "2026-09-01T12:00:07Z" },
            { "reason": "Failed", "message": "line\none", "eventTime": "2026-09-01T12:00:09.123456Z", "lastTimestamp": null },
            null,
            { "reason": "BackOff", "series": { "count": 7, "lastObservedTime": "2026-09-01T12:00:08Z" } },
            { "reason": "Odd", "lastTimestamp": "yesterday" },
        ] }))
        .unwrap();
        let newest = events.newest();
        let told: Vec<(&str, u32)> = newest
            .iter()
            .map(|event| (event.reason.as_str(), event.count))
            .collect();
        assert_eq!(told, [("Failed", 1), ("BackOff", 7), ("Pulling", 3), ("Odd", 1)]);
        assert_eq!(newest[0].message, "line one");
        let many = Events {
            items: (0..50).map(|_| Event::default()).collect(),
        };
        assert_eq!(many.newest().len(), MOST_EVENTS);
    }
}
