//! The program as its users have it, against Prosody and ejabberd, with slixmpp and go-sendxmpp as people.
//!
//! Needs what `tests/all.sh` installs. A server that is missing fails the test: nothing here is ever skipped.
//! The ports are fixed, so one test runs at a time: `cargo test --test servers -- --test-threads=1`.

mod account;
mod adhoc;
mod blocking;
mod certificates;
mod component;
mod demo;
mod everyday;
mod files;
mod fleet;
mod foreign_client;
mod kills;
mod login;
mod passwords;
mod profile;
mod replies;
mod resumption;
mod rooms;
mod sending;
mod spoofing;
mod subscription;
mod support;
mod tokens;
mod websocket;
