//! The embedded server: one domain with accounts, rosters, presence, offline messages and rooms,
//! in memory and on loopback only.
//!
//! It is for trying out, for tests and for benchmarks. The protocol of the stream is not written a
//! second time: `connection` drives the receiving role of [`crate::stream`]. What a server decides
//! about stanzas is in `domain` and `room`, which know no socket and no clock.
//!
//! In reading order: the options, certificates, listening, the connection, the hub, guests, the
//! domain and the rooms.

mod account;
pub mod archive;
mod certificate;
mod connection;
mod credentials;
pub mod domain;
pub mod guest;
mod hub;
mod link;
mod listen;
pub mod options;
mod presence;
mod registration;
mod requests;
mod room;
mod room_config;
mod rooms;
mod roster;
mod routing;
pub mod running;
pub mod simulated;
mod talk;
mod vocabulary;

#[cfg(test)]
mod domain_tests;

pub use options::{Certificates, ServerOptions};
pub use running::{Counts, Running, Server, ServerError, SessionReport};
