//! What handlers of `reaction`, `retract` and `marker` are given.

use std::sync::Arc;

use rhai::{Dynamic, Module};

use crate::event::{Remark, RemarkKind};
use crate::script::api::{Area, Function, getter, optional};

pub(super) const AREA: Area = Area {
    title: "Reactions, retractions and markers",
    module: None,
    about: "What handlers of `reaction`, `retract` and `marker` are given. Nobody vouches for the id: keep the ids of what the bot has said (`m.reply` gives them), and compare. Corrections come as messages, to `edit`.",
    objects: &[("n", "Remark")],
    functions: &[
        Function::new(
            "n.from: string",
            "The sender's address; in a room, that of the occupant.",
            r#"on("reaction", |n| log::info(n.from));"#,
        ),
        Function::new(
            "n.place: string",
            "Where an answer goes.",
            r#"on("reaction", |n| bot::send(n.place, "thank you"));"#,
        ),
        Function::new(
            "n.room: string",
            "The room, or nothing.",
            r#"on("reaction", |n| log::info(`${n.room}`));"#,
        ),
        Function::new(
            "n.nick: string",
            "What to call the sender.",
            r#"on("retract", |n| log::info(n.nick));"#,
        ),
        Function::new(
            "n.who: string",
            "The strongest identity known, as `m.who`.",
            r#"on("reaction", |n| { store::set("vote/" + n.who, n.emojis); });"#,
        ),
        Function::new(
            "n.about: string",
            "The id of the message it is about: in rooms the one that the room gave it.",
            r#"on("retract", |n| { store::del("quote/" + n.about); });
on("marker", |n| log::debug(`read up to ${n.about}`));"#,
        ),
        Function::new(
            "n.emojis: array",
            "`reaction`: the reactions that hold now, in place of earlier ones; none takes them back.",
            r#"on("reaction", |n| if "👍" in n.emojis { store::incr("likes"); });"#,
        ),
    ],
    register,
};

#[derive(Clone)]
struct RemarkObject(Arc<Remark>);

/// A remark as scripts hold it.
pub(super) fn object(remark: &Remark) -> Dynamic {
    Dynamic::from(RemarkObject(Arc::new(remark.clone())))
}

fn register(module: &mut Module) {
    module.set_custom_type::<RemarkObject>("Remark");
    getter(module, "from", |n: &mut RemarkObject| n.0.from.as_str().to_owned());
    getter(module, "place", |n: &mut RemarkObject| n.0.place.as_str().to_owned());
    getter(module, "room", |n: &mut RemarkObject| optional(n.0.room.as_ref().map(|room| room.as_str())));
    getter(module, "nick", |n: &mut RemarkObject| n.0.nick.clone());
    getter(module, "who", |n: &mut RemarkObject| n.0.who.clone());
    getter(module, "about", |n: &mut RemarkObject| n.0.about.clone());
    getter(module, "emojis", |n: &mut RemarkObject| match &n.0.what {
        RemarkKind::Reactions(emojis) => {
            Dynamic::from_array(emojis.iter().map(|emoji| emoji.as_str().into()).collect())
        }
        RemarkKind::Displayed | RemarkKind::Retracted => Dynamic::from_array(Vec::new()),
    });
}
