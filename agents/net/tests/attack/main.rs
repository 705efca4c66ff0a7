//! What a hostile, broken or merely odd client sends, against a real server on loopback. After
//! each of them the next honest request is served.

// clippy takes only #[test] functions for tests; what they call is test as well.
#![allow(clippy::unwrap_used)]

mod bodies;
mod child;
mod floods;
mod heads;
mod memory;
mod serving;
mod support;
mod tls;
