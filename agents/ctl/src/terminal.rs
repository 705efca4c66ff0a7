//! Standard output: buffered, coloured only where a terminal shows it, and never a way for
//! foreign text to give commands to that terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// Something is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something is not well, but goes on.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// Something has failed.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// A heading.
pub const HEAD: Style = Style::new().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// Standard output.
pub struct Out {
    stream: BufWriter<StdoutLock<'static>>,
    is_coloured: bool,
}

impl Out {
    /// Standard output, with colours if it is a terminal and neither `NO_COLOR` nor
    /// `TERM=dumb` forbids them.
    pub fn stdout() -> Self {
        let is_coloured = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        Self {
            stream: BufWriter::new(io::stdout().lock()),
            is_coloured,
        }
    }

    /// `text`, escaped, in `style` where colours are shown.
    pub fn paint(&self, style: Style, text: &str) -> String {
        let text = escape(text);
        if self.is_coloured && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.into_owned()
        }
    }

    /// One value as one line of JSON.
    ///
    /// # Errors
    /// That of writing.
    pub fn json_line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let line = json(value)?;
        writeln!(self.stream, "{line}")?;
        Ok(())
    }

    /// A table: every column but the last is as wide as its widest cell.
    ///
    /// # Errors
    /// That of writing.
    pub fn table(&mut self, rows: &[Vec<Cell>]) -> io::Result<()> {
        let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..n_columns)
            .map(|at| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width - cell.width();
                line.push_str(&self.paint(cell.style, &cell.text));
                line.extend(std::iter::repeat_n(' ', padding + 2));
            }
            writeln!(self.stream, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// One cell of a table; its text is safe to show.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Plain text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    /// Text in a style.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            text: escape(text.as_ref()).into_owned(),
            style,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Says on standard error what is wrong without ending the command, a line each.
pub fn complain(lines: impl IntoIterator<Item = String>) {
    for line in lines {
        // Nobody may read it; the rest is shown all the same.
        let _ = writeln!(io::stderr(), "roundsman: {}", escape(&line));
    }
}

/// Whether a person sees what is written to standard error, and so may be shown progress.
pub fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

/// `text` without anything that a terminal takes as a command or that changes the order in
/// which the rest is shown: those characters are written as escapes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if c.is_ascii() && is_dangerous(c) => {
                // Writing to a String does not fail.
                let _ = write!(safe, "\\x{:02x}", c as u32);
            }
            c if is_dangerous(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe.into()
}

/// JSON on one line. Its own escapes cover only the first 32 control characters; the others
/// stand only in strings, where `\u` escapes mean the same.
fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let plain = serde_json::to_string(value)?;
    if !plain.chars().any(is_dangerous) {
        return Ok(plain);
    }
    let mut safe = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        if is_dangerous(c) {
            // Writing to a String does not fail; all of them are in the basic plane.
            let _ = write!(safe, "\\u{:04x}", c as u32);
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

/// Control characters (C0, DEL, C1), line separators, and those that turn the direction of text.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_commands_a_terminal_is_left() {
        let text = "a\u{1b}[2Jb\nc\td\u{9b}31me\u{7f}f\u{202e}g\u{0}";
        assert_eq!(
            escape(text),
            "a\\x1b[2Jb\\nc\\td\\u{9b}31me\\x7ff\\u{202e}g\\x00"
        );
        let json = json(&text).unwrap();
        assert!(!json.chars().any(is_dangerous), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in ["", "Größe 3 µs – naïve", "\\n is two characters", "日本"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
        }
    }
}
