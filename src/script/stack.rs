//! Threads with a stack that holds the longest chain of script values: they are freed recursively.

use std::cell::Cell;

/// Bytes of stack. Only what is used becomes memory.
pub(super) const STACK: usize = 64 * 1024 * 1024;

thread_local! {
    static SCRIPT_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread that may compile, run and drop script values.
pub(super) fn spawn(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || {
        SCRIPT_THREAD.set(true);
        work();
    })
}

/// Runs `work` here if this is a script thread, else on a new one, and waits.
pub(super) fn on_script_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if SCRIPT_THREAD.get() {
        return work();
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, move || {
            SCRIPT_THREAD.set(true);
            work()
        });
        // Without threads nothing of this program runs; a panic of `work` goes on here.
        match thread.expect("the system gives no thread").join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
