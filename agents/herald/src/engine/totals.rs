//! What is counted.

/// What herald did since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries that reached their endpoint.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that were parked.
    pub parked: u64,
    /// Events that have passed this host before.
    pub looped: u64,
    /// What happened to endpoints by events of our own, and is no event itself.
    pub untold: u64,
}
