//! Sample values, written without rounding.

use std::fmt;

/// The value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// A whole number below zero.
    Negative(i64),
    /// A number with a fixed count of decimal places, such as milliseconds shown in seconds.
    Decimal {
        /// The digits, without the point.
        digits: u64,
        /// How many of them stand after the point.
        places: u8,
    },
    /// Anything else.
    Float(f64),
}

impl Value {
    /// `digits` hundredths.
    pub fn hundredths(digits: u64) -> Self {
        Self::Decimal { digits, places: 2 }
    }

    /// `digits` thousandths.
    pub fn thousandths(digits: u64) -> Self {
        Self::Decimal { digits, places: 3 }
    }

    /// `digits` millionths.
    pub fn millionths(digits: u64) -> Self {
        Self::Decimal { digits, places: 6 }
    }

    /// `digits` thousand-millionths.
    pub fn billionths(digits: u64) -> Self {
        Self::Decimal { digits, places: 9 }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes())
            }
            Self::Negative(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Self::Decimal { digits, places } => write_decimal(digits, places, out),
            Self::Float(value) => write_float(value, out),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

fn write_decimal(digits: u64, places: u8, out: &mut Vec<u8>) {
    let unit = 10_u64.pow(u32::from(places));
    out.extend_from_slice(itoa::Buffer::new().format(digits / unit).as_bytes());
    let fraction = digits % unit;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut buffer = itoa::Buffer::new();
    let shown = buffer.format(fraction).as_bytes();
    out.resize(out.len() + usize::from(places) - shown.len(), b'0');
    let kept = shown.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    out.extend_from_slice(&shown[..=kept]);
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    use std::io::Write as _;

    let shown = if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    } else if value != 0.0 && !(1e-7..1e21).contains(&value.abs()) {
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
    debug_assert!(shown.is_ok(), "writing to a vector does not fail");
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative(value), Self::Whole)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: impl Into<Value>) -> String {
        let mut out = Vec::new();
        value.into().write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        assert_eq!(shown(u64::MAX), "18446744073709551615");
        assert_eq!(shown(i64::MIN), "-9223372036854775808");
        assert_eq!(shown(true), "1");
    }

    #[test]
    fn decimals_have_no_rounding_and_no_idle_zeros() {
        assert_eq!(shown(Value::hundredths(66_254)), "662.54");
        assert_eq!(shown(Value::hundredths(66_250)), "662.5");
        assert_eq!(shown(Value::hundredths(66_200)), "662");
        assert_eq!(shown(Value::thousandths(7)), "0.007");
        assert_eq!(shown(Value::billionths(1_000_000_010)), "1.00000001");
        assert_eq!(shown(Value::millionths(0)), "0");
    }

    #[test]
    fn floats_are_what_prometheus_reads_back() {
        for value in [
            0.0,
            -0.25,
            0.74,
            1e-9,
            1.5e300,
            123_456_789.5,
            f64::MIN_POSITIVE,
        ] {
            assert_eq!(shown(value).parse::<f64>().unwrap(), value);
        }
        assert_eq!(shown(f64::NAN), "NaN");
        assert_eq!(shown(f64::INFINITY), "+Inf");
        assert_eq!(shown(f64::NEG_INFINITY), "-Inf");
        assert_eq!(shown(1e21), "1e21");
    }
}
