//! The actors, and who tells whom what.
//!
//! ```text
//!             ┌──────────── registry (1) ────────────┐
//!             │ specs, backoff, plan                  │
//!    start / restart / stop                    Down (drop guard)
//!             │                                       │
//!    ┌────────▼────────┐   Deliver       ┌────────────▼──┐
//!    │ account         ├────────────────▶│ bot           │
//!    │ stream, session │◀──────┐         │ its queue     │
//!    └──▲──────────┬───┘ Turned│         └───────┬───────┘
//!  Inbound      transmit       │                  │ batches
//!  (reply gated)   │           └─────────── script pool, then store
//!    ┌──┴──────────▼───┐
//!    │ link task       │
//!    └─────────────────┘
//! ```
//!
//! Nothing here holds protocol rules: they are in `stream` and `session`.
//! No handler waits; slow work goes to a thread and comes back through an [`inbox::Inbox`].

pub mod account;
pub mod backoff;
pub mod bot;
pub mod component;
pub mod deps;
pub mod derive;
pub mod drill;
pub mod handled;
pub mod inbox;
pub mod ledger;
pub mod message;
pub mod notice;
pub mod registry;
pub mod runtime;
pub mod status;
pub mod throttle;
pub mod transport;
