//! Rhapsode: XMPP chat bots as scripts, many accounts in one process.
//!
//! `docs/architecture.md` has the reading order. Each module may import only what its layer allows,
//! which `tests/architecture.rs` checks.

pub mod action;
pub mod actor;
pub mod cli;
pub mod config;
pub mod cron;
pub mod datetime;
pub mod diagnostic;
pub mod event;
pub mod hosts;
pub mod http;
pub mod ids;
pub mod jid;
pub mod moment;
pub mod net;
pub mod ns;
pub mod ops;
pub mod printable;
pub mod script;
pub mod secret;
#[cfg(feature = "demo")]
pub mod server;
pub mod session;
#[cfg(feature = "demo")]
pub mod sim;
pub mod stanza;
pub mod store;
pub mod stream;
pub mod xep;
pub mod xml;
