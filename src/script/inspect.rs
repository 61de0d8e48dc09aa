//! What a script declares, and what in it cannot work, without running a handler: for `rhapsode check`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use rhai::{ASTNode, Expr, Stmt};
use serde_json::Value;

use crate::ids::Seed;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::script::ScriptUse;
use crate::script::data::{Data, Memory};
use crate::script::error::{Kind, ScriptError, nearest};
use crate::script::host::{Host, LOADED};
use crate::script::instance::{Instance, Surroundings};
use crate::script::metrics::Metrics;
use crate::script::overlay::Overlay;
use crate::script::rooms::Rooms;
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
    /// Calls of functions that do not exist: they fail when they are reached.
    pub problems: Vec<ScriptError>,
}

/// A command of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSeen {
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

/// Runs the top level of a script, with nothing to write to and nobody to send to, and looks for calls of unknown
/// functions everywhere.
///
/// # Errors
/// Why it does not load.
pub fn inspect(uses: &ScriptUse, now: Moment) -> Result<Inspected, ScriptError> {
    stack::on_script_thread(|| {
        let mut host = Host::new();
        let data = Memory::new(Arc::new(move || now.wall));
        let mut around = Surroundings {
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
        });
        let instance = Instance::load(uses.clone(), &identity, 0, &mut host, &mut around)?;
        let problems = unknown_calls(&instance, &mut host);
        let inspected = seen(&instance, problems);
        let _leaked = instance.dispose();
        Ok(inspected)
    })
}

fn seen(instance: &Instance, problems: Vec<ScriptError>) -> Inspected {
    let declared = &instance.declared;
    let command = |command: &crate::script::declare::Command| CommandSeen {
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
        problems,
    }
}

/// Calls by names that neither the script nor the engine has.
fn unknown_calls(instance: &Instance, host: &mut Host) -> Vec<ScriptError> {
    let inner = &instance.uses.compiled.inner;
    let mut known: BTreeSet<String> =
        host.engine_mut().gen_fn_signatures(true).iter().map(|s| name_of(s)).collect();
    known.extend(inner.functions.iter().cloned());
    known.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
    let site = instance.site(None);
    let mut problems = Vec::new();
    inner.ast.walk(&mut |path| {
        let call = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))) => Some((call, position)),
            Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => Some((call, position)),
            _ => None,
        };
        if let Some((call, position)) = call
            && call.op_token.is_none()
            // What a module of the script's own offers is only known to the engine.
            && (call.namespace.is_empty() || crate::script::api::area_names().any(|area| call.namespace.root() == area))
            && !known.contains(call.name.as_str())
            && !call.name.starts_with("anon$")
            && call.name != LOADED
        {
            let near = nearest(&call.name, known.iter().map(String::as_str));
            let kind = Kind::Runtime;
            problems.push(ScriptError {
                line: position.line().unwrap_or(0),
                column: position.position().unwrap_or(0),
                hint: near.map(|near| format!("did you mean `{near}`?")),
                ..site.plain(kind, format!("unknown function `{}`", call.name))
            });
        }
        true
    });
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup();
    problems
}

/// Functions that the language itself has.
const KEYWORDS: &[&str] =
    &["Fn", "call", "curry", "is_def_fn", "is_def_var", "is_shared", "print", "debug", "type_of", "this"];

/// `get` of `store::get(key: &str) -> Dynamic`.
fn name_of(signature: &str) -> String {
    let path = signature.split('(').next().unwrap_or(signature);
    path.rsplit("::").next().unwrap_or(path).trim().trim_start_matches("get$").to_owned()
}
