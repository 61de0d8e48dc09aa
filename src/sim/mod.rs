//! A simulated world: one bot, its server, people and rooms, on a clock that only moves when it is told to.
//!
//! It is made of the real parts: the initiating and the receiving stream with stream management between them, the
//! session, the script pool, the SQLite store, the server's domain and rooms. Simulated are only the bytes' way,
//! the clock, the chance, and the answers of other people's HTTP servers. What happens follows from the input and
//! the seed.
//!
//! In reading order: `world`, `process` (what a program that runs the bot would be), `person`, `web`; then
//! `transcript`, the format in which conversations are written down; `casting`, from its header to a world; `play`, which
//! holds one against a world, and `leftover`, what one leaves to the next; `examples`, which does so for those
//! of commands; `suite`, the kinds of tests.

pub mod broken;
pub mod casting;
pub mod clock;
mod compare;
pub mod examples;
mod leftover;
mod person;
pub mod play;
mod process;
mod rehearsal;
pub mod suite;
pub mod transcript;
mod web;
pub mod world;
