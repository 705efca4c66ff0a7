//! Lines and fields of the kernel's text files, by byte, with errors that name path and line.

use std::borrow::Cow;
use std::path::Path;

use crate::error::Error;

/// What was read from one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    path: &'a Path,
    bytes: &'a [u8],
}

impl<'a> Text<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The non-empty lines, numbered from 1.
    pub(crate) fn lines(self) -> Lines<'a> {
        Lines {
            path: self.path,
            rest: self.bytes,
            number: 0,
        }
    }

    /// The lines below the head of a table, which holds `column`. A file without its head is not
    /// the table, and an empty one would pass for a table without entries.
    pub(crate) fn table(self, column: &str, item: &'static str) -> Result<Lines<'a>, Error> {
        let mut lines = self.lines();
        match lines.next() {
            Some(head) if memchr::memmem::find(head.bytes, column.as_bytes()).is_some() => {
                Ok(lines)
            }
            Some(head) => Err(head.malformed(item)),
            None => Err(self.missing(item)),
        }
    }

    /// The content of an attribute file, without the white space around it.
    pub(crate) fn trimmed(self) -> &'a [u8] {
        self.bytes.trim_ascii()
    }

    /// The content of an attribute file as it is shown in a label.
    pub(crate) fn word(self) -> Cow<'a, str> {
        printable(self.trimmed())
    }

    /// The first field of the file as a number.
    pub(crate) fn number(self, item: &'static str) -> Result<u64, Error> {
        self.first().fields().number(item)
    }

    /// The first field of the file as a number that may be negative.
    pub(crate) fn signed(self, item: &'static str) -> Result<i64, Error> {
        self.first().fields().signed(item)
    }

    /// The first line, empty for an empty file.
    pub(crate) fn first(self) -> Line<'a> {
        self.lines().next().unwrap_or(Line {
            path: self.path,
            number: 1,
            bytes: &[],
        })
    }

    pub(crate) fn missing(self, item: &'static str) -> Error {
        Error::Missing {
            path: self.path.to_owned(),
            item,
        }
    }
}

/// Iterator over the non-empty lines of a [`Text`].
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    path: &'a Path,
    rest: &'a [u8],
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let bytes = &self.rest[..end];
            self.rest = &self.rest[(end + 1).min(self.rest.len())..];
            self.number += 1;
            if !bytes.is_empty() {
                return Some(Line {
                    path: self.path,
                    number: self.number,
                    bytes,
                });
            }
        }
        None
    }
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    path: &'a Path,
    number: usize,
    bytes: &'a [u8],
}

impl<'a> Line<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What stands between runs of blanks.
    pub(crate) fn fields(self) -> Fields<'a> {
        Fields {
            line: self,
            rest: self.bytes,
        }
    }

    /// The parts before and after the first `separator`.
    pub(crate) fn split(
        self,
        separator: u8,
        item: &'static str,
    ) -> Result<(&'a [u8], Fields<'a>), Error> {
        let at = memchr::memchr(separator, self.bytes).ok_or_else(|| self.malformed(item))?;
        let rest = &self.bytes[at + 1..];
        Ok((&self.bytes[..at], Fields { line: self, rest }))
    }

    pub(crate) fn malformed(self, item: &'static str) -> Error {
        Error::malformed(self.path, self.number, item, self.bytes)
    }
}

/// Iterator over the fields of a [`Line`].
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    line: Line<'a>,
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = self.rest.iter().position(|byte| !blank(byte))?;
        let from = &self.rest[start..];
        let end = from.iter().position(blank).unwrap_or(from.len());
        self.rest = &from[end..];
        Some(&from[..end])
    }
}

impl<'a> Fields<'a> {
    /// Everything that was not taken yet, without the blanks before it.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest.trim_ascii_start()
    }

    pub(crate) fn word(&mut self, item: &'static str) -> Result<&'a [u8], Error> {
        self.next().ok_or_else(|| self.line.malformed(item))
    }

    pub(crate) fn number(&mut self, item: &'static str) -> Result<u64, Error> {
        let word = self.word(item)?;
        decimal(word).ok_or_else(|| self.wrong(item, word))
    }

    pub(crate) fn signed(&mut self, item: &'static str) -> Result<i64, Error> {
        let word = self.word(item)?;
        signed_decimal(word).ok_or_else(|| self.wrong(item, word))
    }

    pub(crate) fn hex(&mut self, item: &'static str) -> Result<u64, Error> {
        let word = self.word(item)?;
        hexadecimal(word).ok_or_else(|| self.wrong(item, word))
    }

    /// A number with a fraction, such as a load average.
    pub(crate) fn float(&mut self, item: &'static str) -> Result<f64, Error> {
        let word = self.word(item)?;
        std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| self.wrong(item, word))
    }

    /// Fills `row` with numbers and gives how many there were, for lines that grew over the
    /// kernel's versions.
    pub(crate) fn numbers(&mut self, item: &'static str, row: &mut [u64]) -> Result<usize, Error> {
        let mut n = 0;
        for cell in row.iter_mut() {
            let Some(word) = self.next() else { break };
            *cell = decimal(word).ok_or_else(|| self.wrong(item, word))?;
            n += 1;
        }
        Ok(n)
    }

    fn wrong(&self, item: &'static str, word: &[u8]) -> Error {
        Error::malformed(self.line.path, self.line.number, item, word)
    }
}

/// Bytes as label text; what is not UTF-8 becomes U+FFFD.
pub(crate) fn printable(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A decimal number of nothing but digits.
#[inline]
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A decimal number with an optional minus sign.
pub(crate) fn signed_decimal(bytes: &[u8]) -> Option<i64> {
    match bytes.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(decimal(digits)?),
        None => i64::try_from(decimal(bytes)?).ok(),
    }
}

/// A hexadecimal number, with or without `0x`.
pub(crate) fn hexadecimal(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some((value << 4) | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &'static [u8]) -> Text<'static> {
        Text::new(Path::new("/proc/x"), bytes)
    }

    #[test]
    fn numbers_are_taken_only_when_they_are_numbers() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b"18446744073709551616"[..], b"", b"-1", b"1.0", b"0x1"] {
            assert_eq!(decimal(wrong), None, "{wrong:?}");
        }
        assert_eq!(signed_decimal(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed_decimal(b"9223372036854775808"), None);
        assert_eq!(signed_decimal(b"-"), None);
        assert_eq!(hexadecimal(b"0x1003"), Some(0x1003));
        assert_eq!(hexadecimal(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"0x"), None);
        assert_eq!(hexadecimal(b"10000000000000000"), None);
    }

    #[test]
    fn lines_keep_their_numbers_over_blank_ones() {
        let lines: Vec<_> = text(b"a\n\nb c\td\nlast")
            .lines()
            .map(|line| (line.number, line.fields().count()))
            .collect();
        assert_eq!(lines, [(1, 1), (3, 3), (4, 1)]);
    }

    #[test]
    fn an_error_names_path_line_and_item() {
        let line = text(b"ok 1\nbad x7\n").lines().nth(1).unwrap();
        let mut fields = line.fields();
        fields.next();
        let error = fields.number("counter").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/proc/x:2: counter is not what the format says: \"x7\""
        );
        let error = text(b"").number("counter").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/proc/x:1: counter is not what the format says: \"\""
        );
    }
}
