//! What an operator sees: problems, logs, the state of the process.

pub mod render;
