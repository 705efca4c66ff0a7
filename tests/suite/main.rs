//! The suite level: what holds for all agents together, checked over the tree itself, its units,
//! its packages and its Nix files, without a booted machine.
//!
//! A test that cannot run on this machine prints why and counts as skipped.

// All of this is tests; clippy sees only the functions marked so.
#![allow(clippy::unwrap_used)]

mod agents;
mod deny;
mod flake;
mod monitoring;
mod nix;
mod owners;
mod packaging;
mod registry;
mod rules;
mod stage;
mod unit_file;
mod units;
