//! What every roundsman program shares: how it starts, waits, reports and stops.
//!
//! Invariants:
//! - no SQL, no async, no TLS: a host that runs only `hostmetrics` links none of them;
//! - [`run`] is the only entry point of every agent;
//! - configuration is complete before any socket, file or thread of the agent exists;
//! - [`Context::wait`] is the only place where the loop of an agent waits.

pub mod agent;
pub mod args;
pub mod atomic;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
mod knock;
pub mod listen;
pub mod log;
pub mod metrics;
mod notify;
pub mod paths;
pub mod quantity;
pub mod secret;
mod signals;
pub mod threshold;

pub use agent::{Agent, Kind, run};
pub use config::{Config, Invalid};
pub use context::{Context, Wake};
pub use error::{Class, Fault, ResultExt};
pub use knock::Knock;
pub use paths::Paths;
