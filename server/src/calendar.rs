//! Freezes by the calendar of their time zones: when one is on, when it ends, when it begins next.
//!
//! Times are those of the clock on the wall. A freeze from Friday 17:00 to Monday 09:00 begins and ends at those hours also in the
//! weeks when the clock is changed; an hour that doesn't exist then is taken an hour later, one that comes twice when it comes first.
//! The zones are built in (the IANA database of the crate `jiff`), so that every server says the same.

use domain::{
    gate::Frozen,
    policy::{DateTime, Freeze, WeekTime, When},
    time::Timestamp,
};
use jiff::{Span, civil, tz::TimeZone};

/// Whether a freeze is on at this moment.
///
/// # Errors
/// Why that can't be said, a sentence: there is no such time zone, or no such day.
pub fn frozen(freeze: &Freeze, now: Timestamp) -> Result<Frozen, String> {
    let zone = zone(&freeze.time_zone)?;
    let windows = match freeze.when {
        When::Weekly { from, to } => weekly(&zone, from, to, now)?,
        When::Dates { from, to } => vec![(moment(&zone, civil(from)?)?, moment(&zone, civil(to)?)?)],
    };
    let current = windows.iter().find(|(begins, ends)| *begins <= now && now < *ends);
    Ok(match current {
        Some((_, ends)) => Frozen::Until(*ends),
        None => Frozen::From(
            windows
                .iter()
                .map(|(begins, _)| *begins)
                .filter(|begins| *begins > now)
                .min(),
        ),
    })
}

/// Whether the calendar knows the freeze's time zone and days.
///
/// # Errors
/// The field below the freeze, and a sentence.
pub fn check(freeze: &Freeze) -> Result<(), (&'static str, String)> {
    zone(&freeze.time_zone).map_err(|why| ("timeZone", why))?;
    if let When::Dates { from, to } = freeze.when {
        civil(from).map_err(|why| ("when.dates.from", why))?;
        civil(to).map_err(|why| ("when.dates.to", why))?;
    }
    Ok(())
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("There is no time zone {name:?}. Write it like Europe/Berlin or UTC."))
}

fn civil(at: DateTime) -> Result<civil::DateTime, String> {
    let (hour, minute) = (at.minute / 60, at.minute % 60);
    let part = |n: u32| i8::try_from(n).unwrap_or(i8::MAX);
    civil::DateTime::new(at.year, at.month, at.day, part(hour), part(minute), 0, 0)
        .map_err(|_| format!("There is no {at} in the calendar."))
}

fn moment(zone: &TimeZone, at: civil::DateTime) -> Result<Timestamp, String> {
    let zoned = zone
        .to_ambiguous_zoned(at)
        .compatible()
        .map_err(|_| format!("{at} is beyond what the calendar knows."))?;
    Ok(Timestamp(zoned.timestamp().as_millisecond()))
}

/// The windows of the week before, this week and the next two.
fn weekly(
    zone: &TimeZone,
    from: WeekTime,
    to: WeekTime,
    now: Timestamp,
) -> Result<Vec<(Timestamp, Timestamp)>, String> {
    let beyond = || "This moment is beyond what the calendar knows.".to_owned();
    let here = jiff::Timestamp::from_millisecond(now.0)
        .map_err(|_| beyond())?
        .to_zoned(zone.clone());
    let since_monday = i64::from(here.weekday().to_monday_zero_offset());
    let days = |days: i64| Span::new().try_days(days).map_err(|_| beyond());
    let monday = here.date().checked_sub(days(since_monday)?).map_err(|_| beyond())?;
    let mut windows = Vec::new();
    for week in -1..=2 {
        let monday = monday.checked_add(days(week * 7)?).map_err(|_| beyond())?;
        let at = |minutes: u32| -> Result<Timestamp, String> {
            let span = Span::new().try_minutes(i64::from(minutes)).map_err(|_| beyond())?;
            let at = monday.to_datetime(civil::Time::midnight()).checked_add(span);
            moment(zone, at.map_err(|_| beyond())?)
        };
        windows.push((at(from.minute)?, at(from.minute + from.minutes_to(to))?));
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(zone: &str, from: &str, to: &str) -> Freeze {
        let when = match from.parse::<WeekTime>() {
            Ok(from) => When::Weekly {
                from,
                to: to.parse().unwrap(),
            },
            Err(_) => When::Dates {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            },
        };
        Freeze {
            name: "f".into(),
            time_zone: zone.into(),
            when,
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_weekend_is_frozen_by_the_clock_on_the_wall() {
        let weekend = freeze("Europe/Berlin", "friday 17:00", "monday 09:00");
        // Winter: an hour before UTC. 2026-11-20 is a Friday.
        assert_eq!(
            frozen(&weekend, at("2026-11-20T15:59:59Z")),
            Ok(Frozen::From(Some(at("2026-11-20T16:00:00Z"))))
        );
        assert_eq!(
            frozen(&weekend, at("2026-11-20T16:00:00Z")),
            Ok(Frozen::Until(at("2026-11-23T08:00:00Z")))
        );
        assert_eq!(
            frozen(&weekend, at("2026-11-23T07:59:59Z")),
            Ok(Frozen::Until(at("2026-11-23T08:00:00Z")))
        );
        assert_eq!(
            frozen(&weekend, at("2026-11-23T08:00:00Z")),
            Ok(Frozen::From(Some(at("2026-11-27T16:00:00Z"))))
        );
    }

    #[test]
    fn a_freeze_over_a_change_of_the_clock_ends_at_its_hour() {
        let weekend = freeze("Europe/Berlin", "friday 17:00", "monday 09:00");
        // The clock goes forward on Sunday, 2026-03-29: Friday is UTC+1, Monday is UTC+2.
        assert_eq!(
            frozen(&weekend, at("2026-03-27T16:00:00Z")),
            Ok(Frozen::Until(at("2026-03-30T07:00:00Z")))
        );
        // And back on Sunday, 2026-10-25.
        assert_eq!(
            frozen(&weekend, at("2026-10-23T15:00:00Z")),
            Ok(Frozen::Until(at("2026-10-26T08:00:00Z")))
        );
        // An hour that doesn't exist is taken later: 02:30 on that Sunday is 03:30.
        let night = freeze("Europe/Berlin", "sunday 02:30", "sunday 06:00");
        assert_eq!(
            frozen(&night, at("2026-03-29T00:59:00Z")),
            Ok(Frozen::From(Some(at("2026-03-29T01:30:00Z"))))
        );
    }

    #[test]
    fn a_dated_freeze_comes_once() {
        let holidays = freeze("America/New_York", "2026-12-24 18:00", "2027-01-02 09:00");
        assert_eq!(
            frozen(&holidays, at("2026-12-24T22:59:59Z")),
            Ok(Frozen::From(Some(at("2026-12-24T23:00:00Z"))))
        );
        assert_eq!(
            frozen(&holidays, at("2026-12-31T00:00:00Z")),
            Ok(Frozen::Until(at("2027-01-02T14:00:00Z")))
        );
        assert_eq!(frozen(&holidays, at("2027-01-02T14:00:00Z")), Ok(Frozen::From(None)));
    }

    #[test]
    fn what_the_calendar_does_not_know_is_said() {
        let nowhere = freeze("Mars/Olympus", "friday 17:00", "monday 09:00");
        assert!(
            frozen(&nowhere, at("2026-11-20T16:00:00Z"))
                .unwrap_err()
                .contains("Mars/Olympus")
        );
        assert_eq!(check(&nowhere).unwrap_err().0, "timeZone");
        let never = freeze("UTC", "2026-02-30 00:00", "2026-03-01 00:00");
        assert_eq!(check(&never).unwrap_err().0, "when.dates.from");
        assert_eq!(check(&freeze("UTC", "2026-02-27 00:00", "2026-03-01 00:00")), Ok(()));
    }
}
