//! Integration tests in one binary: a module for each capability, over loopback sockets where one
//! is needed.

mod account;
mod adhoc;
mod benches;
#[cfg(feature = "demo")]
mod bots;
#[cfg(feature = "demo")]
mod chat;
#[cfg(feature = "demo")]
mod cli;
#[cfg(feature = "demo")]
mod crash;
#[cfg(feature = "demo")]
mod delivery;
#[cfg(feature = "demo")]
mod demo;
mod directions;
mod disk;
mod docs;
#[cfg(feature = "demo")]
mod guide;
#[cfg(feature = "demo")]
mod init;
#[cfg(feature = "demo")]
mod isolation;
#[cfg(feature = "demo")]
mod lifecycle;
#[cfg(feature = "demo")]
mod limits;
#[cfg(feature = "demo")]
mod outage;
#[cfg(feature = "demo")]
mod outbox;
mod pair;
#[cfg(feature = "demo")]
mod plan;
mod poison;
mod protocol;
#[cfg(feature = "demo")]
mod readme;
#[cfg(feature = "demo")]
mod rehearsal;
mod reload;
#[cfg(feature = "demo")]
mod rooms;
mod schema;
#[cfg(feature = "demo")]
mod security;
mod seed;
#[cfg(feature = "demo")]
mod server;
#[cfg(feature = "demo")]
mod status;
#[cfg(feature = "demo")]
mod steps;
mod support;
#[cfg(feature = "demo")]
mod swaps;
mod transcripts;
#[cfg(feature = "demo")]
mod web;
#[cfg(feature = "demo")]
mod why;
