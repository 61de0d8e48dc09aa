//! What one script thread does: takes the next bot of its lane and runs a row of what waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::script::data::Read;
use crate::script::host::Host;
use crate::script::pool::lost::Lost;
use crate::script::pool::{Shared, run_row};
use crate::script::{Turned, batch, turn};

/// What one script thread does.
pub(super) fn work(shared: &Arc<Shared>, slow: bool, reader: Box<dyn Read>) {
    let mut host = Host::new();
    let mut reader = Some(reader);
    let lane = if slow { &shared.slow } else { &shared.fast };
    while let Some(cell) = lane.next(&shared.stopping) {
        let work = cell.take_work();
        let lost = Lost::of(&work.items);
        let row = || run_row(shared, &cell, work, &mut host, &mut reader);
        if catch_unwind(AssertUnwindSafe(row)).is_ok() {
            continue;
        }
        // A fault of the program outside of a turn. The row is lost, the thread and the bot are not.
        tracing::error!(bot = %cell.identity.name, "the program panicked around a turn; please report it");
        drop(turn::leave());
        host = Host::new();
        if reader.is_none() {
            reader = shared.data.reader().inspect_err(|error| tracing::error!(%error, "no reader")).ok();
        }
        let name = cell.identity.name.clone();
        let settle = || lost.settle(shared, &cell, &mut reader);
        if catch_unwind(AssertUnwindSafe(settle)).is_err() {
            tracing::error!(bot = name, "the program panicked once more after it had lost a row");
            batch::tell(shared, &cell, Turned::default());
        }
    }
}
