//! HTTP both ways: requests that scripts make, and webhooks that others call.

pub mod client;
pub mod server;
#[cfg(test)]
mod tests;
