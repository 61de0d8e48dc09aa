//! What several tests need.

#[cfg(feature = "demo")]
pub mod client;
pub mod pair;
