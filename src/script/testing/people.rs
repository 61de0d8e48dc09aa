//! People and rooms in tests: what they do.

use rhai::EvalAltResult;

use crate::script::error::{Kind, Thrown};
use crate::script::testing::playing::{self, known};
use crate::script::testing::stage::{Act, Place, Sent};

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// A world of a test, by its number.
#[derive(Clone)]
pub(super) struct Sim(pub usize);

/// Somebody in a world.
#[derive(Clone)]
pub(super) struct Person {
    pub sim: usize,
    pub jid: String,
}

/// A room in a world, with the bot in it.
#[derive(Clone)]
pub(super) struct Hall {
    pub sim: usize,
    pub jid: String,
}

impl Person {
    pub(super) fn place(&self) -> Place {
        Place::Direct(self.jid.clone())
    }
}

impl Hall {
    pub(super) fn place(&self) -> Place {
        Place::Room(self.jid.clone())
    }
}

/// The address that a name stands for in a world.
pub(super) fn address(sim: usize, name: &str) -> Checked<String> {
    playing::world(sim, |world| world.stage.address(name).map_err(|why| Thrown::new(Kind::Runtime, why)))
}

/// Does something to a world, and remembers it in these words.
pub(super) fn act(sim: usize, words: String, act: Act) -> Checked<String> {
    playing::act(|playing| {
        playing.note(words);
        known(playing, sim)?.act(&act)
    })
}

/// The room of a name: an address, or what `t.room(…)` gave.
pub(super) fn room(sim: usize, name: &str) -> Checked<String> {
    if !name.contains('@') {
        let thrown = Thrown::new(Kind::Runtime, format!("`{name}` is no room"));
        return Err(thrown.hint("write its address: \"team@rooms.example.org\"").into());
    }
    address(sim, name)
}

/// Somebody sends something.
pub(super) fn send(who: &Person, room: Option<String>, whispered: bool, what: Sent) -> Checked<String> {
    let words = match &what {
        Sent::Text(text) => text.clone(),
        Sent::Edit { id, text } => format!("(instead of {id}) {text}"),
        Sent::Reaction { id, emoji } => format!("({} to {id})", emoji.join(" ")),
        Sent::Retraction { id } => format!("(takes back {id})"),
    };
    let within = room.as_ref().map(|room| format!(" in {room}")).unwrap_or_default();
    let words = format!("{}{within}: {words}", who.jid);
    act(who.sim, words, Act::Send { who: who.jid.clone(), room, whispered, what })
}
