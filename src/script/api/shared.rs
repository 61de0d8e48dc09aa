//! `shared::`: values that all bots have in common.

use rhai::Module;

use crate::script::api::store::{self, Space};
use crate::script::api::{Area, Function};

pub(super) const AREA: Area = Area {
    title: "Shared values",
    module: Some("shared"),
    about: "The functions of `store::` over values that all bots and scripts have in common, where bots.yaml grants it: `scripts: { NAME: { file: ..., permissions: { shared: true } } }`. What a turn has read here still holds when the turn is committed: if another bot changed it meanwhile, the turn runs again by itself before anything is sent. So no count is lost and nothing is done twice. (`shared::keys` is a look and holds nothing fast. Variables outside of handlers are not taken back when a turn runs again.)",
    objects: &[],
    functions: &[
        Function {
            signature: "shared::get(key: string)",
            about: "The value, or nothing.",
            example: r#"on("message", |m| m.reply(shared::get("motd") ?? "no news"));"#,
        },
        Function {
            signature: "shared::get(key: string, default)",
            about: "The value, or `default`.",
            example: r#"on("message", |m| m.reply(shared::get("guests", 0)));"#,
        },
        Function {
            signature: "shared::set(key: string, value)",
            about: "Sets it.",
            example: r#"on("message", |m| shared::set("last/" + m.who, bot::name()));"#,
        },
        Function {
            signature: "shared::set(key: string, value, ttl: string|int)",
            about: "Sets it for a while.",
            example: r#"on("message", |m| shared::set("busy/" + m.who, true, "10m"));"#,
        },
        Function {
            signature: "shared::del(key: string) -> bool",
            about: "Removes it; says whether it was there.",
            example: r#"on("message", |m| if shared::del("last/" + m.who) { m.reply("forgotten"); });"#,
        },
        Function {
            signature: "shared::keys(prefix: string) -> array",
            about: "Up to 1,000 keys that begin so, in order.",
            example: r#"on("message", |m| for key in shared::keys("last/") { log::info(key); });"#,
        },
        Function {
            signature: "shared::incr(key: string) -> int",
            about: "Adds one and gives the sum; no two turns of any bots get the same.",
            example: r#"on("message", |m| m.reply(`ticket ${shared::incr("tickets")}`));"#,
        },
        Function {
            signature: "shared::incr(key: string, n: int) -> int",
            about: "Adds `n`.",
            example: r#"on("message", |m| { shared::incr("bytes", m.text.bytes); });"#,
        },
        Function {
            signature: "shared::incr(key: string, n: int, ttl: string|int) -> int",
            about: "The same; the count starts anew one `ttl` after it began.",
            example: r#"on("message", |m| if shared::incr("today/" + m.who, 1, "1d") > 100 { m.reply("enough for today"); });"#,
        },
        Function {
            signature: "shared::once(key: string) -> bool",
            about: "True the first time in any bot, and never again.",
            example: r#"on("message", |m| if shared::once("met/" + m.who) { m.reply("nice to meet you"); });"#,
        },
        Function {
            signature: "shared::once(key: string, ttl: string|int) -> bool",
            about: "True at most once per `ttl`.",
            example: r#"on("message", |m| if shared::once("greeted/" + m.who, "12h") { m.reply("hello"); });"#,
        },
    ],
    register,
};

fn register(module: &mut Module) {
    store::functions(module, Space::Shared);
}
