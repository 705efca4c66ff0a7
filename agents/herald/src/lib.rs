//! Herald's parts: what the agent runs, what the operator's command explains with, what the
//! benchmarks and fuzz targets measure. Not an interface for other people's programs.

#![forbid(unsafe_code)]

pub mod client;
mod compose;
pub mod config;
mod engine;
pub mod format;
mod glob;
mod group;
pub mod guard;
mod heartbeat;
mod intake;
mod known;
mod lane;
pub mod mail;
pub mod matching;
mod metrics;
mod plan;
mod quiet;
mod record;
mod renewal;
mod report;
pub mod run;
mod sender;
pub mod sign;
pub mod silence;
mod transport;
mod trial;
