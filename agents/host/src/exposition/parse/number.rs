//! Values of samples.

use std::borrow::Cow;

use super::super::Value;

/// A number in a form that every reader takes; none where it is no number. Digits are kept as they
/// are. What is too large for a float is infinite, which readers in Go would take for an error.
pub(super) fn read(text: &str) -> Option<Cow<'_, str>> {
    let number: f64 = text.parse().ok()?;
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if number.is_finite() && is_plain(unsigned) {
        return Some(Cow::Borrowed(unsigned));
    }
    Some(Cow::Owned(Value::Float(number).to_string()))
}

/// Whether a finite number has a digit on both sides of its point.
fn is_plain(number: &str) -> bool {
    let end = number.find(['e', 'E']).unwrap_or(number.len());
    let mantissa = number[..end].trim_start_matches('-');
    mantissa.starts_with(|c: char| c.is_ascii_digit()) && !mantissa.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_number_comes_out_in_the_usual_form() {
        for (written, shown) in [
            ("infinity", "+Inf"),
            ("inf", "+Inf"),
            ("-INF", "-Inf"),
            ("nan", "NaN"),
            ("-NaN", "NaN"),
            ("+.5e3", "500"),
            ("-.25", "-0.25"),
            ("5.", "5"),
            ("1e999", "+Inf"),
            ("-1e999", "-Inf"),
            ("+18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(read(written).as_deref(), Some(shown), "{written}");
        }
    }

    #[test]
    fn what_is_usual_keeps_its_digits_and_what_is_no_number_is_refused() {
        for same in [
            "0",
            "-0",
            "3.50",
            "1e9",
            "-1.5E+300",
            "0.1e-7",
            "+Inf",
            "-Inf",
            "NaN",
        ] {
            assert_eq!(read(same).as_deref(), Some(same));
        }
        for refused in ["", "+", ".", "e5", "1_000", "0x1p4", "0x10", "one"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
