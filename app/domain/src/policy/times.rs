//! Times by the clock on the wall, as a freeze has them: read strictly, written as they are read.

use crate::text::{from_text, wrong};
use std::{fmt, str::FromStr};

/// Minutes of a week.
const WEEK_MINUTES: u32 = 7 * 24 * 60;

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A time of every week, by the clock on the wall: `friday 17:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WeekTime {
    /// Minutes since Monday 00:00, below 10,080.
    pub minute: u32,
}

impl WeekTime {
    /// Minutes from this time of the week to `later`, once around when that is earlier in the week.
    #[must_use]
    pub fn minutes_to(self, later: Self) -> u32 {
        (later.minute + WEEK_MINUTES - self.minute) % WEEK_MINUTES
    }
}

impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, minute) = (self.minute / 1440, self.minute % 1440);
        let day = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"");
        write!(f, "{day} {:02}:{:02}", minute / 60, minute % 60)
    }
}

impl FromStr for WeekTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let why = || wrong(text, "a day and a time of it", "friday 17:00");
        let (day, time) = text.trim().split_once(' ').ok_or_else(why)?;
        let day = DAYS
            .iter()
            .position(|name| *name == day.to_ascii_lowercase())
            .and_then(|day| u32::try_from(day).ok())
            .ok_or_else(why)?;
        let minute = minute_of_day(time.trim()).ok_or_else(why)?;
        Ok(Self {
            minute: day * 1440 + minute,
        })
    }
}

/// A date and time, by the clock on the wall: `2026-12-24 18:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DateTime {
    /// The year, from 1970.
    pub year: i16,
    /// The month, from 1 to 12.
    pub month: i8,
    /// The day, from 1; at most 31. Whether the month has it is checked with the time zone.
    pub day: i8,
    /// Minutes since 00:00, below 1,440.
    pub minute: u32,
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            minute,
        } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
    }
}

impl FromStr for DateTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let why = || wrong(text, "a date and a time", "2026-12-24 18:00");
        let (date, time) = text.trim().split_once([' ', 'T']).ok_or_else(why)?;
        let mut parts = date.split('-');
        let mut next = |digits: usize| parts.next().filter(|part| part.len() == digits && part.is_ascii());
        let year = next(4).and_then(|part| part.parse().ok()).ok_or_else(why)?;
        let month = next(2).and_then(|part| part.parse().ok()).ok_or_else(why)?;
        let day = next(2).and_then(|part| part.parse().ok()).ok_or_else(why)?;
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1970;
        let minute = minute_of_day(time.trim()).filter(|_| in_range && parts.next().is_none());
        Ok(Self {
            year,
            month,
            day,
            minute: minute.ok_or_else(why)?,
        })
    }
}

fn minute_of_day(time: &str) -> Option<u32> {
    let (hour, minute) = time.split_once(':')?;
    let part = |part: &str, below: u32| -> Option<u32> {
        let is_it = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n| is_it && *n < below)
    };
    Some(part(hour, 24)? * 60 + part(minute, 60)?)
}

from_text!(WeekTime);
from_text!(DateTime);
