//! One XMPP stream, RFC 6120 §4, without a socket, a clock or a task.

pub mod sasl;
