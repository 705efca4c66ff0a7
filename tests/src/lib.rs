//! The harness: what the tests of every level share.
//!
//! - [`Root`], [`AgentCommand`], [`Manager`]: one real program in a tree of its own, with a
//!   stand-in for systemd's notify socket (the agent level, `agents/<agent>/tests`);
//! - [`BusDaemon`]: a message bus, for a stand-in of systemd's manager;
//! - [`Machine`]: a booted Debian with real systemd (the systemd level, `tests/nspawn`);
//! - [`Receiver`]: a receiver of webhooks; [`Python`]: receivers' own libraries;
//! - [`process`]: any child process, its output captured, every wait bounded;
//! - [`skipped`]: the list of what this machine does not let us check.
//!
//! Invariants:
//! - nothing waits without a deadline, and nothing sleeps to wait;
//! - what a fixture made is gone when it is dropped: processes first, then files.
//!
//! The fixtures of the agent level panic when they themselves fail, with what the program has
//! printed so far: a test has no better use for such an error.

pub mod agent;
pub mod bus;
pub mod layout;
pub mod machine;
pub mod manager;
pub mod package;
pub mod process;
pub mod python;
pub mod receiver;
pub mod root;
pub mod shipped;
pub mod skipped;

pub use agent::AgentCommand;
pub use bus::BusDaemon;
pub use machine::Machine;
pub use manager::{Manager, Notification};
pub use process::{Output, Process};
pub use python::Python;
pub use receiver::Receiver;
pub use root::Root;
pub use shipped::assert_shipped_config;

use std::time::Duration;

/// How long a fixture waits for anything unless told otherwise: far above what a sound
/// program needs on a loaded machine, far below what a person waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);
