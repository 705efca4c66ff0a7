//! What systemd says of a failed unit, as data and in words.

use roundsman_kit::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// What systemd tells a unit that it starts by `OnFailure=` (systemd.exec(5), `$MONITOR_…`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When the hook was started.
    pub at: Timestamp,
    /// `$MONITOR_SERVICE_RESULT`: `exit-code`, `signal`, `watchdog`, …; empty for other units, and
    /// where the unit was started again before systemd wrote the hook's environment.
    pub result: String,
    /// `$MONITOR_EXIT_CODE`: `exited`, `killed`, `dumped`.
    pub exit_code: String,
    /// `$MONITOR_EXIT_STATUS`: a number, or a signal's name without `SIG`.
    pub exit_status: String,
    /// `$MONITOR_INVOCATION_ID`.
    pub invocation: String,
}

impl Report {
    /// What the manager passed to this process.
    pub fn from_env(at: Timestamp) -> Self {
        let read = |name: &str| std::env::var(name).unwrap_or_default();
        // Then it is the result of the run that goes on.
        let result = Some(read("MONITOR_SERVICE_RESULT")).filter(|result| result != "success");
        Self {
            at,
            result: result.unwrap_or_default(),
            exit_code: read("MONITOR_EXIT_CODE"),
            exit_status: read("MONITOR_EXIT_STATUS"),
            invocation: read("MONITOR_INVOCATION_ID"),
        }
    }

    /// What tells this failure from every other one of the unit: the invocation, or, where
    /// systemd names none, the time.
    pub fn key(&self) -> String {
        if self.invocation.is_empty() {
            format!("at-{}", self.at.as_millis())
        } else {
            self.invocation.clone()
        }
    }

    /// What happened, as the end of a sentence that begins with the unit's name.
    pub fn sentence(&self) -> String {
        let status = &self.exit_status;
        match self.result.as_str() {
            "exit-code" => format!("exited with status {status}"),
            "signal" => format!("was killed by SIG{status}"),
            "core-dump" => format!("crashed with SIG{status} and dumped core"),
            "watchdog" => "did not ping its watchdog in time".into(),
            "timeout" => "did not start or stop in time".into(),
            "start-limit-hit" => "failed too often in a row and is not started again".into(),
            "oom-kill" => "was killed because memory ran out".into(),
            "protocol" => "broke the protocol of its service type".into(),
            "resources" => "could not be given the resources it asks for".into(),
            "" => "failed".into(),
            other => format!("failed: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_reads_as_a_sentence() {
        let report = |result: &str, status: &str| Report {
            at: Timestamp(1500),
            result: result.into(),
            exit_code: String::new(),
            exit_status: status.into(),
            invocation: String::new(),
        };
        assert_eq!(report("exit-code", "1").sentence(), "exited with status 1");
        assert_eq!(
            report("core-dump", "SEGV").sentence(),
            "crashed with SIGSEGV and dumped core"
        );
        assert_eq!(
            report("exec-condition", "").sentence(),
            "failed: exec-condition"
        );
        assert_eq!(report("", "").sentence(), "failed");
        assert_eq!(report("", "").key(), "at-1500");
    }
}
