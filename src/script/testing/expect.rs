//! What a test expects: of people, of rooms, of a world, and of values.

use rhai::{Dynamic, EvalAltResult, Map};

use crate::script::error::{Kind, Thrown};
use crate::script::pattern::Pattern;
use crate::script::printed::cut;
use crate::script::testing::playing::{self, LINES, known, line};
use crate::script::testing::stage::{Place, Sign};

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// Bytes of a value that is shown.
const SHOWN: usize = 400;

/// How the words are to be.
pub(super) enum Words<'a> {
    /// They have this in them.
    Part(&'a str),
    /// They are these.
    Whole(&'a str),
    /// They fit a regular expression.
    Regex(&'a str),
}

impl Words<'_> {
    fn fits(&self, text: &str) -> Checked<bool> {
        match self {
            Self::Part(part) => Ok(text.contains(part)),
            Self::Whole(whole) => Ok(text == *whole),
            Self::Regex(regex) => {
                let pattern = Pattern::recent(regex)?;
                pattern.check(text)?;
                Ok(pattern.occurs(text))
            }
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Part(part) => format!("…{part}…"),
            Self::Whole(whole) => (*whole).to_owned(),
            Self::Regex(regex) => format!("/{regex}/"),
        }
    }
}

/// The next that the bot says in a place has to be so; it comes back as `text` and `id`.
pub(super) fn said(sim: usize, place: &Place, words: &Words<'_>) -> Checked<Map> {
    let next = playing::world(sim, |world| {
        let here =
            |heard: &&super::stage::Heard| heard.place == *place && matches!(heard.what, Sign::Text(_));
        Ok(world.heard.iter().find(here).cloned())
    })?;
    if let Some(heard) = &next
        && let Sign::Text(text) = &heard.what
        && words.fits(text)?
    {
        return playing::world(sim, |world| {
            if let Some(index) = world.heard.iter().position(|known| known == heard) {
                world.heard.remove(index);
            }
            let mut said = Map::new();
            said.insert("text".into(), text.clone().into());
            said.insert("id".into(), heard.id.clone().into());
            Ok(said)
        });
    }
    let (Place::Direct(who) | Place::Room(who)) = place;
    let wanted = words.shown();
    playing::act(|playing| {
        let mut lines = line("- ", place, &wanted);
        let found = known(playing, sim)?;
        // What came elsewhere explains much, where nothing came here.
        let here = found.left(Some(place));
        let silent = here.is_empty();
        lines.extend(if silent { found.left(None) } else { here });
        lines.truncate(LINES);
        let hint = (silent && !found.stage.is_online())
            .then_some("the bot is not connected: `t.start()` or `t.link_up()` comes first");
        let message = match silent {
            true => format!("{who} has heard nothing more"),
            false => format!("{who} has heard something else"),
        };
        Err(playing.fail(message, lines, hint))
    })
}

/// Nothing more is said in a place, or anywhere.
pub(super) fn nothing(sim: usize, place: Option<&Place>) -> Checked<()> {
    playing::act(|playing| {
        let left = known(playing, sim)?.left(place);
        if left.is_empty() {
            return Ok(());
        }
        Err(playing.fail("the bot has said something here".to_owned(), left, None))
    })
}

/// Whatever has been said in a place counts as expected.
pub(super) fn skip(sim: usize, place: Option<&Place>) -> Checked<()> {
    playing::world(sim, |world| {
        world.heard.retain(|heard| place.is_some_and(|place| heard.place != *place));
        Ok(())
    })
}

/// The bot has done this in a place: the first such sign is taken.
pub(super) fn sign(sim: usize, place: &Place, wanted: &Sign) -> Checked<()> {
    playing::act(|playing| {
        let world = known(playing, sim)?;
        let here = |heard: &super::stage::Heard| heard.place == *place;
        if let Some(index) = world.heard.iter().position(|heard| here(heard) && heard.what == *wanted) {
            world.heard.remove(index);
            return Ok(());
        }
        let told = |sign: &Sign| match sign {
            Sign::Presence(kind) => format!("({kind})"),
            Sign::Reaction(emoji) => format!("(reaction {emoji})"),
            Sign::Text(text) => text.clone(),
        };
        let mut lines = line("- ", place, &told(wanted));
        for heard in world.heard.iter().filter(|heard| here(heard)).take(LINES) {
            lines.extend(line("+ ", place, &told(&heard.what)));
        }
        let (Place::Direct(who) | Place::Room(who)) = place;
        Err(playing.fail(format!("{who} has not seen this of the bot"), lines, None))
    })
}

/// So many messages have arrived since the beginning.
pub(super) fn sent(sim: usize, number: i64) -> Checked<()> {
    playing::act(|playing| {
        let world = known(playing, sim)?;
        let found = world.stage.sent();
        if usize::try_from(number) == Ok(found) {
            return Ok(());
        }
        let lines = world.left(None);
        Err(playing.fail(format!("the bot has sent {found} messages, not {number}"), lines, None))
    })
}

/// A turn has failed with this in its words.
pub(super) fn error(sim: usize, part: &str) -> Checked<String> {
    playing::act(|playing| {
        let world = known(playing, sim)?;
        match world.failures.iter().position(|failure| failure.to_string().contains(part)) {
            Some(index) => Ok(world.failures.remove(index).to_string()),
            None => Err(playing.fail(format!("no script has failed with `{part}`"), Vec::new(), None)),
        }
    })
}

/// Something is true.
pub(super) fn holds(condition: bool, message: Option<&str>) -> Checked<()> {
    if condition {
        return Ok(());
    }
    let message = message.map_or_else(|| "this is not true".to_owned(), |message| cut(message, SHOWN));
    playing::act(|playing| Err(playing.fail(message, Vec::new(), None)))
}

/// Two values are the same.
pub(super) fn equal(found: &Dynamic, wanted: &Dynamic) -> Checked<()> {
    let (one, other) = (plain(found)?, plain(wanted)?);
    if one == other {
        return Ok(());
    }
    let lines = vec![format!("- {}", cut(&other, SHOWN)), format!("+ {}", cut(&one, SHOWN))];
    playing::act(|playing| Err(playing.fail("these are not the same".to_owned(), lines, None)))
}

/// A value as JSON: what tests compare.
fn plain(value: &Dynamic) -> Result<serde_json::Value, Thrown> {
    let value = crate::script::values::to_json(value);
    value.map_err(|why| Thrown::new(Kind::Runtime, why).hint("compare texts, numbers, lists and maps"))
}
