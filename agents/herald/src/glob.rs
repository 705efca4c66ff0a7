//! Globs over names and values: `*` stands for any characters, `?` for one, all else for itself.

/// Whether the whole text fits.
pub fn fits(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star = None;
    while seen < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_and_question_marks() {
        for (glob, text) in [
            ("*", ""),
            ("*", "x"),
            ("hostmetrics.*", "hostmetrics.disk"),
            ("*.disk", "hostmetrics.disk"),
            ("a*b*c", "axxbyybzc"),
            ("?ä?", "xäy"),
            ("[a]", "[a]"),
        ] {
            assert!(fits(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("", "x"),
            ("?", ""),
            ("a*b", "ac"),
            ("a", "A"),
            ("a*b*c", "acb"),
        ] {
            assert!(!fits(glob, text), "{glob} {text}");
        }
    }
}
