//! `hear`: handlers that want messages in which an expression occurs.

use rhai::{FnPtr, Map};

use crate::event::Message;
use crate::script::declare::{Declared, HANDLERS, Handler, HandlerOptions, known_keys, room, text};
use crate::script::error::{Kind, Thrown};
use crate::script::pattern::Pattern;
use crate::stanza::MessageKind;

/// What a `hear` listens for.
#[derive(Clone)]
pub(super) struct Heard {
    pub pattern: Pattern,
    place: Ears,
}

/// Where a `hear` listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ears {
    /// What is said to the bot: one to one, and in rooms where it is addressed.
    Addressed,
    /// Everything the bot gets to read.
    Any,
    /// One to one.
    Direct,
    /// In rooms.
    Room,
}

/// Event under which a `hear` is noted.
pub(super) const HEAR: &str = "hear";

/// Most patterns of one script.
const MOST: usize = 100;

impl Declared {
    /// Notes a `hear`.
    pub(super) fn hear(
        &mut self,
        source: &str,
        opts: &Map,
        function: FnPtr,
        line: usize,
    ) -> Result<(), Thrown> {
        room(self.handlers.len(), HANDLERS, "handlers")?;
        known_keys("hear", opts, &[HandlerOptions::KEYS, &["where"]].concat())?;
        let place = match text(opts, "where")?.as_deref() {
            None => Ears::Addressed,
            Some("any") => Ears::Any,
            Some("direct") => Ears::Direct,
            Some("room") => Ears::Room,
            Some(other) => {
                let message = format!("`where` is `any`, `direct` or `room`, not `{other}`");
                return Err(Thrown::new(Kind::Declaration, message));
            }
        };
        if self.handlers.iter().filter(|handler| handler.heard.is_some()).count() >= MOST {
            let thrown = Thrown::new(Kind::Declaration, format!("more than {MOST} patterns in one script"));
            return Err(thrown.hint("one pattern can have many words: `#\"(?i)\\b(one|two|three)\\b\"#`"));
        }
        let heard = Heard { pattern: Pattern::new(source, Kind::Declaration)?, place };
        let call = self.callback(function, 2, "the function of `hear`")?;
        let options = HandlerOptions::read(opts)?;
        self.handlers.push(Handler { heard: Some(heard), ..options.handler(HEAR, call, line) });
        Ok(())
    }
}

impl Heard {
    /// Whether the message is one to listen to.
    pub(super) fn listens(&self, message: &Message, addressed: bool) -> bool {
        let direct = match message.kind {
            MessageKind::Chat | MessageKind::Normal => true,
            MessageKind::Groupchat => false,
            MessageKind::Headline => return false,
        };
        match self.place {
            Ears::Addressed => direct || addressed,
            Ears::Any => true,
            Ears::Direct => direct,
            Ears::Room => !direct,
        }
    }
}
