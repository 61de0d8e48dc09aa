//! The last so many things that were seen, with what was noted about them.

use std::collections::{BTreeMap, VecDeque};

/// A bounded memory: the oldest goes when a new one comes.
#[derive(Clone, Debug)]
pub struct Window<K, V = ()> {
    known: BTreeMap<K, V>,
    order: VecDeque<K>,
    limit: usize,
}

impl<K: Ord + Clone, V> Window<K, V> {
    /// An empty memory for `limit` things.
    pub fn new(limit: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), limit }
    }

    /// Notes `key`; says whether it is new. A known one keeps its place and its note.
    pub fn insert(&mut self, key: K, note: V) -> bool {
        if self.known.contains_key(&key) {
            return false;
        }
        self.known.insert(key.clone(), note);
        self.order.push_back(key);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// What is noted about `key`; where it is new, `first` is noted.
    pub fn entry(&mut self, key: K, first: impl FnOnce() -> V) -> &mut V {
        if !self.known.contains_key(&key) {
            self.order.push_back(key.clone());
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(key).or_insert_with(first)
    }

    /// Changes what was noted about each.
    pub fn change(&mut self, mut with: impl FnMut(&K, &mut V)) {
        self.known.iter_mut().for_each(|(key, note)| with(key, note));
    }

    /// What was noted about `key`, while it is remembered.
    pub fn find(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut window = Window::new(2);
        assert!(window.insert("a", 1));
        assert!(window.insert("b", 2));
        assert!(!window.insert("a", 9));
        assert_eq!(window.find(&"a"), Some(&1));
        assert!(window.insert("c", 3));
        assert_eq!((window.find(&"a"), window.find(&"b"), window.find(&"c")), (None, Some(&2), Some(&3)));
        assert_eq!((window.known.len(), window.order.len()), (2, 2));
    }
}
