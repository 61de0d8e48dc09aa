//! Which inbound stanzas are safe to acknowledge, XEP-0198 §4. Pure.
//!
//! Turns finish out of order; the acknowledgement covers only the prefix without a gap.

use std::collections::VecDeque;

/// Follows the stanzas of one session from arrival to commit. Counts are modulo 2³².
#[derive(Clone, Debug, Default)]
pub struct Handled {
    /// Everything up to here is done.
    prefix: u32,
    /// Open parts of the stanzas behind the prefix; 0 is done.
    open: VecDeque<u32>,
}

impl Handled {
    /// A session of which `prefix` stanzas are done.
    pub fn starting_at(prefix: u32) -> Self {
        Self { prefix, open: VecDeque::new() }
    }

    /// Stanza `number` arrived and became `parts` deliveries; with none it is done at once.
    pub fn on_stanza(&mut self, number: u32, parts: u32) {
        let expected = self.prefix.wrapping_add(self.open.len() as u32).wrapping_add(1);
        if number != expected {
            // The stream restarted its count: what was open belongs to a session that is gone.
            *self = Self::starting_at(number.wrapping_sub(1));
        }
        self.open.push_back(parts);
        self.advance();
    }

    /// One delivery of stanza `number` is committed. Late notices of an older session are ignored.
    pub fn on_done(&mut self, number: u32) {
        let index = number.wrapping_sub(self.prefix).wrapping_sub(1) as usize;
        if let Some(parts) = self.open.get_mut(index) {
            *parts = parts.saturating_sub(1);
        }
        self.advance();
    }

    /// The highest number up to which everything is done.
    pub fn prefix(&self) -> u32 {
        self.prefix
    }

    /// Stanzas that are not done.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn advance(&mut self) {
        while self.open.front() == Some(&0) {
            self.open.pop_front();
            self.prefix = self.prefix.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_waits_for_the_slowest() {
        let mut handled = Handled::default();
        handled.on_stanza(1, 1);
        handled.on_stanza(2, 0);
        handled.on_stanza(3, 2);
        assert_eq!(handled.prefix(), 0);
        handled.on_done(3);
        handled.on_done(1);
        assert_eq!(handled.prefix(), 2);
        handled.on_done(3);
        assert_eq!(handled.prefix(), 3);
        assert_eq!(handled.open(), 0);
    }

    #[test]
    fn counts_wrap_at_two_to_the_32() {
        let mut handled = Handled::starting_at(u32::MAX - 1);
        handled.on_stanza(u32::MAX, 1);
        handled.on_stanza(0, 1);
        handled.on_done(u32::MAX);
        handled.on_done(0);
        assert_eq!(handled.prefix(), 0);
    }

    #[test]
    fn a_notice_of_an_older_session_changes_nothing() {
        let mut handled = Handled::starting_at(7);
        handled.on_done(3);
        handled.on_stanza(8, 1);
        handled.on_done(7);
        assert_eq!(handled.prefix(), 7);
    }
}
