//! Which units are shown: anchored regular expressions, as node_exporter and systemd_exporter
//! read theirs.

use regex_lite::Regex;

/// A unit is shown if its name matches one of `include` and none of `exclude`, whole.
#[derive(Debug, Clone)]
pub struct Filter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Filter {
    /// Compiles the expressions.
    ///
    /// # Errors
    /// The first expression that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, regex_lite::Error> {
        let compile = |patterns: &[String]| -> Result<Vec<Regex>, _> {
            patterns.iter().map(|text| anchored(text)).collect()
        };
        Ok(Self {
            include: compile(include)?,
            exclude: compile(exclude)?,
        })
    }

    /// Whether the unit is shown.
    pub fn keeps(&self, name: &str) -> bool {
        let any = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(name));
        any(&self.include) && !any(&self.exclude)
    }
}

/// Compiles an expression that has to match a whole name.
///
/// # Errors
/// What is wrong with it.
pub fn anchored(pattern: &str) -> Result<Regex, regex_lite::Error> {
    // By itself first: in the group, "a)|(b" would pass.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_match_whole() {
        let filter = Filter::new(&["ssh|cron.*".into()], &[".*-x".into()]).unwrap();
        assert!(filter.keeps("ssh") && filter.keeps("cron.service"));
        assert!(!filter.keeps("sshd") && !filter.keeps("anacron") && !filter.keeps("cron-x"));
        assert!(!Filter::new(&[], &[]).unwrap().keeps("ssh"));
        assert!(anchored("a)|(b").is_err());
    }
}
