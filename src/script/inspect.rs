//! What a script declares, without running a handler: for `rhapsode check`.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use serde_json::Value;

use crate::ids::Seed;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::script::ScriptUse;
use crate::script::data::{Data, Memory};
use crate::script::error::ScriptError;
use crate::script::host::Host;
use crate::script::instance::{Instance, Surroundings};
use crate::script::metrics::Metrics;
use crate::script::overlay::Overlay;
use crate::script::rooms::Rooms;
use crate::script::speech;
use crate::script::stack;
use crate::script::turn::Identity;

/// What a script declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspected {
    /// Events with a handler, with the line of each.
    pub events: Vec<(String, usize)>,
    /// Commands.
    pub commands: Vec<CommandSeen>,
    /// Settings.
    pub options: Vec<OptionSeen>,
    /// Cron lines, with the line of each.
    pub cron: Vec<(String, usize)>,
    /// Repetitions, with the line of each.
    pub every: Vec<(Duration, usize)>,
    /// Webhooks.
    pub webhooks: Vec<WebhookSeen>,
}

impl Inspected {
    /// Whether an event of that name has a handler.
    pub fn handles(&self, event: &str) -> bool {
        self.events.iter().any(|(name, _)| name == event)
    }
}

/// A command of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSeen {
    /// Its name and its other names.
    pub names: Vec<String>,
    /// How it is typed.
    pub usage: String,
    /// Its help text.
    pub help: String,
    /// What is typed and what is answered, as the script says.
    pub examples: Vec<(String, String)>,
    /// Roles that bots.yaml has to know.
    pub roles: Vec<String>,
    /// Its line.
    pub line: usize,
}

/// A webhook of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSeen {
    /// Its name.
    pub name: String,
    /// Methods it takes.
    pub methods: Vec<String>,
    /// Its line.
    pub line: usize,
}

/// A setting of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionSeen {
    /// Its name.
    pub name: String,
    /// Its value where none is given.
    pub default: Value,
    /// Its help text.
    pub help: String,
    /// Its line.
    pub line: usize,
}

/// Runs the top level of a script, with nothing to write to and nobody to send to.
///
/// # Errors
/// Why it does not load.
pub fn inspect(uses: &ScriptUse, now: Moment) -> Result<Inspected, ScriptError> {
    stack::on_script_thread(|| {
        let mut host = Host::new();
        let data = Memory::new(Arc::new(move || now.wall));
        let mut around = Surroundings {
            flight: None,
            reader: data.reader().ok(),
            data: Arc::new(data),
            moment: now,
            seed: Seed([0; 32]),
            pending: Overlay::default(),
            hops: 0,
        };
        let identity = Arc::new(Identity {
            name: String::new(),
            // A literal that every reading of RFC 7622 accepts.
            jid: BareJid::parse("bot@localhost").expect("a valid address"),
            contacts: RwLock::default(),
            people: RwLock::default(),
            bots: Arc::new(RwLock::default()),
            asking: Arc::default(),
            names: Arc::new(RwLock::default()),
            rooms: Rooms::default(),
            rates: Mutex::default(),
            metrics: Metrics::default(),
            speech: RwLock::default(),
            stanza: speech::USUAL.into(),
        });
        let instance = Instance::load(uses.clone(), &identity, 0, &mut host, &mut around)?;
        let inspected = seen(&instance);
        let _leaked = instance.dispose();
        Ok(inspected)
    })
}

fn seen(instance: &Instance) -> Inspected {
    let declared = &instance.declared;
    let command = |command: &crate::script::declare::Command| CommandSeen {
        names: std::iter::once(&command.spec.name).chain(&command.alias).cloned().collect(),
        usage: command.spec.usage(),
        help: command.help.clone(),
        examples: command.examples.clone(),
        roles: command.allow.iter().filter_map(|allowed| allowed.role()).map(str::to_owned).collect(),
        line: command.line,
    };
    let option = |(name, option): (&String, &crate::script::declare::OptionSpec)| OptionSeen {
        name: name.clone(),
        default: option.default.clone(),
        help: option.help.clone(),
        line: option.line,
    };
    Inspected {
        events: declared.handlers.iter().map(|handler| (handler.event.clone(), handler.line)).collect(),
        commands: declared.commands.iter().map(command).collect(),
        options: declared.options.iter().map(option).collect(),
        cron: declared.cron.iter().map(|cron| (cron.job.cron.line().to_owned(), cron.line)).collect(),
        every: declared.every.iter().map(|every| (every.span, every.line)).collect(),
        webhooks: declared
            .webhooks
            .iter()
            .map(|webhook| WebhookSeen {
                name: webhook.hook.name.clone(),
                methods: webhook.hook.methods.clone(),
                line: webhook.line,
            })
            .collect(),
    }
}
