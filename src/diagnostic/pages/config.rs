//! Problems of `bots.yaml` and of the files it names.

use super::{Page, page};

/// By name.
pub(super) const PAGES: &[Page] = &[
    page(
        "config::accounts_columns",
        "the first line of an accounts file lacks a column",
        "The first line of the CSV file names its columns. `name` is needed, and every column that the template uses as `{column}`.",
    ),
    page(
        "config::accounts_file",
        "an accounts file cannot be read",
        "The file under `accounts_files` does not exist, may not be read, or is no CSV. Paths are relative to the folder of `bots.yaml`.",
    ),
    page(
        "config::accounts_row",
        "a line of an accounts file is not usable",
        "The line has another number of fields than the first line, or a value that is not allowed. Other lines are still looked at.",
    ),
    page(
        "config::address",
        "this is no address",
        "Accounts, admins and rooms are written as `local@domain`, without a resource: `echo@example.org`.",
    ),
    page(
        "config::amount",
        "a number with a unit is not understood",
        "Durations are written like `5m` or `1h30m`, sizes like `4MiB`, rates like `2/s`, counts like `200k`.",
    ),
    page(
        "config::anonymous",
        "an anonymous bot with an account or a password",
        "With `anonymous: true` the server makes up an account that is gone with the session: `jid` is only the domain, `guests.example.org`, and there is nothing to prove. Take out `anonymous` if the bot has an account.",
    ),
    page(
        "config::choice",
        "only some words are allowed here",
        "The hint lists them. `docs/configuration.md` says what each means.",
    ),
    page(
        "config::component_addresses",
        "an entry of `addresses` is not understood",
        "Each entry is a localpart, `echo`, or one range of them: `shop-{1..250}`, with zeros `shop-{001..250}`. The domain is the component's.",
    ),
    page(
        "config::component_domain",
        "a bot is not at the domain of its component",
        "A server takes from a component only stanzas of the component's domain; one other sender would end the stream of all its bots.",
    ),
    page(
        "config::count",
        "a list is too long",
        "There is an upper bound so that no file can use up the memory of the process.",
    ),
    page(
        "config::cron",
        "a line of a schedule is not understood",
        "Five fields: minute, hour, day of month, month, day of week. `0 9 * * MON-FRI` is nine in the morning on working days; `@daily` and the like work too.",
    ),
    page(
        "config::duplicate_address",
        "two bots have the same account",
        "Two connections of one account would push each other out. Give one bot several scripts instead.",
    ),
    page(
        "config::duplicate_key",
        "a key stands twice in one map",
        "YAML readers differ in which one they take, so neither is. Take one out.",
    ),
    page(
        "config::duplicate_room",
        "a room is named twice for one bot",
        "A bot is in a room once, with one nick. Take one of the entries out.",
    ),
    page(
        "config::duplicate_script",
        "a script is used twice by one bot",
        "Its stored values belong to its name, so two copies would write over each other. Declare the file under a second name if you want it twice.",
    ),
    page(
        "config::file",
        "a file cannot be read",
        "It does not exist or may not be read. Relative paths begin at the folder of `bots.yaml`.",
    ),
    page(
        "config::host",
        "this is no host",
        "Hosts that a script may ask are written like `api.example.net`, `*.example.net`, or `http://localhost:8080`, without a path.",
    ),
    page(
        "config::insecure_component",
        "a component would leave this machine in the clear",
        "The stream of an external component (XEP-0114) knows no TLS: its secret's proof and every message could be read and changed on the way. Connect to loopback, through a tunnel where the server is elsewhere. `insecure_network: true` allows another machine all the same.",
    ),
    page("config::lang", "this is no language", "Languages are written as in BCP 47: `en`, `no`, `pt-BR`."),
    page(
        "config::listen",
        "this is no address to listen at",
        "Write an address and a port: `127.0.0.1:8080`.",
    ),
    page(
        "config::missing",
        "something that is needed is not there",
        "The hint says what to add. `docs/configuration.md` lists the keys of each map.",
    ),
    page(
        "config::name",
        "this cannot be a name",
        "Names stand in logs, on the command line and in the store: letters, digits, `-`, `_` and `.`.",
    ),
    page(
        "config::no_bots",
        "no bot is configured",
        "A file without bots is valid, but nothing will happen. Add one under `bots`.",
    ),
    page(
        "config::not_available",
        "this key belongs to a later version",
        "It has a meaning that this version does not have yet. It is refused instead of ignored, so that nobody relies on it.",
    ),
    page(
        "config::plain_secret",
        "a secret stands in the file itself",
        "Whoever can read `bots.yaml`, its backups or its history has it. Use `{ env: NAME }`, `{ file: path }`, `{ command: [program] }` or `{ credential: name }`. `check --deny-warnings` refuses it.",
    ),
    page(
        "config::range",
        "a value is too small or too large",
        "The hint or `docs/configuration.md` says what is allowed.",
    ),
    page(
        "config::role",
        "a role is not as it should be",
        "Roles are names with the addresses of the people who have them: `roles: { staff: [ann@example.org] }`.",
    ),
    page(
        "config::script_file",
        "a script cannot be found",
        "The path is relative to the folder of `bots.yaml` and ends in `.rhai`.",
    ),
    page(
        "config::secret",
        "a secret cannot be had",
        "The variable is not set, the file cannot be read, or the command failed. The secret itself is never shown.",
    ),
    page(
        "config::secret_mode",
        "others can read the file of a secret",
        "Anybody with an account on this machine can read it. `chmod 600 FILE` changes that.",
    ),
    page(
        "config::server",
        "this is no host and port",
        "Write `host:port`, such as `xmpp.example.org:5222`; IPv6 addresses stand in brackets: `[::1]:5222`.",
    ),
    page(
        "config::syntax",
        "the file is not YAML",
        "Nothing else can be said before this is right. Frequent reasons: tabs instead of spaces, a missing quote, a colon without a space behind it.",
    ),
    page(
        "config::template",
        "a template is not usable here",
        "A template cannot itself use a template: put what both need under `defaults`, which every bot starts from.",
    ),
    page(
        "config::timezone",
        "this time zone is not known",
        "Zones are named as in the IANA database: `Europe/Oslo`, `America/New_York`, `UTC`.",
    ),
    page(
        "config::type",
        "the value has the wrong type",
        "The message says what is expected: a text, a list, a map, a number. Texts that look like something else need quotes: `\"yes\"`, `\"123\"`.",
    ),
    page(
        "config::unit",
        "a number lacks its unit",
        "`5` could be seconds or minutes. Write `5s` or `5m`, `4MiB`, `2/s`.",
    ),
    page(
        "config::unknown_column",
        "no column of that name",
        "`{name}` is the name of the bot, every other `{column}` is one of the accounts file. Two braces, `{{`, stand for one.",
    ),
    page(
        "config::unknown_component",
        "a bot names a component that is not declared",
        "Components are declared under `components`, by name.",
    ),
    page(
        "config::unknown_key",
        "no key of that name",
        "It is refused instead of ignored: a misspelt limit would be none. Keys that begin with `x-` are yours at the top of the file.",
    ),
    page(
        "config::unknown_script",
        "no script of that name",
        "A bot names scripts as they stand under `scripts`, or by a path that ends in `.rhai`.",
    ),
    page(
        "config::unknown_secret",
        "no secret of that name",
        "A script is granted secrets by the names under `secrets` of the file.",
    ),
    page(
        "config::unknown_template",
        "no template of that name",
        "Templates stand by name under `templates` of the file.",
    ),
    page(
        "config::version",
        "this version of the format is not known",
        "This program reads `version: 1`. A file for a later version needs a later program.",
    ),
    page(
        "config::webhook",
        "a webhook is not as it should be",
        "Webhooks need `webhooks: { listen: ... }` for the whole file, and a grant for the script: `permissions: { webhooks: [name] }`.",
    ),
];
