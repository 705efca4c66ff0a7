//! Quiet hours: windows of the week in a zone. Pure: the time is passed in.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::Severity;

use crate::config::Trigger;

/// What quiet hours let pass unless told otherwise.
const PASSES: Severity = Severity::Critical;

/// Windows that follow one another are one; after so many it ends all the same.
const MOST_IN_A_ROW: usize = 16;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// What keeps quiet hours from being used: key, reason, remedy.
pub type Unusable = (&'static str, String, &'static str);

/// The quiet hours of a trigger.
#[derive(Debug)]
pub struct Quiet {
    windows: Vec<Window>,
    zone: TimeZone,
    /// The least urgent severity that passes; none if nothing does.
    passes: Option<Severity>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// The days on which it begins.
    days: Vec<Weekday>,
    /// Minutes since midnight.
    begin: i64,
    /// Minutes since the same midnight, so that one beyond the day is the next day's.
    end: i64,
}

impl Quiet {
    /// Those of a trigger.
    ///
    /// # Errors
    /// The key whose value cannot be used.
    pub fn new(trigger: &Trigger) -> Result<Self, Unusable> {
        let windows = trigger.quiet.iter().map(|text| {
            window(text).ok_or_else(|| {
                let remedy = "write \"22:00-07:00\" or \"Sat,Sun 00:00-24:00\"";
                ("quiet", format!("\"{text}\" is no window of time"), remedy)
            })
        });
        let zone = match trigger.timezone.as_deref() {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| {
                let reason = format!("this host knows no zone \"{name}\"");
                ("timezone", reason, "write one as \"Europe/Berlin\"")
            })?,
        };
        let passes = match trigger.quiet_passes.as_deref() {
            None => Some(PASSES),
            Some("none") => None,
            Some(name) => Some(name.parse().map_err(|_| {
                let remedy = "write a severity as \"crit\", or \"none\"";
                ("quiet_passes", format!("\"{name}\" is no severity"), remedy)
            })?),
        };
        Ok(Self {
            windows: windows.collect::<Result<_, _>>()?,
            zone,
            passes,
        })
    }

    /// Until when something so urgent waits; nothing if it may go now.
    pub fn until(&self, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        let passes = self.passes.is_some_and(|least| severity <= least);
        if passes || self.windows.is_empty() {
            return None;
        }
        let mut end = self.end(now)?;
        for _ in 0..MOST_IN_A_ROW {
            match self.end(end) {
                Some(later) => end = later,
                None => break,
            }
        }
        Some(end)
    }

    /// The end of the windows that `at` lies in.
    fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        let today = self.zone.to_datetime(instant).date();
        let yesterday = today.yesterday().ok()?;
        let ends = [yesterday, today].into_iter().flat_map(|date| {
            let windows = self.windows.iter();
            let windows = windows.filter(move |window| window.days.contains(&date.weekday()));
            windows.filter_map(move |window| {
                let begin = self.instant(date, window.begin)?;
                let end = self.instant(date, window.end)?;
                (begin <= at && at < end).then_some(end)
            })
        });
        ends.max()
    }

    /// So many minutes of the wall clock after the midnight that `date` begins with. A time that
    /// the clock leaves out is that much later; of one that it shows twice, the first.
    fn instant(&self, date: Date, minutes: i64) -> Option<Timestamp> {
        let span: Span = minutes.minutes();
        let time = date.to_datetime(Time::midnight()).checked_add(span).ok()?;
        let zoned = self.zone.to_zoned(time).ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    }
}

/// `[DAY,DAY-DAY ]HH:MM-HH:MM`
fn window(text: &str) -> Option<Window> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let (named, times) = match words.next() {
        Some(times) => (Some(first), times),
        None => (None, first),
    };
    if words.next().is_some() {
        return None;
    }
    let (begin, end) = times.split_once('-')?;
    let (begin, end) = (minutes(begin)?, minutes(end)?);
    if begin == 24 * 60 || begin == end {
        return None;
    }
    let days = match named {
        Some(named) => days(named)?,
        None => DAYS.map(|(_, day)| day).to_vec(),
    };
    let end = if end <= begin { end + 24 * 60 } else { end };
    Some(Window { days, begin, end })
}

fn days(text: &str) -> Option<Vec<Weekday>> {
    let place = |name: &str| {
        let mut names = DAYS.iter();
        names.position(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (mut at, to) = (place(from)?, place(to)?);
        days.push(DAYS[at].1);
        while at != to {
            at = (at + 1) % DAYS.len();
            days.push(DAYS[at].1);
        }
    }
    Some(days)
}

/// `HH:MM`, up to 24:00.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 24 * 60).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's rules, on hosts without a database of zones too.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn quiet(windows: &[&str]) -> Quiet {
        let windows = windows.iter().map(|text| window(text).unwrap());
        Quiet {
            windows: windows.collect(),
            zone: TimeZone::posix(BERLIN).unwrap(),
            passes: Some(PASSES),
        }
    }

    #[track_caller]
    fn assert_until(windows: &[&str], now: &str, expected: Option<&str>) {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let until = quiet(windows).until(Severity::Error, at(now));
        assert_eq!(until, expected.map(at), "{windows:?} at {now}");
    }

    #[test]
    fn a_window_crosses_midnight_and_ends_when_it_says() {
        let night: &[_] = &["22:00-07:00"];
        for (now, until) in [
            ("2026-11-20T20:59:59Z", None),
            ("2026-11-20T21:00:00Z", Some("2026-11-21T06:00:00Z")),
            ("2026-11-21T05:59:59.999Z", Some("2026-11-21T06:00:00Z")),
            ("2026-11-21T06:00:00Z", None),
        ] {
            assert_until(night, now, until);
        }
    }

    #[test]
    fn a_day_names_the_begin_and_windows_that_meet_are_one() {
        let weekend: &[_] = &["Sat,Sun 00:00-24:00"];
        // 2026-11-21 is a Saturday.
        assert_until(weekend, "2026-11-20T22:59:00Z", None);
        let monday = Some("2026-11-22T23:00:00Z");
        assert_until(weekend, "2026-11-20T23:00:00Z", monday);
        assert_until(weekend, "2026-11-22T12:00:00Z", monday);
        let both: &[_] = &["Sat-Sun 00:00-24:00", "22:00-07:00"];
        assert_until(both, "2026-11-20T21:30:00Z", Some("2026-11-23T06:00:00Z"));
        let friday: &[_] = &["Fri 22:00-07:00"];
        assert_until(friday, "2026-11-21T05:00:00Z", Some("2026-11-21T06:00:00Z"));
        assert_until(friday, "2026-11-21T21:30:00Z", None);
    }

    #[test]
    fn the_wall_clock_counts_when_it_is_changed() {
        let night: &[_] = &["22:00-07:00"];
        // Forward on 2026-03-29 at 01:00Z, back on 2026-10-25 at 01:00Z.
        assert_until(night, "2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z"));
        assert_until(night, "2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z"));
        // The clock shows no 02:30 on that day.
        let gap: &[_] = &["01:00-02:30"];
        assert_until(gap, "2026-03-29T00:30:00Z", Some("2026-03-29T01:30:00Z"));
    }

    #[test]
    fn hours_without_end_end_after_a_while() {
        let always = quiet(&["00:00-24:00"]);
        let now = Timestamp(1_795_197_600_000);
        let until = always.until(Severity::Error, now).unwrap();
        assert!(until.since(now).as_secs() < 20 * 24 * 3600, "{until}");
    }

    #[test]
    fn what_is_urgent_passes_unless_nothing_does() {
        let now = Timestamp(1_795_197_600_000);
        let mut always = quiet(&["00:00-24:00"]);
        assert_eq!(always.until(Severity::Critical, now), None);
        assert!(always.until(Severity::Error, now).is_some());
        always.passes = None;
        assert!(always.until(Severity::Emergency, now).is_some());
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "22-07",
            "22:00",
            "24:00-07:00",
            "22:00-24:01",
            "22:60-23:00",
            "Sam 10:00-12:00",
            "10:00-10:00",
            "Sat Sun 10:00-12:00",
            "1:00-2:00",
            "+1:00-02:00",
        ] {
            assert_eq!(window(text), None, "{text:?}");
        }
    }
}
