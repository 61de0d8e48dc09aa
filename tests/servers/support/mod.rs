//! What the tests stand on: servers, the program, people, and a wire that can be cut.

pub mod bed;
pub mod gosend;
pub mod person;
pub mod program;
pub mod proxy;
pub mod watch;
