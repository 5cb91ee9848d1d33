//! Sync windows of a project: when syncs are let through, by the stand-in's clock.
//!
//! The rules are those of Argo CD: an active window that denies wins; then an active one that allows; a project that has
//! windows that allow lets nothing through while all of them are closed. `manualSync` lets people through who ask.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{app::Application, duration, options::glob};

/// The longest window that is looked for; a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A window of a project, as `spec.syncWindows` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// Whether it lets syncs through or keeps them back.
    pub kind: WindowKind,
    /// When it opens, in UTC: minute, hour, day of the month, month, day of the week, as cron has them.
    pub schedule: String,
    /// How long it stays open: `1h`, `30m`.
    pub duration: String,
    /// Globs of the names of the Applications that it is about. None here and in the two below: none at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Globs of the destination namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Globs of the destination clusters, by address or name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Whether people may sync all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual_sync: bool,
}

/// What a window does while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Syncs go through, and only while such a window is open.
    Allow,
    /// Syncs do not.
    Deny,
}

impl SyncWindow {
    /// A window about all Applications of its project.
    pub fn new(kind: WindowKind, schedule: &str, duration: &str) -> Self {
        Self {
            kind,
            schedule: schedule.to_owned(),
            duration: duration.to_owned(),
            applications: vec!["*".to_owned()],
            namespaces: Vec::new(),
            clusters: Vec::new(),
            manual_sync: false,
        }
    }

    fn is_about(&self, app: &Application) -> bool {
        let any = |globs: &[String], text: &str| globs.iter().any(|pattern| glob(pattern, text));
        let destination = &app.spec.destination;
        any(&self.applications, &app.metadata.name)
            || any(&self.namespaces, &destination.namespace)
            || any(&self.clusters, &destination.server)
            || any(&self.clusters, &destination.name)
    }

    /// Whether it has opened and not yet closed. One that cannot be read is never open.
    fn is_open(&self, now: OffsetDateTime) -> bool {
        let (Some(length), Some(schedule)) = (duration::parse(&self.duration), Cron::parse(&self.schedule)) else {
            return false;
        };
        let minute = now
            .replace_second(0)
            .and_then(|now| now.replace_nanosecond(0))
            .unwrap_or(now);
        let mut opened = minute;
        while now - opened < length.min(LONGEST) {
            if schedule.matches(opened) {
                return true;
            }
            opened -= Duration::from_secs(60);
        }
        false
    }

    /// As `/syncwindows` shows it.
    fn shown(&self) -> Value {
        json!({"kind": self.kind, "schedule": self.schedule, "duration": self.duration, "manualSync": self.manual_sync})
    }
}

/// The windows of an Application at a moment.
pub(crate) struct Windows<'a> {
    assigned: Vec<&'a SyncWindow>,
    open: Vec<&'a SyncWindow>,
}

impl<'a> Windows<'a> {
    pub(crate) fn of(all: &'a [SyncWindow], app: &Application, now: OffsetDateTime) -> Self {
        let assigned: Vec<&SyncWindow> = all.iter().filter(|window| window.is_about(app)).collect();
        let open = assigned.iter().copied().filter(|window| window.is_open(now)).collect();
        Self { assigned, open }
    }

    /// Whether a sync may start or go on.
    pub(crate) fn let_through(&self, manual: bool) -> bool {
        let of = |windows: &[&'a SyncWindow], kind| -> Vec<&'a SyncWindow> {
            windows.iter().copied().filter(|window| window.kind == kind).collect()
        };
        let allows_people = |windows: &[&SyncWindow]| manual && windows.iter().all(|window| window.manual_sync);
        let denying = of(&self.open, WindowKind::Deny);
        if !denying.is_empty() {
            return allows_people(&denying);
        }
        if !of(&self.open, WindowKind::Allow).is_empty() {
            return true;
        }
        let closed = of(&self.assigned, WindowKind::Allow);
        // Here one window that lets people through is enough.
        closed.is_empty() || (manual && closed.iter().any(|window| window.manual_sync))
    }

    /// The answer of `/syncwindows`. `canSync` is about people, as in Argo CD.
    pub(crate) fn shown(&self) -> Value {
        let list = |windows: &[&SyncWindow]| json!(windows.iter().map(|window| window.shown()).collect::<Vec<_>>());
        let mut answer = json!({"canSync": self.let_through(true)});
        for (key, windows) in [("activeWindows", &self.open), ("assignedWindows", &self.assigned)] {
            if !windows.is_empty() {
                answer[key] = list(windows);
            }
        }
        answer
    }
}

/// The five fields of a cron line, each as the values that it stands for.
struct Cron {
    minutes: Vec<u8>,
    hours: Vec<u8>,
    days: Option<Vec<u8>>,
    months: Vec<u8>,
    weekdays: Option<Vec<u8>>,
}

impl Cron {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return None;
        };
        // A star is no limit, so the other of the two days decides alone.
        let limited = |text: &str, low, high| match text {
            "*" | "?" => Some(None),
            text => field(text, low, high).map(Some),
        };
        Some(Self {
            minutes: field(minute, 0, 59)?,
            hours: field(hour, 0, 23)?,
            days: limited(day, 1, 31)?,
            months: field(month, 1, 12)?,
            weekdays: limited(weekday, 0, 7)?,
        })
    }

    fn matches(&self, at: OffsetDateTime) -> bool {
        let weekday = at.weekday().number_days_from_sunday();
        let on_day = |days: &Vec<u8>| days.contains(&at.day());
        let on_weekday = |days: &Vec<u8>| days.iter().any(|day| day % 7 == weekday);
        let day = match (&self.days, &self.weekdays) {
            (None, None) => true,
            (Some(days), None) => on_day(days),
            (None, Some(weekdays)) => on_weekday(weekdays),
            (Some(days), Some(weekdays)) => on_day(days) || on_weekday(weekdays),
        };
        day && self.minutes.contains(&at.minute())
            && self.hours.contains(&at.hour())
            && self.months.contains(&u8::from(at.month()))
    }
}

/// `*`, `5`, `1-5`, `*/15`, `0-30/10`, and lists of them.
fn field(text: &str, low: u8, high: u8) -> Option<Vec<u8>> {
    let mut values = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let one = range.parse().ok()?;
                (one, if part.contains('/') { high } else { one })
            }
        };
        if from < low || to > high || from > to {
            return None;
        }
        values.extend((from..=to).step_by(step));
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_window_opens_and_closes_on_time() {
        let open = |schedule: &str, length: &str, at| SyncWindow::new(WindowKind::Allow, schedule, length).is_open(at);
        assert!(open("0 10 * * *", "2h", datetime!(2026-09-01 10:00:01 UTC)));
        assert!(open("0 10 * * *", "2h", datetime!(2026-09-01 11:59:59 UTC)));
        assert!(!open("0 10 * * *", "2h", datetime!(2026-09-01 12:00:00 UTC)));
        assert!(!open("0 10 * * *", "2h", datetime!(2026-09-01 09:59:59 UTC)));
        assert!(
            open("0 22 * * *", "8h", datetime!(2026-09-02 05:00 UTC)),
            "over midnight"
        );
        // 2026-09-01 is a Tuesday.
        assert!(open("*/15 9-17 * * 1-5", "5m", datetime!(2026-09-01 09:17 UTC)));
        assert!(!open("*/15 9-17 * * 6,7", "5m", datetime!(2026-09-01 09:17 UTC)));
        assert!(
            open("0 9 1 * 0", "1h", datetime!(2026-09-01 09:30 UTC)),
            "one of the two days is enough"
        );
        for wrong in ["* * * *", "60 * * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *"] {
            assert!(!open(wrong, "1h", datetime!(2026-09-01 09:30 UTC)), "{wrong}");
        }
    }

    #[test]
    fn a_denial_wins_and_people_may_be_let_through() {
        let now = datetime!(2026-09-01 12:00:30 UTC);
        let app = Application::default();
        let window = |kind, hour: u8, manual_sync| SyncWindow {
            manual_sync,
            ..SyncWindow::new(kind, &format!("0 {hour} * * *"), "1h")
        };
        let through = |windows: &[SyncWindow]| {
            let windows = Windows::of(windows, &app, now);
            (windows.let_through(false), windows.let_through(true))
        };
        let (allow, deny) = (WindowKind::Allow, WindowKind::Deny);
        assert_eq!(through(&[]), (true, true));
        assert_eq!(
            through(&[window(deny, 12, false), window(allow, 12, false)]),
            (false, false)
        );
        assert_eq!(through(&[window(deny, 12, true)]), (false, true));
        assert_eq!(through(&[window(deny, 20, false)]), (true, true));
        assert_eq!(through(&[window(allow, 20, false)]), (false, false));
        assert_eq!(through(&[window(allow, 20, true)]), (false, true));
        assert_eq!(
            through(&[window(allow, 20, false), window(allow, 12, false)]),
            (true, true)
        );
    }
}
