//! The harness: what the tests of every level share.
