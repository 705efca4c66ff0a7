//! Points in time as people write and read them.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant, Zoned};
use roundsman_kit::clock::Timestamp;

/// How `--since` and `--until` may be written, for help texts.
pub const FORMS: &str = "\
Times are local: 2026-11-20 18:00, 2026-11-20, 18:00, now, today, yesterday, -1h or \"1h ago\"
(also 90s, 30min, 7d, 2w and sums such as -1h30m), RFC 3339 (2026-11-20T18:00:00Z), or seconds
since 1970 as @1795197600.";

/// The value parser of `--since` and `--until`.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, &Zoned::now())
}

fn parse_at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(zoned) = named(text, now).or_else(|| local(text, now)) {
        return Ok(Timestamp(zoned.timestamp().as_millisecond()));
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let at = seconds
            .parse()
            .ok()
            .and_then(|s| Instant::from_second(s).ok());
        return at
            .map(|at| Timestamp(at.as_millisecond()))
            .ok_or_else(|| format!("\"{seconds}\" is not a number of seconds since 1970"));
    }
    if let Ok(at) = text.parse::<Instant>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    ago(text, now)
        .map(|zoned| Timestamp(zoned.timestamp().as_millisecond()))
        .ok_or_else(|| {
            format!(
                "\"{text}\" is not a time that is understood: write 2026-11-20 18:00, today or -1h"
            )
        })
}

fn named(text: &str, now: &Zoned) -> Option<Zoned> {
    match text {
        "now" => Some(now.clone()),
        "today" => now.start_of_day().ok(),
        "yesterday" => now.yesterday().ok()?.start_of_day().ok(),
        _ => None,
    }
}

/// A local date, a local time of today, or both.
fn local(text: &str, now: &Zoned) -> Option<Zoned> {
    // What has an offset of its own is no local time.
    if text.ends_with(['Z', 'z']) || text.contains(['+', '[']) {
        return None;
    }
    let zone = now.time_zone().clone();
    if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
        return date.to_zoned(zone).ok();
    }
    if let Ok(time) = clock(text) {
        return now.date().to_datetime(time).to_zoned(zone).ok();
    }
    let (date, time) = text.split_once([' ', 'T'])?;
    let date = Date::strptime("%Y-%m-%d", date).ok()?;
    let time = clock(time.trim()).ok()?;
    date.to_datetime(time).to_zoned(zone).ok()
}

fn clock(text: &str) -> Result<Time, jiff::Error> {
    Time::strptime("%H:%M:%S", text).or_else(|_| Time::strptime("%H:%M", text))
}

/// A span before now: `-1h`, `1h ago`.
fn ago(text: &str, now: &Zoned) -> Option<Zoned> {
    let span = match text.strip_prefix('-') {
        Some(span) => span,
        None => text.strip_suffix("ago")?,
    };
    let span: Span = span.trim().parse().ok()?;
    now.checked_sub(span.abs()).ok()
}

/// The value parser of a span from now on: `2h`, `1h30m`, `7d`.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let now = Zoned::now();
    let span = text.trim().parse::<Span>().ok();
    let end = span.and_then(|span| now.checked_add(span).ok());
    let millis = end.map(|end| {
        let (end, now) = (end.timestamp(), now.timestamp());
        end.as_millisecond() - now.as_millisecond()
    });
    match millis.and_then(|millis| u64::try_from(millis).ok()) {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(format!(
            "\"{text}\" is no span that is understood: write 2h, 30min or 7d"
        )),
    }
}

/// `2026-11-20 18:00:03` in local time, which `--since` takes again.
pub fn show(at: Timestamp) -> String {
    match Instant::from_millisecond(at.as_millis()) {
        Ok(instant) => instant
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => format!("@{}", at.as_millis().div_euclid(1000)),
    }
}

/// `now` as the machine's clock shows it.
pub fn now() -> Timestamp {
    Timestamp(Zoned::now().timestamp().as_millisecond())
}

/// A span in its two largest units: `3s`, `5min 2s`, `2h 5min`, `4d 2h`.
pub fn span(span: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let secs = span.as_secs();
    let first = UNITS.iter().position(|(unit, _)| secs >= *unit);
    let first = first.unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let mut text = format!("{}{name}", secs / unit);
    if let Some((smaller, name)) = UNITS.get(first + 1) {
        let rest = secs % unit / smaller;
        if rest > 0 {
            text.push_str(&format!(" {rest}{name}"));
        }
    }
    text
}

/// How far `at` is from `now`: `5s ago`, `in 40s`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", span(at.since(now)))
    } else {
        format!("{} ago", span(now.since(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::DateTime;

    fn now() -> Zoned {
        let noon: DateTime = "2026-11-20T18:00:00".parse().unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        noon.to_zoned(zone).unwrap()
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, utc) in [
            ("2026-11-20 18:00", "2026-11-20T17:00:00.000Z"),
            ("2026-11-20T18:00:01", "2026-11-20T17:00:01.000Z"),
            ("2026-07-01 18:00:02", "2026-07-01T16:00:02.000Z"),
            ("2026-11-19", "2026-11-18T23:00:00.000Z"),
            ("16:30", "2026-11-20T15:30:00.000Z"),
            ("now", "2026-11-20T17:00:00.000Z"),
            ("today", "2026-11-19T23:00:00.000Z"),
            ("yesterday", "2026-11-18T23:00:00.000Z"),
            ("-1h", "2026-11-20T16:00:00.000Z"),
            ("-90s", "2026-11-20T16:58:30.000Z"),
            ("-30min", "2026-11-20T16:30:00.000Z"),
            ("-1h30m", "2026-11-20T15:30:00.000Z"),
            ("1h ago", "2026-11-20T16:00:00.000Z"),
            ("-7d", "2026-11-13T17:00:00.000Z"),
            ("2w ago", "2026-11-06T17:00:00.000Z"),
            ("2026-11-20T18:00:00Z", "2026-11-20T18:00:00.000Z"),
            ("2026-11-20T18:00:00+05:30", "2026-11-20T12:30:00.000Z"),
            ("2026-11-20T18:00:00-05:00", "2026-11-20T23:00:00.000Z"),
            ("@1795197600", "2026-11-20T18:00:00.000Z"),
        ] {
            let at = parse_at(text, &now()).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(at.to_string(), utc, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_and_named() {
        for text in [
            "",
            "soon",
            "1h",
            "25:00",
            "2026-13-01",
            "2026-11-20 99:00",
            "@x",
            "-",
            "ago",
        ] {
            let why = parse_at(text, &now()).unwrap_err();
            assert!(why.contains(text.trim_start_matches('@')), "{text}: {why}");
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1min"),
            (61, "1min 1s"),
            (7_500, "2h 5min"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
        assert_eq!(relative(Timestamp(1_000), Timestamp(6_000)), "5s ago");
        assert_eq!(relative(Timestamp(41_000), Timestamp(1_000)), "in 40s");
    }
}
