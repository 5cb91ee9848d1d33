//! Sync windows: whether Argo CD lets a sync through, and when it will.
//!
//! Whether it does now is Argo CD's to say. When it will is worked out from the windows by Argo CD's own rule (`SyncWindows.CanSync` of its API
//! types): an active deny forbids; else an active allow permits; else any allow that isn't active forbids. A manual sync passes where all
//! that forbid have `manualSync`. Schedules are those of github.com/robfig/cron v3 (five fields, or `@daily` and the like).

use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// How far ahead it is looked, in minutes: two weeks.
const AHEAD: i64 = 14 * 24 * 60;
/// The longest window that is believed, in minutes.
const LONGEST: i64 = 14 * 24 * 60;
const MINUTE: i64 = 60_000;

/// An answer of `/applications/{name}/syncwindows`.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Windows {
    assigned_windows: Option<Vec<SyncWindow>>,
    pub(super) can_sync: bool,
}

/// An answer of `/projects/{name}`, as far as it is about windows.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ProjectWindows {
    spec: ProjectSpec,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ProjectSpec {
    sync_windows: Option<Vec<SyncWindow>>,
}

/// One window. An Application's are told without their time zones.
#[derive(Clone, Deserialize, Default, PartialEq, Debug)]
#[serde(default, rename_all = "camelCase")]
struct SyncWindow {
    kind: Option<String>,
    schedule: Option<String>,
    duration: Option<String>,
    manual_sync: bool,
    time_zone: Option<String>,
}

/// A window that can be calculated with.
struct Known {
    is_allow: bool,
    manual: bool,
    schedule: Schedule,
    minutes: i64,
    zone: TimeZone,
}

/// When a sync that is asked for will be let through; `None` when a window isn't understood, or none opens within two weeks.
pub(super) fn opens_at(windows: &Windows, project: &ProjectWindows, now: Timestamp) -> Option<Timestamp> {
    let zones = project.spec.sync_windows.as_deref().unwrap_or_default();
    let known: Option<Vec<Known>> = (windows.assigned_windows.as_deref().unwrap_or_default().iter())
        .map(|window| known(window, zones))
        .collect();
    first_open(&known?, now)
}

fn known(window: &SyncWindow, of_project: &[SyncWindow]) -> Option<Known> {
    let same = |other: &&SyncWindow| {
        (&other.kind, &other.schedule, &other.duration) == (&window.kind, &window.schedule, &window.duration)
    };
    let zone = window.time_zone.as_ref().filter(|zone| !zone.is_empty());
    let zone = zone.or_else(|| of_project.iter().find(same)?.time_zone.as_ref());
    let zone = match zone.map(String::as_str) {
        None | Some("") => TimeZone::UTC,
        Some(name) => TimeZone::get(name).ok()?,
    };
    Some(Known {
        is_allow: window.kind.as_deref() == Some("allow"),
        manual: window.manual_sync,
        schedule: Schedule::read(window.schedule.as_deref()?)?,
        minutes: minutes(window.duration.as_deref()?)?.min(LONGEST),
        zone,
    })
}

fn first_open(windows: &[Known], now: Timestamp) -> Option<Timestamp> {
    let this_minute = now.0.div_euclid(MINUTE);
    let begin = this_minute - windows.iter().map(|window| window.minutes).max()?;
    let mut active_until = vec![i64::MIN; windows.len()];
    for minute in begin..=this_minute + AHEAD {
        let moment = jiff::Timestamp::from_millisecond(minute * MINUTE).ok()?;
        for (window, until) in windows.iter().zip(&mut active_until) {
            if window.schedule.fires(&moment.to_zoned(window.zone.clone())) {
                *until = minute + window.minutes;
            }
        }
        if minute <= this_minute {
            continue;
        }
        let is_active = |place: usize| active_until.get(place).is_some_and(|until| minute < *until);
        let all = || windows.iter().enumerate();
        let mut denies = all()
            .filter(|(place, window)| !window.is_allow && is_active(*place))
            .peekable();
        let mut closed_allows = all()
            .filter(|(place, window)| window.is_allow && !is_active(*place))
            .peekable();
        let is_open = match (
            denies.peek(),
            all().any(|(place, window)| window.is_allow && is_active(place)),
        ) {
            (Some(_), _) => denies.all(|(_, window)| window.manual),
            (None, true) => true,
            (None, false) if closed_allows.peek().is_some() => closed_allows.all(|(_, window)| window.manual),
            (None, false) => true,
        };
        if is_open {
            return Some(Timestamp(minute * MINUTE));
        }
    }
    None
}

/// A duration as Go writes it: `1h30m`, `90m`, `24h`.
fn minutes(text: &str) -> Option<i64> {
    let (mut seconds, mut number) = (0_i64, String::new());
    for c in text.trim().chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && seconds > 0).then_some((seconds + 59) / 60)
}

/// When a window begins: a bit for each minute, hour, day, month and weekday that it may be.
#[derive(PartialEq, Debug)]
struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl Schedule {
    fn read(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return None;
        };
        let is_any = |field: &str| field.starts_with(['*', '?']);
        Some(Self {
            minutes: bits(minutes, 0, 59, &[])?,
            hours: bits(hours, 0, 23, &[])?,
            days: bits(days, 1, 31, &[])?,
            months: bits(
                months,
                1,
                12,
                &[
                    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
                ],
            )?,
            weekdays: bits(weekdays, 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"])?,
            any_day: is_any(days),
            any_weekday: is_any(weekdays),
        })
    }

    fn fires(&self, at: &jiff::Zoned) -> bool {
        let has = |bits: u64, value: i8| u32::try_from(value).is_ok_and(|value| bits & (1_u64 << value) != 0);
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        let is_day = match self.any_day || self.any_weekday {
            true => day && weekday,
            false => day || weekday,
        };
        has(self.minutes, at.minute()) && has(self.hours, at.hour()) && has(self.months, at.month()) && is_day
    }
}

/// The values of a field: `*`, `1-5`, `*/15`, `3,17`, `mon-fri`.
fn bits(field: &str, least: u32, most: u32, names: &[&str]) -> Option<u64> {
    let value = |text: &str| -> Option<u32> {
        let text = text.to_ascii_lowercase();
        let named = names.iter().position(|name| *name == text);
        let value = match named {
            Some(place) => least + u32::try_from(place).ok()?,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&value).then_some(value)
    };
    let mut all = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range {
            "*" | "?" => (least, most),
            range => match range.split_once('-') {
                Some((from, to)) => (value(from)?, value(to)?),
                // With a step, one value is where it begins.
                None => (value(range)?, if step.is_some() { most } else { value(range)? }),
            },
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        for one in (from..=to).step_by(step) {
            all |= 1_u64 << one;
        }
    }
    (all != 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2027-01-15 08:00 UTC, a Friday.
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn opens(windows: serde_json::Value, zones: serde_json::Value) -> Option<String> {
        let windows: Windows = serde_json::from_value(json!({ "assignedWindows": windows, "canSync": false })).unwrap();
        let project: ProjectWindows = serde_json::from_value(json!({ "spec": { "syncWindows": zones } })).unwrap();
        opens_at(&windows, &project, NOW).map(Timestamp::exact)
    }

    #[test]
    fn a_window_opens_when_a_deny_ends_or_an_allow_begins() {
        for (window, want) in [
            (
                json!([{"kind": "deny", "schedule": "0 6 * * *", "duration": "12h"}]),
                Some("2027-01-15 18:00:00 UTC"),
            ),
            (
                json!([{"kind": "deny", "schedule": "0 6 * * 5", "duration": "72h"}]),
                Some("2027-01-18 06:00:00 UTC"),
            ),
            (
                json!([{"kind": "allow", "schedule": "30 22 * * mon-fri", "duration": "1h30m"}]),
                Some("2027-01-15 22:30:00 UTC"),
            ),
            (
                json!([{"kind": "allow", "schedule": "0 9 1 * *", "duration": "1h"}]),
                None,
            ),
            // A deny that nobody ever leaves.
            (
                json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}]),
                None,
            ),
            // What forbids all of it lets people through.
            (
                json!([{"kind": "allow", "schedule": "0 22 * * *", "duration": "1h", "manualSync": true}]),
                Some("2027-01-15 08:01:00 UTC"),
            ),
            // A deny wins over an allow.
            (
                json!([
                    {"kind": "allow", "schedule": "0 7 * * *", "duration": "10h"},
                    {"kind": "deny", "schedule": "0 8 * * *", "duration": "90m"},
                ]),
                Some("2027-01-15 09:30:00 UTC"),
            ),
            (
                json!([{"kind": "deny", "schedule": "nonsense", "duration": "1h"}]),
                None,
            ),
        ] {
            assert_eq!(opens(window.clone(), json!(null)).as_deref(), want, "{window}");
        }
    }

    #[test]
    fn the_time_zone_is_the_projects() {
        let window = json!([{"kind": "deny", "schedule": "0 6 * * *", "duration": "12h"}]);
        let zoned = json!([{"kind": "deny", "schedule": "0 6 * * *", "duration": "12h", "timeZone": "Europe/Berlin"}]);
        assert_eq!(opens(window.clone(), zoned).as_deref(), Some("2027-01-15 17:00:00 UTC"));
        let unknown = json!([{"kind": "deny", "schedule": "0 6 * * *", "duration": "12h", "timeZone": "Mars/Olympus"}]);
        assert_eq!(opens(window, unknown), None);
    }

    #[test]
    fn schedules_and_durations_are_read_as_argo_cd_reads_them() {
        assert_eq!(minutes("1h30m"), Some(90));
        assert_eq!(minutes("30s"), Some(1));
        for odd in ["", "1", "h", "1d", "-1h", "0m"] {
            assert_eq!(minutes(odd), None, "{odd}");
        }
        assert_eq!(Schedule::read("@daily"), Schedule::read("0 0 * * *"));
        assert_eq!(
            Schedule::read("*/15 0 * * *").unwrap().minutes,
            1 | 1 << 15 | 1 << 30 | 1 << 45
        );
        for odd in [
            "",
            "* * * *",
            "60 * * * *",
            "* * * * 7",
            "*/0 * * * *",
            "a * * * *",
            "5-1 * * * *",
        ] {
            assert_eq!(Schedule::read(odd), None, "{odd}");
        }
    }
}
