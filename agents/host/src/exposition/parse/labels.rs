//! The part between the braces.

use std::borrow::Cow;

use super::{BLANKS, Reason};

/// The labels of one sample.
pub(super) struct Labels<'a> {
    /// As they are to be written again.
    pub(super) written: Cow<'a, str>,
    /// Names and escaped values.
    pairs: Vec<(&'a str, &'a str)>,
}

impl Labels<'_> {
    /// Whether the label is there; one with an empty value is not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.filled().any(|(seen, _)| *seen == name)
    }

    fn filled(&self) -> impl Iterator<Item = &(&str, &str)> {
        self.pairs.iter().filter(|(_, value)| !value.is_empty())
    }

    /// Name and labels in one order, whatever the order on the page and without empty ones.
    pub(super) fn series(&self, name: &str) -> String {
        let mut pairs: Vec<_> = self.filled().copied().collect();
        pairs.sort_unstable();
        format!("{name}{{{}}}", joined(&pairs))
    }
}

/// Reads labels where there are any, and gives what follows them.
pub(super) fn read(text: &str, most: usize) -> Result<(Labels<'_>, &str), Reason> {
    let Some(body) = text.strip_prefix('{') else {
        let none = Labels {
            written: Cow::Borrowed(""),
            pairs: Vec::new(),
        };
        return Ok((none, text));
    };
    let mut pairs = Vec::new();
    let mut plain = true;
    let mut rest = body;
    loop {
        rest = skip(rest, &mut plain);
        if rest.starts_with('}') {
            break;
        }
        let (pair, after) = read_pair(rest, &mut plain)?;
        if pairs.iter().any(|(seen, _)| *seen == pair.0) {
            return Err(Reason::SameLabel(pair.0.to_owned()));
        }
        if pairs.len() >= most {
            return Err(Reason::TooManyLabels(most));
        }
        pairs.push(pair);
        rest = skip(after, &mut plain);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => break,
            None => return Err(Reason::Labels(rest.to_owned())),
        }
    }
    let between = &body[..body.len() - rest.len()];
    let written = if plain && !between.ends_with(',') {
        Cow::Borrowed(between)
    } else {
        Cow::Owned(joined(&pairs))
    };
    let after = rest[1..].trim_start_matches(BLANKS);
    Ok((Labels { written, pairs }, after))
}

fn joined(pairs: &[(&str, &str)]) -> String {
    let shown: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    shown.join(",")
}

fn skip<'a>(text: &'a str, plain: &mut bool) -> &'a str {
    let rest = text.trim_start_matches(BLANKS);
    *plain &= rest.len() == text.len();
    rest
}

fn read_pair<'a>(text: &'a str, plain: &mut bool) -> Result<((&'a str, &'a str), &'a str), Reason> {
    let malformed = || Reason::Labels(text.to_owned());
    let end = text
        .find(|c: char| c == '=' || BLANKS.contains(&c))
        .ok_or_else(malformed)?;
    let name = label_name(&text[..end])?;
    let rest = skip(&text[end..], plain);
    let rest = skip(rest.strip_prefix('=').ok_or_else(malformed)?, plain);
    let body = rest.strip_prefix('"').ok_or_else(malformed)?;
    let mut bytes = body.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok(((name, &body[..at]), &body[at + 1..])),
            b'\\' => match bytes.next() {
                Some((_, b'\\' | b'"' | b'n')) => {}
                _ => return Err(malformed()),
            },
            _ => {}
        }
    }
    Err(malformed())
}

fn label_name(name: &str) -> Result<&str, Reason> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name == "__name__"
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(allowed)
    {
        return Err(Reason::LabelName(name.to_owned()));
    }
    Ok(name)
}

/// A help text without its escapes; an unknown escape is left as it is.
pub(super) fn unescaped_help(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('n')) => {
                out.push('\n');
                chars.next();
            }
            ('\\', Some('\\')) => {
                out.push('\\');
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}
