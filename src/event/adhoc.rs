//! What people do with the commands that their client shows as a menu, XEP-0050.

use crate::jid::Jid;
use crate::xml::Element;

/// A request about the account's commands. It is owed one answer: [`crate::action::Action::Answer`] with the same
/// sender and id.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRequest {
    /// Who asks: a real address, never that of a room's occupant.
    pub from: Jid,
    /// The `id` of the request.
    pub id: String,
    /// What is asked.
    pub ask: CommandAsk,
}

/// What somebody asks about commands.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandAsk {
    /// What a node is, XEP-0030.
    Info { node: String },
    /// Which commands there are, XEP-0030.
    Items,
    /// Do something.
    Step(CommandStep),
}

/// One step of a command, XEP-0050 §3.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandStep {
    /// The command.
    pub node: String,
    /// What the account has called this use of it; absent in the first step.
    pub session: Option<String>,
    /// What is to be done.
    pub act: CommandAct,
    /// The form that came with it, `<x xmlns='jabber:x:data'/>`, unchecked.
    pub form: Option<Element>,
}

/// `action` of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandAct {
    /// End it without an effect.
    Cancel,
    /// Do it.
    Complete,
    /// Begin, or go on with what the stage does by default.
    #[default]
    Execute,
    /// Go on to the next stage.
    Next,
    /// Go back to the stage before.
    Prev,
}
