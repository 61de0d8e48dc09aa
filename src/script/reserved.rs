//! Keys of the key-value store that the runtime keeps for itself, beside those of the script.

use crate::script::web::GUARD;

/// Keys that begin so are refused by `store::` and not listed by it. Nothing sorts behind them, so that a list of
/// keys has room for all others first.
pub(super) const PREFIX: &str = "\u{10ffff}";

/// Whether a key or the name of a timer is one that the runtime has made for itself.
pub fn is_own(name: &str) -> bool {
    name.starts_with(PREFIX) || name == GUARD
}

/// When a cron line last came due.
pub(super) fn cron(name: &str) -> String {
    format!("{PREFIX}cron/{name}")
}
