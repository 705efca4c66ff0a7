use std::time::Duration;

use super::*;
use crate::config::{Config, Levels};

/// Runs one figure through a series of minutes and tells what was announced in each.
struct Series {
    thresholds: Thresholds,
    conditions: Conditions,
    now: Timestamp,
}

impl Series {
    fn new() -> Self {
        let thresholds = Config::default().thresholds;
        Self {
            thresholds,
            conditions: Conditions::new(),
            now: Timestamp(1_000_000),
        }
    }

    fn minute(&mut self, seen: &Seen) -> Vec<Change> {
        self.now = self.now.plus(Duration::from_secs(60));
        let (after, changes) = judge(&self.conditions, seen, &self.thresholds, self.now);
        self.conditions = after;
        changes
    }

    fn read(&mut self, kind: &'static str, subject: &str, value: f64) -> Vec<Option<Level>> {
        let readings = vec![Reading {
            kind,
            subject: subject.into(),
            value,
        }];
        let changes = self.minute(&Seen {
            readings,
            complete: [kind].into(),
        });
        changes.into_iter().map(|change| change.level).collect()
    }
}

const CRITICAL: Option<Level> = Some(Level::Critical);
const WARNING: Option<Level> = Some(Level::Warning);

#[test]
fn a_level_is_announced_once_and_left_only_below_its_hysteresis() {
    let mut series = Series::new();
    let steps = [
        (84.9, vec![]),
        (85.0, vec![WARNING]),
        (86.0, vec![]),
        (95.0, vec![CRITICAL]),
        (93.1, vec![]),
        (92.9, vec![WARNING]),
        (95.0, vec![CRITICAL]),
        (83.1, vec![WARNING]),
        (83.0, vec![]),
        (82.9, vec![None]),
        (50.0, vec![]),
        (99.0, vec![CRITICAL]),
        (10.0, vec![None]),
    ];
    for (value, expected) in steps {
        assert_eq!(series.read("disk", "/var", value), expected, "at {value}");
    }
    assert!(series.conditions.is_empty());
}

#[test]
fn hold_waits_before_a_beginning_and_nothing_ends_that_was_not_announced() {
    let mut series = Series::new();
    for _ in 0..5 {
        assert!(series.read("memory", "", 91.0).is_empty());
    }
    assert_eq!(series.read("memory", "", 91.0), [WARNING]);
    assert_eq!(series.read("memory", "", 50.0), [None]);
    assert!(series.read("memory", "", 99.0).is_empty());
    assert!(
        series.read("memory", "", 10.0).is_empty(),
        "too short to be told"
    );
}

#[test]
fn a_clock_that_steps_back_neither_ends_nor_repeats_a_condition() {
    let mut series = Series::new();
    assert_eq!(series.read("disk", "/", 90.0), [WARNING]);
    series.now = Timestamp(0);
    assert!(series.read("disk", "/", 90.0).is_empty());
    assert_eq!(series.read("disk", "/", 96.0), [CRITICAL]);
}

#[test]
fn an_unknown_figure_changes_nothing_and_a_gone_subject_ends() {
    let mut series = Series::new();
    assert_eq!(series.read("disk", "/mnt", 99.0), [CRITICAL]);
    assert!(
        series.minute(&Seen::default()).is_empty(),
        "the source could not be read"
    );
    assert_eq!(series.conditions["disk"].len(), 1);
    let gone = series.minute(&Seen {
        readings: vec![],
        complete: ["disk"].into(),
    });
    assert_eq!((gone[0].level, gone[0].value), (None, None));
    assert!(series.conditions.is_empty());
}

#[test]
fn a_subject_has_levels_of_its_own_and_switching_it_off_ends_its_condition() {
    let mut series = Series::new();
    let own = Levels {
        warning: Some(97.0),
        critical: Some(99.0),
        enabled: None,
    };
    series
        .thresholds
        .disk
        .subjects
        .insert("/backup".into(), own);
    assert!(series.read("disk", "/backup", 96.0).is_empty());
    assert_eq!(series.read("disk", "/backup", 98.0), [WARNING]);
    let off = Levels {
        enabled: Some(false),
        ..Levels::default()
    };
    series
        .thresholds
        .disk
        .subjects
        .insert("/backup".into(), off);
    assert_eq!(series.read("disk", "/backup", 98.0), [None]);
    assert!(series.read("disk", "/backup", 100.0).is_empty());
}
