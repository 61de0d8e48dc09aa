//! Integration tests in one binary: a module for each capability, over loopback sockets where one
//! is needed.

mod pair;
#[cfg(feature = "demo")]
mod server;
mod support;
mod transcripts;
