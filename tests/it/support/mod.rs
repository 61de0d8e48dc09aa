//! What several tests need.

#[cfg(feature = "demo")]
pub mod client;
#[cfg(feature = "demo")]
pub mod detour;
pub mod pair;
#[cfg(feature = "demo")]
pub mod person;
#[cfg(feature = "demo")]
pub mod process;
#[cfg(feature = "demo")]
pub mod world;
