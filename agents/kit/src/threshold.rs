//! Levels of a figure: when one is reached, and when it is left again.
//!
//! Pure: what an agent does with a level, and for how long it waits before, is its own.

use serde::{Deserialize, Serialize};

/// How bad a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// At or above `warning`.
    Warning,
    /// At or above `critical`.
    Critical,
}

impl Level {
    /// From the highest down.
    const DOWNWARDS: [Self; 2] = [Self::Critical, Self::Warning];

    /// The name that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// What a gauge shows: 1 for a warning, 2 for critical.
    pub fn number(self) -> u8 {
        match self {
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

/// The limits of both levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// At or above this it is a warning.
    pub warning: f64,
    /// At or above this it is critical.
    pub critical: f64,
}

impl Limits {
    /// That of one level.
    pub fn of(self, level: Level) -> f64 {
        match level {
            Level::Warning => self.warning,
            Level::Critical => self.critical,
        }
    }

    /// The highest level that `value` has reached.
    pub fn reached(self, value: f64) -> Option<Level> {
        let mut levels = Level::DOWNWARDS.into_iter();
        levels.find(|level| value >= self.of(*level))
    }

    /// The highest level up to `told` that `value` has not left: that takes `hysteresis`.
    pub fn kept(self, told: Option<Level>, value: f64, hysteresis: f64) -> Option<Level> {
        let mut levels = Level::DOWNWARDS.into_iter();
        levels.find(|level| told >= Some(*level) && value >= self.of(*level) - hysteresis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        warning: 85.0,
        critical: 95.0,
    };

    #[test]
    fn a_level_begins_at_its_limit_and_nothing_is_reached_by_what_is_no_number() {
        let reached = |value| LIMITS.reached(value).map(Level::as_str);
        assert_eq!(reached(84.9), None);
        assert_eq!(reached(85.0), Some("warning"));
        assert_eq!(reached(94.9), Some("warning"));
        assert_eq!(reached(95.0), Some("critical"));
        assert_eq!(reached(f64::NAN), None);
    }

    #[test]
    fn only_what_was_told_is_kept_and_only_within_the_hysteresis() {
        let (warning, critical) = (Some(Level::Warning), Some(Level::Critical));
        let kept = |told, value| LIMITS.kept(told, value, 2.0);
        assert_eq!(kept(None, 99.0), None);
        assert_eq!(
            kept(warning, 99.0),
            warning,
            "it was never told as critical"
        );
        assert_eq!(kept(warning, 83.0), warning);
        assert_eq!(kept(warning, 82.9), None);
        assert_eq!(kept(critical, 93.0), critical);
        assert_eq!(kept(critical, 92.9), warning);
        assert_eq!(kept(critical, 82.9), None);
    }
}
