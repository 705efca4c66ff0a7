//! The figures of this host, read from `/proc`, `/sys` and a few system calls.
//!
//! Each subject is one module with two faces: a typed reading for programs that want to judge
//! ([`memory::read`], [`cpu::usage_between`], [`filesystem::read`], …), and a collector that
//! writes node_exporter's families to an [`exposition::Page`]. The collectors stand in one list,
//! [`REGISTRY`]; [`Collectors`] runs them.
//!
//! Invariants:
//! - everything is read below one [`Root`], so that a tree of files is a whole host to a test;
//! - the figures are the host's, never those of the sandbox that this process runs in: PID 1's
//!   mounts with their flags, and PID 1's network;
//! - what cannot be read is absent and counted, never zero;
//! - no reading sleeps: rates come from two readings; and no reading waits for a mount that
//!   hangs longer than [`Host::mount_deadline`];
//! - nothing is ever written.

mod adjtimex;
mod arp;
mod bonding;
pub mod calls;
mod collector;
pub mod conntrack;
pub mod cpu;
mod cpu_throttle;
mod cpufreq;
mod directory;
pub mod disk;
pub mod entropy;
mod error;
pub mod exposition;
mod file;
pub mod filefd;
pub mod filesystem;
mod filters;
mod hung_task;
pub mod hwmon;
mod interrupts;
pub mod kernel;
pub mod load;
pub mod md;
pub mod memory;
mod netclass;
mod netstat;
pub mod network;
pub mod os_release;
mod power_supply;
pub mod pressure;
mod processes;
mod registry;
mod root;
mod schedstat;
mod sockstat;
mod softnet;
pub mod stat;
mod tcp;
mod text;
mod thermal;
mod time;
pub mod timex;
mod udp;
pub mod uptime;
pub mod vmstat;

pub use collector::{Collector, Host, Scrape};
pub use error::{Error, class_of};
pub use filters::Filters;
pub use registry::{Collectors, Outcome, REGISTRY, Registration, Report, UnknownCollector};
pub use root::Root;
