//! Time as the product stores and shows it: milliseconds since the Unix epoch, UTC.

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and `millis` more (or fewer, when negative).
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }

    /// RFC 3339 in UTC with whole seconds, as `<time datetime>` and logs want it: `2026-11-20T10:04:03Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let seconds = self.0.div_euclid(1000);
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (h, m, s) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    }

    /// The same for people: `2026-11-20 10:04:03 UTC`.
    #[must_use]
    pub fn exact(self) -> String {
        self.rfc3339().replace('T', " ").replace('Z', " UTC")
    }

    /// The time of day: `10:04 UTC`.
    #[must_use]
    pub fn clock(self) -> String {
        let minute_of_day = self.0.div_euclid(60_000).rem_euclid(24 * 60);
        format!("{:02}:{:02} UTC", minute_of_day / 60, minute_of_day % 60)
    }

    /// How long before `now` this moment was, in the largest fitting unit: `just now`, `4 min ago`, `3 h ago`, `12 d ago`.
    #[must_use]
    pub fn ago(self, now: Self) -> String {
        self.while_ago(now)
            .map_or("just now".into(), |span| format!("{span} ago"))
    }

    /// How long something has lasted at `now` that began at this moment: `for a moment`, `for 4 min`.
    #[must_use]
    pub fn lasting(self, now: Self) -> String {
        self.while_ago(now)
            .map_or("for a moment".into(), |span| format!("for {span}"))
    }

    /// `None` within the last seconds.
    fn while_ago(self, now: Self) -> Option<String> {
        let seconds = now.millis_since(self) / 1000;
        match seconds {
            0..10 => None,
            10..60 => Some(format!("{seconds} s")),
            60..3600 => Some(format!("{} min", seconds / 60)),
            3600..86_400 => Some(format!("{} h", seconds / 3600)),
            _ => Some(format!("{} d", seconds / 86_400)),
        }
    }
}

/// A span in milliseconds for people: `140 ms`, `3.2 s`, `4 min 10 s`.
#[must_use]
pub fn duration(millis: i64) -> String {
    match millis {
        ..1000 => format!("{} ms", millis.max(0)),
        1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
        _ => format!("{} h {} min", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// A span in its largest unit, as people say it: `3 h`, `25 min`.
#[must_use]
pub fn span(millis: i64) -> String {
    match millis {
        ..60_000 => format!("{} s", millis.max(0) / 1000),
        60_000..3_600_000 => format!("{} min", millis / 60_000),
        3_600_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

/// Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// The browser build has no time library; this is the usual era arithmetic (400 years are 146,097 days), with the year
/// taken to begin in March so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // days from 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_right_around_leap_days_and_epochs() {
        for (millis, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00Z"),
            (1_795_169_043_123, "2026-11-20T10:04:03Z"),
        ] {
            assert_eq!(Timestamp(millis).rfc3339(), want);
        }
    }

    #[test]
    fn ages_and_durations_use_the_largest_fitting_unit() {
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(now.plus_millis(-9_999).ago(now), "just now");
        assert_eq!(now.plus_millis(-59_000).ago(now), "59 s ago");
        assert_eq!(now.plus_millis(-60_000).ago(now), "1 min ago");
        assert_eq!(now.plus_millis(-90_000_000).ago(now), "1 d ago");
        assert_eq!(now.plus_millis(5_000).ago(now), "just now");
        assert_eq!(now.plus_millis(-9_999).lasting(now), "for a moment");
        assert_eq!(now.plus_millis(-240_000).lasting(now), "for 4 min");
        assert_eq!(duration(3_240), "3.2 s");
        assert_eq!(duration(250_000), "4 min 10 s");
    }
}
