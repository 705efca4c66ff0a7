use std::time::Duration;

use super::*;
use crate::config::{Config, Levels};

/// Runs one figure through a series of minutes and tells what was announced in each.
struct Series {
    thresholds: Thresholds,
    conditions: Conditions,
    moment: Moment,
}

impl Series {
    fn new() -> Self {
        Self {
            thresholds: Config::default().thresholds,
            conditions: Conditions::new(),
            moment: Moment {
                now: Timestamp(1_000_000),
                uptime_ms: Some(500_000),
                is_same_boot: true,
            },
        }
    }

    fn later(&mut self, span: Duration) {
        let span_ms = u64::try_from(span.as_millis()).unwrap();
        self.moment.now = self.moment.now.plus(span);
        self.moment.uptime_ms = self.moment.uptime_ms.map(|uptime| uptime + span_ms);
    }

    fn minute(&mut self, seen: &Seen) -> Vec<Change> {
        self.later(Duration::from_secs(60));
        let (after, changes) = judge(&self.conditions, seen, &self.thresholds, self.moment);
        self.conditions = after;
        changes
    }

    fn read(&mut self, kind: &'static str, subject: &str, value: f64) -> Vec<Option<Level>> {
        let changes = self.minute(&Seen {
            readings: vec![Reading {
                kind,
                subject: subject.into(),
                value,
            }],
            ..Seen::default()
        });
        changes.into_iter().map(|change| change.level).collect()
    }

    fn memory(&mut self, values: impl IntoIterator<Item = f64>) -> Vec<Option<Level>> {
        let values = values.into_iter();
        values
            .flat_map(|value| self.read("memory", "", value))
            .collect()
    }
}

/// A source that was read whole and lists these subjects.
fn listing(kind: &'static str, subjects: &[&str]) -> Seen {
    let subjects = subjects.iter().map(|subject| (*subject).to_owned());
    Seen {
        listed: [(kind, subjects.collect())].into(),
        ..Seen::default()
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
    assert!(series.memory([91.0; 5]).is_empty());
    assert_eq!(series.memory([91.0]), [WARNING]);
    assert_eq!(series.memory([50.0]), [None]);
    assert!(
        series.memory([99.0, 10.0]).is_empty(),
        "too short to be told"
    );
    assert!(series.conditions.is_empty());
}

#[test]
fn being_critical_counts_for_the_hold_of_warning() {
    let mut series = Series::new();
    let alternating = [98.0, 93.0].into_iter().cycle();
    assert_eq!(series.memory(alternating.take(30)), [WARNING]);
    assert_eq!(series.memory([98.0; 6]), [CRITICAL]);
    assert_eq!(series.memory([93.0]), [WARNING], "below 97 - 3");
    assert_eq!(series.memory([50.0]), [None]);
    assert_eq!(series.memory([98.0; 6]), [CRITICAL], "the highest, at once");
}

#[test]
fn hysteresis_holds_only_what_was_announced() {
    let mut series = Series::new();
    assert!(series.memory([90.0]).is_empty());
    assert!(series.memory([87.0; 10]).is_empty());
    assert!(series.conditions.is_empty(), "it was normal again");
    let beyond_once_more = [90.0, 87.0].into_iter().cycle().take(30);
    assert!(series.memory(beyond_once_more).is_empty());
}

#[test]
fn hold_is_time_since_boot_and_a_step_of_the_wall_clock_is_not() {
    let mut series = Series::new();
    assert!(series.memory([91.0]).is_empty());
    series.moment.now = series.moment.now.plus(Duration::from_secs(86_400));
    assert!(series.memory([91.0; 2]).is_empty(), "a day forward");
    series.moment.now = Timestamp(0);
    assert!(series.memory([91.0; 2]).is_empty(), "and far back");
    assert_eq!(series.memory([91.0]), [WARNING], "after five minutes");
    series.moment.now = Timestamp(0);
    assert!(series.memory([91.0; 9]).is_empty(), "told once");
}

#[test]
fn a_gap_a_boot_or_an_unknown_uptime_begins_hold_anew() {
    let mut series = Series::new();
    assert!(series.memory([91.0; 5]).is_empty());
    series.later(Duration::from_secs(91));
    assert!(series.memory([91.0; 5]).is_empty(), "151 s unseen");
    series.later(Duration::from_secs(90));
    assert_eq!(series.memory([91.0]), [WARNING], "150 s are two runs");

    let mut series = Series::new();
    assert!(series.memory([91.0; 5]).is_empty());
    series.moment.is_same_boot = false;
    assert!(series.memory([91.0]).is_empty());
    series.moment.is_same_boot = true;
    assert!(series.memory([91.0; 4]).is_empty());
    assert_eq!(series.memory([91.0]), [WARNING]);

    let mut series = Series::new();
    series.moment.uptime_ms = None;
    assert!(series.memory([99.0; 20]).is_empty());
    assert_eq!(
        series.read("disk", "/", 90.0),
        [WARNING],
        "no hold, no need to know"
    );
}

#[test]
fn an_announced_condition_outlives_a_gap_and_a_boot() {
    let mut series = Series::new();
    assert_eq!(series.memory([91.0; 6]), [WARNING]);
    let since = series.conditions["memory"][""].since;
    series.moment.is_same_boot = false;
    series.later(Duration::from_secs(3600));
    series.moment.uptime_ms = Some(30_000);
    assert!(series.memory([91.0]).is_empty());
    assert_eq!(series.conditions["memory"][""].since, since);
    assert_eq!(series.memory([50.0]), [None]);
}

#[test]
fn an_unknown_figure_changes_nothing_and_a_gone_subject_ends() {
    let mut series = Series::new();
    assert_eq!(series.read("disk", "/mnt", 99.0), [CRITICAL]);
    for unknown in [
        Seen::default(),
        listing("inodes", &[]),
        listing("disk", &["/", "/mnt"]),
    ] {
        assert!(series.minute(&unknown).is_empty(), "{unknown:?}");
        assert_eq!(series.conditions["disk"].len(), 1);
    }
    let gone = series.minute(&listing("disk", &["/"]));
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
