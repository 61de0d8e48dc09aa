//! Problems of scripts: what `check` finds, and what ends a turn.

use super::{Page, page};

/// By name.
pub(super) const PAGES: &[Page] = &[
    page(
        "script::assignment",
        "`=` stands where something is compared",
        "`=` sets a variable and gives nothing. To compare, write `==`:\n\n```rhai\nif m.text == \"yes\" { m.reply(\"good\"); }\n```",
    ),
    page(
        "script::bracket",
        "a bracket is never closed, or closes nothing",
        "Every `(`, `[` and `{` needs its partner, in the right order. A handler ends with `});`: the block, the call, the statement.",
    ),
    page(
        "script::deadline",
        "a turn took too long",
        "One event may take as long as `limits.turn` says, 50 ms by default, so that no bot holds up the others. The turn leaves nothing behind. Do less at once, or spread the work over turns with `timer::after`.",
    ),
    page(
        "script::declaration",
        "a declaration is wrong, or came after loading",
        "`on`, `command`, `hear`, `every`, `cron`, `webhook` and `option` stand at the top level of a script and not in a handler. What is wrong with this one, the message says.",
    ),
    page(
        "script::duplicate_function",
        "a function is there twice",
        "Functions may share a name only if they take different numbers of parameters.",
    ),
    page(
        "script::forbidden",
        "a script may not do this",
        "Either nothing may (`sleep`, `exit`), or the operator has not granted it: see `permissions` of the script in `bots.yaml`.",
    ),
    page(
        "script::foreign_word",
        "a word or sign of another language",
        "The hint says how Rhai writes it. `and`, `or`, `not` are `&&`, `||`, `!`; `elif` is `else if`; `def` and `function` are `fn`; `null` and `None` are `()`.",
    ),
    page(
        "script::hidden_command",
        "another script of the bot has a command of that name",
        "The script that is named first in `bots.yaml` gets the command, the other never hears of it. Names given with `alias` count too.",
    ),
    page(
        "script::idle_handler",
        "nothing leads to this handler",
        "A handler of `timer:NAME` needs a `timer::at(when, \"NAME\")` in its script or a schedule in `bots.yaml` that emits `NAME`; one of `answer:NAME` needs a question or request by that name.",
    ),
    page(
        "script::import",
        "a module cannot be imported",
        "`import \"lib/words\" as words;` means `lib/words.rhai` in the folder of the script. The name is a literal, without `.rhai`, and nothing outside of the folder can be imported.",
    ),
    page(
        "script::invisible_variable",
        "a `fn` sees nothing of the top level",
        "A function with a name sees its parameters and its own variables. Constants of the top level are `global::NAME` there. Closures see everything around them:\n\n```rhai\nconst LIMIT = 10;\nfn is_long(text) { text.len() > global::LIMIT }\n```",
    ),
    page(
        "script::lost_state",
        "a variable outside of the handlers is changed in one",
        "It works until the script is saved, the program starts anew or the turn fails; then the value is gone. What is to last belongs into the store:\n\n```rhai\non(\"message\", |m| m.reply(`number ${store::incr(\"count\")}`));\n```",
    ),
    page(
        "script::memory",
        "a turn or a script took too much memory",
        "`limits.memory` bounds what a turn may allocate and what a script may keep, 4 MiB by default. Keep data in the store, and read what is needed.",
    ),
    page(
        "script::no_effect",
        "a statement does nothing",
        "A value that stands alone is thrown away. Often the parentheses of a call are missing (`m.stop` for `m.stop()`), or `==` stands for `=`.",
    ),
    page(
        "script::no_handler",
        "a timer or an answer comes to no handler",
        "`timer::at(when, \"tea\")` raises `timer:tea`, and `m.ask(\"name\", …)` raises `answer:name`. Without a handler of exactly that name nothing happens.\n\n```rhai\non(\"timer:tea\", |t| log::info(\"tea is ready\"));\n```",
    ),
    page(
        "script::not_granted",
        "a script asks for what its operator does not grant",
        "Hosts, shared values, other bots, webhooks and secrets are granted under `permissions` of the script in `bots.yaml`. Without the grant the call fails when it is reached.",
    ),
    page(
        "script::open_text",
        "a text has no end",
        "A text ends with the quote it begins with. A quote inside of it is written `\\\"`.",
    ),
    page(
        "script::operations",
        "a turn took too many operations, actions or writes",
        "`limits.operations` bounds the steps of one event, 200k by default. Use the functions for arrays and texts instead of loops, and spread work over turns.",
    ),
    page(
        "script::option",
        "a setting of a script is unknown or has the wrong type",
        "`config` of a bot or script in `bots.yaml` may have the names that the script declares with `option(name, default)`, with values of the type of the default.",
    ),
    page(
        "script::panic",
        "the program itself failed",
        "This is a fault of the program, not of the script. Please report it with the script.",
    ),
    page(
        "script::plain_string",
        "a text in quotes has `${…}` in it",
        "Only texts in backquotes are templates; this one is sent as it is written.\n\n```rhai\nm.reply(`Hello ${m.nick}`);\n```",
    ),
    page(
        "script::reserved_word",
        "a word of the language is used as a name",
        "Rhai keeps some words for itself, also behind a dot: `thread`, `match`, `default`, `new`, `use`, `static` and others. The thread of a message is `m.thread_id`.",
    ),
    page(
        "script::runtime",
        "a turn failed",
        "The message says why, the lines below it which calls led there. What the turn had written or wanted to send is dropped, as if the event had found no handler.",
    ),
    page(
        "script::single_quotes",
        "single quotes around more than one character",
        "`'x'` is one character. Texts stand in double quotes or backquotes: `\"hello\"`.",
    ),
    page(
        "script::size",
        "a text, array or map became too large",
        "A text may have 64 KiB, an array 4096 elements, a map 1000 keys, with everything that is in them. Keep more in the store, under several keys.",
    ),
    page(
        "script::stack",
        "calls nest too deeply",
        "Functions may call each other 32 levels deep. A loop does the same without limit.",
    ),
    page(
        "script::store",
        "the store refused or failed",
        "A key or value is too long, or the disk failed. What the turn had written is dropped.",
    ),
    page(
        "script::syntax",
        "the text is no program",
        "The parser stops at the first place it does not understand, so the mistake may stand shortly before it. Further mistakes show when this one is gone.",
    ),
    page(
        "script::too_many_parameters",
        "a handler wants more than it is given",
        "Handlers of events are given one value, commands the message and the arguments. They may take fewer: `|m| …`, `|m, a| …`, `|| …`.",
    ),
    page(
        "script::unknown_argument",
        "a command has no argument of that name",
        "The arguments are those in its first text: `command(\"roll <dice:word>\", …)` gives `a.dice`.",
    ),
    page(
        "script::unknown_event",
        "no event of that name",
        "A handler of it would never be called. `rhapsode api` and `docs/script-api.md` list the events.",
    ),
    page(
        "script::unknown_function",
        "no function of that name",
        "Rhai looks functions up when they are called, so without this check it would fail at that moment, in the middle of the night. `rhapsode api NAME` searches the functions.",
    ),
    page(
        "script::unknown_module",
        "no module of that name",
        "Before `::` stands an area such as `store`, or the name given in `import \"lib/words\" as words;`.",
    ),
    page(
        "script::unknown_option",
        "no option of that name",
        "The map of options has a key that means nothing there. It is refused instead of ignored: a misspelt `allow` would let everybody in.",
    ),
    page(
        "script::unknown_property",
        "no property of that name",
        "What an event brings has the properties in `docs/script-api.md`, and no others. Functions are called with parentheses.",
    ),
    page(
        "script::unknown_variable",
        "no variable of that name",
        "It is misspelt, or not declared before it is used: `let name = value;`.",
    ),
    page(
        "script::unreachable",
        "a statement is never reached",
        "`return`, `throw`, `break` and `continue` leave the block; what follows in it is never run.",
    ),
    page(
        "script::unreadable",
        "a script cannot be read",
        "The file does not exist, may not be read, or is not UTF-8.",
    ),
    page(
        "script::unused_grant",
        "a permission is granted and not used",
        "What a script does not need, it should not be able to do. Take it out of `permissions`, unless a later version of the script will need it. What stands at a bot, a template or `defaults` is used if one script of one bot that begins with it uses it. Names that are made when the script runs are taken for uses.",
    ),
    page(
        "script::wrong_arguments",
        "a call has the wrong number of arguments",
        "The hint shows how it is called. Functions of a script may exist with several numbers of parameters.",
    ),
];
