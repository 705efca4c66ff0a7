//! The systemd level: the installed suite on a booted Debian (see README.md here).
//!
//! A test that cannot run on this machine prints why and counts as skipped.

mod access;
mod alertmanager;
mod failure;
mod figures;
mod harness;
mod herald;
mod installed;
mod janitor;
mod lifecycle;
mod mail;
mod package;
mod page;
mod prometheus;
mod tending;
