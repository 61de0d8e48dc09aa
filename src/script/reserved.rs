//! Keys of the key-value store that the runtime keeps for itself, beside those of the script.

/// Keys that begin so are refused by `store::` and not listed by it. Nothing sorts behind them, so that a list of
/// keys has room for all others first.
pub(super) const PREFIX: &str = "\u{10ffff}";

/// When a cron line last came due.
pub(super) fn cron(name: &str) -> String {
    format!("{PREFIX}cron/{name}")
}
