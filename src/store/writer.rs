//! The one thread that writes.
pub(super) struct Writer;
