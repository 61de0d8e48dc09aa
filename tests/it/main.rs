//! Tests of whole capabilities, over loopback sockets where one is needed.

#[cfg(feature = "demo")]
mod server;
#[cfg(feature = "demo")]
mod support;
