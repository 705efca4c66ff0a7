//! The header `Retry-After`: when a receiver wants to be asked again.

use std::time::{Duration, UNIX_EPOCH};

/// How long to wait from `now` (seconds since 1970) on.
///
/// Seconds, with or without a fraction, or a date of HTTP; zero for a date that has passed. `None`
/// for anything else. What is too large to count becomes the longest [`Duration`]: whoever waits
/// must cap it.
pub fn parse(value: &str, now: u64) -> Option<Duration> {
    let value = value.trim();
    if is_number(value) {
        let seconds: f64 = value.parse().ok()?;
        return Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    // Dates before 1970 have passed too.
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(at.saturating_sub(Duration::from_secs(now)))
}

/// Whether these are digits with at most one dot among them: no sign, exponent or `inf`.
fn is_number(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z, the date of the examples in the standard.
    const AT: u64 = 784_111_777;

    #[test]
    fn every_form_is_read() {
        let seconds = Duration::from_secs;
        for (value, expected) in [
            ("0", Some(seconds(0))),
            ("120", Some(seconds(120))),
            (" 120 ", Some(seconds(120))),
            ("0120", Some(seconds(120))),
            ("1.5", Some(Duration::from_millis(1500))),
            (".5", Some(Duration::from_millis(500))),
            ("5.", Some(seconds(5))),
            ("99999999999999999999999999", Some(Duration::MAX)),
            (&"9".repeat(1000), Some(Duration::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(seconds(60))),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(seconds(60))),
            ("Sun Nov  6 08:49:37 1994", Some(seconds(60))),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(seconds(0))),
            ("Sun, 06 Nov 1994 07:00:00 GMT", Some(seconds(0))),
            ("", None),
            (".", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            ("1.2.3", None),
            ("1,5", None),
            ("120s", None),
            ("soon", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("1994-11-06T08:49:37Z", None),
        ] {
            assert_eq!(parse(value, AT - 60), expected, "{value:?}");
        }
    }

    #[test]
    fn a_far_date_is_a_long_wait() {
        let wait = parse("Fri, 31 Dec 9999 23:59:59 GMT", 0).unwrap();
        assert_eq!(wait.as_secs(), 253_402_300_799);
        let passed = parse("Fri, 31 Dec 9999 23:59:59 GMT", u64::MAX);
        assert_eq!(passed, Some(Duration::ZERO));
    }
}
