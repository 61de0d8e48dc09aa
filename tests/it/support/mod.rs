//! What several tests need.

pub mod client;
