//! `log::`: lines for the operator. They are kept even when the turn fails.

use rhai::{Dynamic, EvalAltResult, Module};

use crate::script::api::{Area, Function, put};
use crate::script::memory;
use crate::script::printed::cut;
use crate::script::turn::{self, Turn};

pub(super) const AREA: Area = Area {
    title: "Log",
    module: Some("log"),
    about: "Lines for the operator, with the bot's and the script's name. They are kept even when the turn fails: up to 50 of each turn, of 4096 bytes each. `print` is `log::info`.",
    objects: &[],
    functions: &[
        Function {
            signature: "log::debug(text)",
            about: "Only seen when asked for.",
            example: r#"on("message", |m| log::debug(`got ${m.id}`));"#,
        },
        Function {
            signature: "log::info(text)",
            about: "What goes its way.",
            example: r#"on("load", |e| log::info("ready"));
on("unload", |e| log::info("about to be replaced"));"#,
        },
        Function {
            signature: "log::warn(text)",
            about: "What somebody should look at some day.",
            example: r#"on("bounce", |b| log::warn(b.condition));"#,
        },
        Function {
            signature: "log::error(text)",
            about: "What somebody should look at now.",
            example: r#"on("offline", |l| log::error(l.reason));"#,
        },
    ],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "debug", |text: Dynamic| {
        line(&text, |turn, text| {
            tracing::debug!(bot = %turn.bot.name, script = %turn.script, event = %turn.event, "{text}");
        })
    });
    put(module, "info", |text: Dynamic| {
        line(&text, |turn, text| {
            tracing::info!(bot = %turn.bot.name, script = %turn.script, event = %turn.event, "{text}");
        })
    });
    put(module, "warn", |text: Dynamic| {
        line(&text, |turn, text| {
            tracing::warn!(bot = %turn.bot.name, script = %turn.script, event = %turn.event, "{text}");
        })
    });
    put(module, "error", |text: Dynamic| {
        line(&text, |turn, text| {
            tracing::error!(bot = %turn.bot.name, script = %turn.script, event = %turn.event, "{text}");
        })
    });
}

fn line(text: &Dynamic, write: impl FnOnce(&Turn, &str)) -> Checked<()> {
    turn::with(|turn| {
        if !turn.lines.take() {
            return Ok(());
        }
        memory::uncounted(|| write(turn, &cut(text, turn::LINE)));
        Ok(())
    })
}
