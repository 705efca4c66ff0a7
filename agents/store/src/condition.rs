//! What agents tell of a figure that crosses a threshold: the event, and the line in the journal.
//! Used by: hostmetrics, janitor.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::threshold::Level;

use crate::event::{NewEvent, Severity};

/// A condition that begins, changes its level, or ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What the condition is, as in the kind of its events: `disk`, `storage`.
    pub kind: String,
    /// What it was measured on: a mount point, a sensor; empty for the whole host.
    pub subject: String,
    /// When the condition began: with kind and subject it identifies the condition.
    pub since: Timestamp,
    /// The level it is at now, `None` when it is over.
    pub level: Option<Level>,
    /// The figure; `None` when its subject is gone or not judged any more.
    pub value: Option<f64>,
    /// The level's limit that was crossed, or the one it is below again.
    pub limit: f64,
}

/// How an agent puts a change into words.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// The unit of figure and limit, for the event's data.
    pub unit: &'static str,
    /// What is judged: `disk /var`.
    pub what: String,
    /// The figure with its unit; `None` like that of the change.
    pub value: Option<String>,
    /// The limit with its unit.
    pub limit: String,
    /// What has become of a subject without a figure: `is gone`.
    pub gone: &'static str,
}

impl Change {
    /// Its event, which `agent` saw on `host`, whose name keeps the ids of different hosts apart.
    pub fn event(&self, agent: &str, host: &str, words: &Words, now: Timestamp) -> NewEvent {
        let kind = self.kind_of(agent);
        let order_key = format!("{kind}:{}", self.subject);
        let correlation = format!("{order_key}:{host}:{}", self.since.as_millis());
        let (event, step) = match self.level {
            Some(level) => {
                let severity = match level {
                    Level::Warning => Severity::Warning,
                    Level::Critical => Severity::Critical,
                };
                let event = NewEvent::firing(now, agent, &kind, &correlation).severity(severity);
                (event, format!("{}:{}", level.as_str(), now.as_millis()))
            }
            // A condition ends once.
            None => {
                let event = NewEvent::resolved(now, agent, &kind, &correlation);
                (event.severity(Severity::Notice), "resolved".to_owned())
            }
        };
        let mut event = event
            .order_key(order_key)
            .identity(format!("{correlation}:{step}"))
            .message(self.sentence(words))
            .datum("limit", self.limit)
            .datum("unit", words.unit)
            .datum("since", self.since.as_millis());
        if let Some(value) = self.value {
            event = event.datum("value", value);
        }
        if !self.subject.is_empty() {
            event = event.subject(&self.subject);
        }
        event
    }

    /// Tells the journal.
    pub fn tell(&self, agent: &str, words: &Words) {
        let kind = self.kind_of(agent);
        let message = self.sentence(words);
        match self.level {
            Some(_) => log::warn!(
                MESSAGE_ID = id::THRESHOLD_CROSSED,
                "ROUNDSMAN_KIND" = kind,
                "ROUNDSMAN_TARGET" = self.subject;
                "{message}"
            ),
            None => log::info!(
                MESSAGE_ID = id::THRESHOLD_CLEARED,
                "ROUNDSMAN_KIND" = kind,
                "ROUNDSMAN_TARGET" = self.subject;
                "{message}"
            ),
        }
    }

    fn kind_of(&self, agent: &str) -> String {
        format!("{agent}.{}", self.kind)
    }

    /// `disk /var is at 96.2 % (critical from 95 %)`.
    fn sentence(&self, words: &Words) -> String {
        let (what, limit) = (&words.what, &words.limit);
        match (self.level, &words.value) {
            (Some(level), Some(value)) => {
                format!("{what} is at {value} ({} from {limit})", level.as_str())
            }
            (_, Some(value)) => format!("{what} is back at {value} (below {limit})"),
            (_, None) => format!("{what} {}", words.gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(level: Option<Level>, value: Option<f64>) -> Change {
        Change {
            kind: "disk".into(),
            subject: "/var".into(),
            since: Timestamp(5),
            level,
            value,
            limit: 95.0,
        }
    }

    #[test]
    fn a_change_is_said_in_one_sentence() {
        let said = |level, value: Option<f64>| {
            let words = Words {
                unit: "%",
                what: "disk /var".into(),
                value: value.map(|value| format!("{value:.1} %")),
                limit: "95 %".into(),
                gone: "is gone",
            };
            change(level, value).sentence(&words)
        };
        assert_eq!(
            said(Some(Level::Critical), Some(96.24)),
            "disk /var is at 96.2 % (critical from 95 %)"
        );
        assert_eq!(
            said(None, Some(50.0)),
            "disk /var is back at 50.0 % (below 95 %)"
        );
        assert_eq!(said(None, None), "disk /var is gone");
    }
}
