//! A bot hears what another bot of this process says with `peer::tell`.

use std::sync::Arc;

use rhai::Dynamic;

use crate::event::Timer;
use crate::script::api::peer::{Tell, TellObject};
use crate::script::bot::{Bot, Progress};
use crate::script::declare::Wants;
use crate::script::host::Host;
use crate::script::instance::Surroundings;

impl Bot {
    /// Another bot has said something.
    pub(super) fn told(
        &mut self,
        timer: &Timer,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let event = format!("tell:{}", timer.name);
        let tell = Tell::read(timer);
        around.hops = tell.hops;
        let before = progress.turns;
        let object = Dynamic::from(TellObject(Arc::new(tell)));
        self.chain(&[event.as_str()], Wants::default(), key, &object, host, around, progress);
        if progress.turns == before {
            tracing::warn!(bot = %self.identity.name, event, "no script handles what another bot said");
        }
    }
}
