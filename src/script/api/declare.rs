//! Declarations: `on`, `hear`, `command`, `every`, `option`.

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, Module, NativeCallContext};

use crate::script::api::{self, Area, Function};
use crate::script::host::set;
use crate::script::turn;

pub(super) const AREA: Area = Area {
    title: "Declarations",
    module: None,
    about: "They stand at the top level of a script and say what it reacts to. A reload replaces them as a whole.",
    objects: &[],
    functions: &[
        Function {
            signature: "on(event: string, f: |e|)",
            about: "Calls `f` with every event of that name. The events are listed above.",
            example: r#"on("message", |m| m.reply(`you said: ${m.text}`));"#,
        },
        Function {
            signature: "on(event: string, opts: map, f: |e|)",
            about: "The same with options: `priority` (an int; higher runs earlier, also across `hear`), `rooms` (an array: only messages from these), and `delayed`, `carbons`, `own`, `encrypted`, which also let in history, copies from other devices, what bots of this process wrote, and what cannot be read.",
            example: r#"on("message", #{ priority: 10 }, |m| {
    if m.text == "quiet" { m.stop(); }
});"#,
        },
        Function {
            signature: "command(spec: string, help: string, f: |m, a|)",
            about: "A command, typed as `!name`. `spec` is the name and its arguments: `<a:type>` must be given, `[b:type=default]` may be left out. Types: `word int float bool jid room user span when choice(a|b) rest`. Usage and `!help` are answered by the runtime.",
            example: r#"command("roll <sides:int> [times:int=1]", "Roll dice", |m, a| {
    m.reply(`${a.times} x ${a.sides}`);
});"#,
        },
        Function {
            signature: "command(spec: string, opts: map, f: |m, a|)",
            about: "The same with options: `help`; `alias` (other names); `where` (`\"any\"`, `\"direct\"` or `\"room\"`); `hidden`; `allow` (`admin`, roles of bots.yaml, addresses, domains, or in rooms `owner`, `room:admin`, `member`, `moderator`, `participant`, `visitor`); `cooldown` (a span that each person waits between two uses that went well); `confirm` (`true` or a question: it runs when its caller says yes within two minutes); `example` (`[\"!roll 2d6\", \"You rolled …\"]` or an array of such pairs, for `!help roll` and for tests).",
            example: r#"command("stop", #{ help: "Stop it", allow: ["admin"], alias: ["halt"] }, |m, a| m.reply("stopped"));
command("wipe", #{ help: "Forget all", confirm: "Forget everything?", cooldown: "1m", example: ["!wipe", "Forget everything?"] },
    |m, a| m.reply("forgotten"));"#,
        },
        Function {
            signature: "hear(regex: string, f: |m, caps|)",
            about: "Calls `f` with messages in which the expression occurs: one to one, and in rooms where the bot is addressed. `caps` has what matched. The expression takes linear time, so it has no look-around; it looks at the first 64 KiB of a text, a large one at less.",
            example: r##"hear(#"(?i)\b(refund|money back)\b"#, |m, caps| m.reply(`About ${caps[1]}: ask !human`));"##,
        },
        Function {
            signature: "hear(regex: string, opts: map, f: |m, caps|)",
            about: "The same with the options of `on`, and `where`: `\"direct\"`, `\"room\"` (all room talk) or `\"any\"`.",
            example: r##"hear(#"hello (?<name>\w+)"#, #{ where: "any", priority: 5 }, |m, caps| m.reply(`who is ${caps["name"]}?`));"##,
        },
        Function {
            signature: "every(span: string|int, f: ||)",
            about: "Calls `f` again and again, the first time one span after loading. At least a second.",
            example: r#"every("15m", || log::info("a quarter of an hour"));"#,
        },
        Function {
            signature: "cron(line: string, f: |t|)",
            about: "Calls `f` whenever the clock shows what `line` says: minute, hour, day of month, month, day of week, or `@daily` and the like. It goes by the bot's `timezone` in bots.yaml, else by UTC. In the hour that summer time skips, one fixed time comes at its end; in the doubled hour it comes once; what recurs within the day follows the clock. `t.due` is the slot, `t.late_s` how late it comes. While the program runs no slot is lost; those that pass while it is down are left out.",
            example: r#"cron("0 9 * * MON-FRI", |t| log::info(`good morning, it is ${time::show(t.due)}`));"#,
        },
        Function {
            signature: "cron(line: string, opts: map, f: |t|)",
            about: "The same with options: `timezone` (`\"Europe/Oslo\"`); `catch_up` (true: the last slot that passed while the program was down comes once, late); `name` (by which the last slot is remembered; otherwise by the line itself). A clock set back by up to an hour repeats no slot.",
            example: r#"cron("30 17 * * *", #{ timezone: "Europe/Oslo", name: "evening", catch_up: true }, |t| {
    if t.late_s > 60 { log::warn(`${t.late_s} s late`); }
});"#,
        },
        Function {
            signature: "option(name: string, default, help: string)",
            about: "A setting of the script: gives the value under `config` of bots.yaml where there is one, else `default`, whose type it must have. Also `config.name` anywhere.",
            example: r#"const MAX = option("max_len", 400, "longest text that is echoed");
on("message", |m| if m.text.len() <= MAX { m.reply(m.text); });"#,
        },
        Function {
            signature: "option(name: string, default)",
            about: "The same without a help text.",
            example: r#"const GREETING = option("greeting", "hello");
on("message", |m| m.reply(GREETING));"#,
        },
    ],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    set(module, "on", |context: NativeCallContext, event: &str, f: FnPtr| {
        on(&context, event, &Map::new(), f)
    });
    set(module, "on", |context: NativeCallContext, event: &str, opts: Map, f: FnPtr| {
        on(&context, event, &opts, f)
    });
    set(module, "command", |context: NativeCallContext, spec: &str, help: &str, f: FnPtr| {
        let opts = Map::from([("help".into(), help.into())]);
        command(&context, spec, &opts, f)
    });
    set(module, "command", |context: NativeCallContext, spec: &str, opts: Map, f: FnPtr| {
        command(&context, spec, &opts, f)
    });
    set(module, "hear", |context: NativeCallContext, regex: &str, f: FnPtr| -> Checked<()> {
        turn::declare(|_, declared| declared.hear(regex, &Map::new(), f, line(&context)))
    });
    set(module, "hear", |context: NativeCallContext, regex: &str, opts: Map, f: FnPtr| -> Checked<()> {
        turn::declare(|_, declared| declared.hear(regex, &opts, f, line(&context)))
    });
    set(module, "every", |context: NativeCallContext, span: Dynamic, f: FnPtr| -> Checked<()> {
        turn::declare(|_, declared| declared.every(api::span(&span)?, f, line(&context)))
    });
    set(module, "cron", |context: NativeCallContext, cron: &str, f: FnPtr| {
        self::cron(&context, cron, &Map::new(), f)
    });
    set(module, "cron", |context: NativeCallContext, cron: &str, opts: Map, f: FnPtr| {
        self::cron(&context, cron, &opts, f)
    });
    set(module, "option", |context: NativeCallContext, name: &str, default: Dynamic| {
        option(&context, name, &default, "")
    });
    set(module, "option", |context: NativeCallContext, name: &str, default: Dynamic, help: &str| {
        option(&context, name, &default, help)
    });
}

fn on(context: &NativeCallContext, event: &str, opts: &Map, f: FnPtr) -> Checked<()> {
    turn::declare(|_, declared| declared.on(event, opts, f, line(context)))
}

fn command(context: &NativeCallContext, spec: &str, opts: &Map, f: FnPtr) -> Checked<()> {
    turn::declare(|_, declared| declared.command(spec, opts, f, line(context)))
}

fn cron(context: &NativeCallContext, cron: &str, opts: &Map, f: FnPtr) -> Checked<()> {
    turn::declare(|turn, declared| declared.cron(cron, opts, f, &turn.zone, line(context)))
}

fn option(context: &NativeCallContext, name: &str, default: &Dynamic, help: &str) -> Checked<Dynamic> {
    turn::declare(|turn, declared| {
        let config = turn.config.clone();
        let config = config.read_lock::<crate::script::instance::Config>();
        let empty = serde_json::Value::Null;
        let config = config.as_ref().map_or(&empty, |config| &*config.0);
        declared.option(name, default, help, line(context), config)
    })
}

fn line(context: &NativeCallContext) -> usize {
    context.call_position().line().unwrap_or(0)
}
