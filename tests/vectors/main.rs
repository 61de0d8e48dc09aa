//! Inputs and expected results that other projects and specifications made.
//!
//! The folder of the vectors is named by `RHAPSODE_VECTORS`; without it these tests say that they
//! were skipped. Where it is named, a missing file fails.

mod addresses;
mod caps;
mod dates;
mod folder;
mod sasl;
mod utf8;
mod xep_examples;
