//! What a client may take: time, bytes and places. Every figure has a range, checked at start.

use std::time::Duration;

/// The limits of one server. The defaults suit a scrape endpoint that faces a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; above it the one that has waited longest is closed. 1 to 65,536.
    pub connections: usize,
    /// Requests whose answer is being made at once; more get 503. 1 to 65,536.
    pub requests: usize,
    /// Bytes of a request line with its header, and of a chunked trailer. 1 KiB to 1 MiB.
    pub head_bytes: usize,
    /// Header fields of a request. 1 to 1,024.
    pub head_fields: usize,
    /// Bytes of one request's body, 0 to 256 MiB; 0 refuses every body.
    pub body_bytes: usize,
    /// Bytes of all bodies held at once, at least `body_bytes`: the bound on memory.
    pub bodies_bytes: usize,
    /// From the connection to the end of the TLS handshake. Every duration is 1 ms to 1 h.
    pub handshake: Duration,
    /// From the connection, or the first byte on a kept one, to the end of the head.
    pub head: Duration,
    /// From the end of the head to the last byte of the body.
    pub body: Duration,
    /// From the first byte of the request to the answer; at least `head` and `body`.
    pub request: Duration,
    /// From the answer to the last of its bytes taken by the client's system.
    pub write: Duration,
    /// Between two requests of one connection.
    pub idle: Duration,
    /// What [`crate::Server::stop`] waits for answers that are under way.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            requests: 32,
            head_bytes: 16 << 10,
            head_fields: 64,
            body_bytes: 1 << 20,
            bodies_bytes: 16 << 20,
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            request: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            drain: Duration::from_secs(5),
        }
    }
}

/// A limit that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct LimitError {
    /// The field of [`Limits`].
    pub name: &'static str,
    /// Its value, and what it may be.
    pub reason: String,
}

impl Limits {
    /// Checks every limit against its range and against the others.
    ///
    /// # Errors
    ///
    /// Every finding, so that a configuration is mended in one go.
    pub fn validate(&self) -> Result<(), Vec<LimitError>> {
        let mut findings = Vec::new();
        let mut find = |name, reason| findings.push(LimitError { name, reason });
        let counts = [
            ("connections", self.connections, 1, 1 << 16),
            ("requests", self.requests, 1, 1 << 16),
            ("head_bytes", self.head_bytes, 1 << 10, 1 << 20),
            ("head_fields", self.head_fields, 1, 1 << 10),
            ("body_bytes", self.body_bytes, 0, 256 << 20),
            (
                "bodies_bytes",
                self.bodies_bytes,
                self.body_bytes,
                usize::MAX,
            ),
        ];
        for (name, value, least, most) in counts {
            if !(least..=most).contains(&value) {
                find(name, format!("{value} is not within {least} to {most}"));
            }
        }
        let spans = [
            ("handshake", self.handshake),
            ("head", self.head),
            ("body", self.body),
            ("request", self.request),
            ("write", self.write),
            ("idle", self.idle),
            ("drain", self.drain),
        ];
        for (name, span) in spans {
            if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&span) {
                find(name, format!("{span:?} is not within 1 ms to 1 h"));
            }
        }
        if self.request < self.head || self.request < self.body {
            find(
                "request",
                format!("{:?} is shorter than head or body", self.request),
            );
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(findings)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_finding_is_named() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let wrong = Limits {
            connections: 0,
            head_bytes: 10,
            bodies_bytes: 5,
            idle: Duration::ZERO,
            request: Duration::from_secs(1),
            ..Limits::default()
        };
        let names: Vec<_> = wrong
            .validate()
            .unwrap_err()
            .into_iter()
            .map(|finding| finding.name)
            .collect();
        assert_eq!(
            names,
            [
                "connections",
                "head_bytes",
                "bodies_bytes",
                "idle",
                "request"
            ]
        );
    }
}
