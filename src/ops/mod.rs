//! One running process: its service, its control socket, its watcher, its log, and how problems are shown.

pub mod control;
pub mod dead;
#[cfg(test)]
mod documented;
pub mod findings;
pub mod glob;
mod line;
pub mod log;
pub mod person;
pub mod register;
pub mod reload;
pub mod render;
pub mod report;
mod sarif;
pub mod scripts;
pub mod service;
pub mod signal;
mod unwanted;
pub mod watch;
pub mod why;
