//! Counting what each thread holds, so that a turn that allocates too much can be stopped.
//!
//! Rhai's own limits do not bound memory: `m[k] = v` and closures that capture arrays pass them all. The
//! allocator counts per thread; the sandbox looks at the difference since the turn began.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a counter per thread.
pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes allocated minus bytes freed by this thread. Negative where it frees what others allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that was held since [`mark`].
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Bytes this thread has allocated and not freed; only differences mean something.
pub fn held() -> isize {
    HELD.with(Cell::get)
}

/// Starts to watch for the most that is held at once.
pub(super) fn mark() {
    PEAK.set(held());
}

/// The most that was held at once since [`mark`], what is [`uncounted`] included.
pub(super) fn peak() -> isize {
    PEAK.get()
}

/// Runs `work` without counting what it allocates and frees: for what leaves the script, and so is freed elsewhere.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(isize);
    impl Drop for Restore {
        fn drop(&mut self) {
            HELD.with(|held| held.set(self.0));
        }
    }
    let _restore = Restore(held());
    work()
}

fn count(bytes: isize) {
    // A thread that is ending has no counter any more, and runs no script either.
    let _ended = HELD.try_with(|held| {
        let now = held.get().wrapping_add(bytes);
        held.set(now);
        if bytes > 0 {
            PEAK.with(|peak| peak.set(peak.get().max(now)));
        }
    });
}

// SAFETY: every call goes unchanged to `System`, which keeps the contract; counting touches no memory but a
// thread-local cell that has no destructor and is initialised at compile time, so it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `pointer` came from `System` with this layout, for `alloc` above passes it on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as for `dealloc`; `size` is the caller's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_a_thread_allocates_and_frees() {
        let before = held();
        let mut bytes = vec![0u8; 10_000];
        assert_eq!(held() - before, 10_000);
        bytes.reserve_exact(20_000);
        assert_eq!(held() - before, 30_000);
        drop(bytes);
        assert_eq!(held(), before);
    }

    #[test]
    fn the_peak_stays_when_what_made_it_is_freed() {
        mark();
        let before = held();
        drop(vec![0u8; 40_000]);
        drop(uncounted(|| vec![0u8; 10_000]));
        assert_eq!(peak() - before, 40_000);
        mark();
        assert!(peak() - before < 40_000);
    }

    #[test]
    fn uncounted_work_leaves_no_trace_even_when_it_panics() {
        let before = held();
        let kept = uncounted(|| vec![0u8; 5_000]);
        assert_eq!(held(), before);
        let outcome =
            std::panic::catch_unwind(|| uncounted(|| -> () { std::panic::resume_unwind(Box::new(())) }));
        drop(uncounted(|| outcome));
        uncounted(|| drop(kept));
        assert!((held() - before).abs() < 64, "{}", held() - before);
    }
}
