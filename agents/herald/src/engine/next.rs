//! When to turn again.

use roundsman_kit::clock::Timestamp;

/// When to turn again, if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// At this time.
    At(Timestamp),
    /// There is nothing to wait for.
    Idle,
}

impl Next {
    /// The sooner of this and a time.
    pub fn sooner(self, at: Timestamp) -> Self {
        match self {
            Self::Now => Self::Now,
            Self::At(other) => Self::At(other.min(at)),
            Self::Idle => Self::At(at),
        }
    }
}
