//! From texts of `bots.yaml` to settings, or to what is wrong with them.

use serde_json::{Value, json};

use super::*;
use crate::config::schema::sections::SECTIONS;
use crate::config::schema::{Shape, section};
use crate::config::settings::{Accept, ChannelBinding, Connect, Resource, TlsMode};
use crate::config::yaml;

#[test]
fn the_smallest_file_is_one_line() {
    let settings = good(
        "bots: { echo: { jid: echo@example.org, password: { env: PW }, scripts: [scripts/echo.rhai] } }",
    );
    let bot = &settings.bots[0];
    assert_eq!((bot.name.as_str(), bot.jid.as_str()), ("echo", "echo@example.org"));
    assert_eq!(bot.password.reveal(), "PW");
    assert_eq!(bot.scripts[0].script, "echo");
    assert_eq!(bot.accept, Accept::None);
    assert_eq!(bot.limits.turn.turn, Duration::from_millis(50));
    assert_eq!(settings.scripts["echo"].file, folder().join("scripts/echo.rhai"));
    assert_eq!(settings.storage, folder().join("data"));
    assert_eq!(settings.login, DEFAULT_LOGIN);
}

#[test]
fn layers_merge_maps_and_replace_lists() {
    let settings = good(
        r#"
defaults:
  password: { file: nowhere }
  admins: [ops@example.org]
  limits: { turn: 60ms, send: { rate: 1/s } }
  tls: { ca: scripts/echo.rhai }
templates:
  shop:
    admins: [shop@example.org]
    limits: { send: { burst: 3 } }
    config: { shop: "{name}", place: "{{name}}" }
    tls: direct
bots:
  oslo:
    template: shop
    jid: oslo@example.org
    password: { env: PW }
    limits: { turn: 70ms }
    config: { extra: 5 }
"#,
    );
    let bot = &settings.bots[0];
    assert_eq!(bot.admins.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["shop@example.org"]);
    assert_eq!(bot.limits.turn.turn, Duration::from_millis(70));
    assert_eq!(bot.limits.send.rate.unwrap().count, 1);
    assert_eq!(bot.limits.send.burst, 3);
    assert_eq!(Value::Object(bot.config.clone()), json!({ "shop": "oslo", "place": "{name}", "extra": 5 }));
    assert_eq!(bot.tls.mode, TlsMode::Direct);
    assert_eq!(bot.tls.ca, Some(folder().join("scripts/echo.rhai")));
}

#[test]
fn roles_merge_by_name_and_may_be_domains() {
    let settings = good(
        r#"
defaults:
  password: { env: PW }
  roles: { staff: [ann@example.org], guests: [example.net] }
bots:
  a: { jid: a@example.org, roles: { staff: [bob@example.org, Example.COM] } }
"#,
    );
    let roles = &settings.bots[0].roles;
    let of = |name: &str| roles[name].iter().map(|jid| jid.as_str()).collect::<Vec<_>>();
    assert_eq!(of("staff"), ["bob@example.org", "example.com"]);
    assert_eq!(of("guests"), ["example.net"]);
}

#[test]
fn a_script_entry_overrides_the_config_of_its_bot() {
    let settings = good(
        r#"
scripts:
  echo: { file: scripts/echo.rhai, limits: { turn: 200ms, timers: 5, store: 1MiB } }
bots:
  a:
    jid: a@example.org
    password: { env: PW }
    scripts: [{ use: echo, config: { greeting: hei } }, scripts/help.rhai]
    config: { greeting: hello, team: no }
    limits: { turn: 10ms, timers: 7, actions: 3, writes: 4 }
"#,
    );
    let bot = &settings.bots[0];
    let names: Vec<_> = bot.scripts.iter().map(|it| it.script.as_str()).collect();
    assert_eq!(names, ["echo", "help"]);
    assert_eq!(Value::Object(bot.scripts[0].config.clone()), json!({ "greeting": "hei", "team": "no" }));
    assert_eq!(Value::Object(bot.scripts[1].config.clone()), json!({ "greeting": "hello", "team": "no" }));
    assert_eq!(bot.scripts[0].limits.turn, Duration::from_millis(200));
    assert_eq!(bot.scripts[1].limits.turn, Duration::from_millis(10));
    let told = |at: usize| {
        let limits = bot.scripts[at].limits;
        (limits.store, limits.actions, limits.writes, limits.timers)
    };
    assert_eq!((told(0), told(1)), ((1 << 20, 3, 4, 5), (16 << 20, 3, 4, 7)));
    assert_eq!(bot.scripts[0].places["greeting"].position().0, 8);
    assert_eq!(bot.scripts[0].places["team"].position().0, 9);
}

#[test]
fn accounts_files_make_bots() {
    let settings = good(
        r#"
templates:
  shop:
    scripts: [scripts/echo.rhai]
    rooms: ["orders-{region}@rooms.example.org"]
    config: { shop: "{name}", tier: none }
accounts_files:
  - { file: accounts/good.csv, template: shop, jid: "{name}@shops.example.org", password: { env: "{secret}" } }
"#,
    );
    let names: Vec<_> = settings.bots.iter().map(|bot| bot.name.as_str()).collect();
    assert_eq!(names, ["bergen", "oslo"]);
    let oslo = &settings.bots[1];
    assert_eq!(oslo.jid.as_str(), "oslo@shops.example.org");
    assert_eq!(oslo.password.reveal(), "OSLO");
    assert_eq!(oslo.rooms[0].jid.as_str(), "orders-no@rooms.example.org");
    assert_eq!(Value::Object(oslo.config.clone()), json!({ "shop": "oslo", "region": "no", "tier": "gold" }));
    assert_eq!(oslo.place.to_string(), format!("{}:2:1", folder().join("accounts/good.csv").display()));
    assert!(oslo.scripts[0].places["region"].source.name.ends_with("good.csv"));
}

#[test]
fn the_store_is_where_systemd_says_unless_the_file_does() {
    let state =
        |name: &str| (name == "STATE_DIRECTORY").then(|| "/var/lib/rhapsode:/var/lib/other".to_owned());
    let storage = |text: &str, var: &dyn Fn(&str) -> Option<String>| {
        read(text, var).settings.map(|settings| settings.storage)
    };
    assert_eq!(storage("bots: {}", &state), Some(PathBuf::from("/var/lib/rhapsode")));
    assert_eq!(storage("storage: ./x", &state), Some(folder().join("./x")));
    assert_eq!(storage("storage: /x", &state), Some(PathBuf::from("/x")));
    assert_eq!(storage("bots: {}", &|_| None), Some(folder().join("data")));
}

#[test]
fn everything_of_the_contract_is_understood() {
    let settings = good(CONTRACT);
    let bot = &settings.bots[0];
    let Accept::List(accepted) = &bot.accept else { panic!("{:?}", bot.accept) };
    assert_eq!(accepted.len(), 2);
    assert_eq!(bot.limits.send.rate, None);
    assert_eq!(bot.rooms[1].password.as_ref().map(|it| it.reveal()), Some("LOBBY"));
    assert_eq!(bot.paused.as_deref(), Some("moved to another server"));
    let granted = &settings.scripts["help"].permissions;
    let hosts: Vec<&str> = granted.http.iter().map(|host| host.as_str()).collect();
    assert_eq!(hosts, ["api.example.net", "*.feeds.example"]);
    assert_eq!(granted.webhooks.keys().collect::<Vec<_>>(), ["deploy"]);
    assert_eq!(granted.secrets["deploy_key"].reveal(), "DEPLOY_KEY");
    assert_eq!(settings.webhooks.map(|it| it.listen.port()), Some(8085));
    assert_eq!(settings.login, Login { pace: None, jitter: Duration::ZERO });
    assert_eq!(bot.scripts[0].permissions.bots, ["fixed", "*"]);
    let zones: Vec<_> = bot.schedules.iter().map(|it| it.cron.zone().iana_name()).collect();
    assert_eq!(zones, [Some("Europe/Oslo"), Some("America/New_York")]);
    assert_eq!((bot.schedules[0].emit.as_str(), bot.schedules[1].catch_up), ("morning", true));
    assert_eq!(bot.channel_binding, ChannelBinding::Require);
    let guest = settings.bots.iter().find(|bot| bot.name == "guest").unwrap();
    assert!(guest.anonymous && guest.password.reveal().is_empty() && guest.jid.local().is_none());
    let fixed = settings.bots.iter().find(|bot| bot.name == "fixed").unwrap();
    assert_eq!((fixed.resource.clone(), fixed.paused.clone()), (Resource::Fixed("desk".to_owned()), None));
}

#[test]
fn a_bot_connects_over_tcp_unless_it_is_told_otherwise() {
    let url = Connect::Url("wss://chat.example.org:5281/ws".parse().expect("a URL"));
    for (line, expected) in [
        ("", Connect::Tcp),
        ("connect: tcp", Connect::Tcp),
        ("connect: auto", Connect::Auto),
        ("connect: websocket", Connect::WebSocket),
        ("connect: wss://chat.example.org:5281/ws", url),
    ] {
        let text = format!("bots:\n  a:\n    jid: a@example.org\n    password: {{ env: PW }}\n    {line}\n");
        assert_eq!(good(&text).bots[0].connect, expected, "{line}");
    }
}

#[test]
fn components_make_bots_of_their_addresses() {
    let settings = good(
        "templates: { shop: { config: { shop: \"{name}\" } } }\n\
         components:\n  gate:\n    domain: bots.example.org\n    server: 127.0.0.1:5347\n    \
         secret: { env: KEY }\n    template: shop\n    addresses: [\"shop-{08..10}\", info]\n\
         bots:\n  desk: { jid: desk@bots.example.org, component: gate }\n",
    );
    let names: Vec<&str> = settings.bots.iter().map(|bot| bot.name.as_str()).collect();
    assert_eq!(names, ["desk", "info", "shop-08", "shop-09", "shop-10"]);
    assert!(settings.bots.iter().all(|bot| bot.component.as_deref() == Some("gate")));
    assert_eq!(settings.bots[2].jid.as_str(), "shop-08@bots.example.org");
    assert_eq!(settings.bots[2].config["shop"], json!("shop-08"));
    assert_eq!(settings.components[0].secret.reveal(), "KEY");
}

#[test]
fn components_in_the_clear_stay_on_this_machine_and_bots_at_their_domain() {
    let text = |server: &str, more: &str, jid: &str, component: &str| {
        format!(
            "components: {{ gate: {{ domain: bots.example.org, server: \"{server}\", secret: {{ env: K }}{more} }} }}\n\
             bots: {{ a: {{ jid: {jid}, component: {component} }} }}\n"
        )
    };
    let names = |text: &str| -> Vec<&str> {
        read(text, &|_| Some("x".to_owned())).diagnostics.iter().map(|it| it.name).collect()
    };
    let fine = "a@bots.example.org";
    assert!(names(&text("[::1]:5347", "", fine, "gate")).is_empty());
    assert_eq!(names(&text("10.0.0.1:5347", "", fine, "gate")), ["config::insecure_component"]);
    assert_eq!(names(&text("xmpp.example.org:5347", "", fine, "gate")), ["config::insecure_component"]);
    assert!(names(&text("10.0.0.1:5347", ", insecure_network: true", fine, "gate")).is_empty());
    assert_eq!(names(&text("[::1]:5347", "", "a@example.org", "gate")), ["config::component_domain"]);
    assert_eq!(names(&text("[::1]:5347", "", fine, "gat")), ["config::unknown_component"]);
}

/// A value that no key can have is a problem at every key: so every key of the table is read.
#[test]
fn every_key_of_the_table_is_decoded() {
    for part in SECTIONS {
        for key in part.keys.iter().filter(|key| !matches!(key.shape, Shape::Named(&Shape::Free))) {
            let value = if matches!(key.shape, Shape::List(_)) { "{ a: [[]] }" } else { "[[[]]]" };
            let text = document(part.name, &format!("{}: {value}", key.name));
            let found = read(&text, &|_| Some("x".to_owned())).diagnostics;
            let line = text.lines().position(|line| line.contains("[[")).unwrap() + 1;
            let told = |it: &Diagnostic| it.place().is_some_and(|place| place.position().0 == line);
            let right = found
                .iter()
                .any(|it| told(it) && it.name != "config::unknown_key" && it.name != "config::missing");
            assert!(right, "{}.{}: {found:?}", part.place, key.name);
        }
    }
}

#[test]
fn keys_of_later_versions_say_so() {
    for part in SECTIONS {
        for key in part.later {
            let found = read(&document(part.name, &format!("{key}: {{}}")), &|_| None).diagnostics;
            assert!(
                found.iter().any(|it| it.name == "config::not_available"),
                "{}.{key}: {found:?}",
                part.place
            );
        }
    }
    assert!(section("").later.contains(&"metrics"));
}

/// Half a file and a file with a slip of the finger give problems or settings, never a panic.
#[test]
fn no_broken_file_panics() {
    let var = |_: &str| None;
    let try_it = |text: &str| {
        let (source, root, problems) = yaml::parse("bots.yaml", text);
        let surroundings = Surroundings { var: &var, run_commands: false };
        let decoder = Decoder::new(source, problems);
        let found = root.map(|root| resolve(&folder().join("bots.yaml"), &root, decoder, &surroundings));
        for problem in found.iter().flat_map(|found| &found.diagnostics) {
            assert!(problem.place().is_some(), "{text}: {problem:?}");
        }
    };
    for end in 0..CONTRACT.len() {
        try_it(&CONTRACT[..end]);
        for slip in ["{", "}", "[", ": ", "- ", "&", "*", "\t", "'", "ä", "\n"] {
            if end % 7 == 0 {
                try_it(&format!("{}{slip}{}", &CONTRACT[..end], &CONTRACT[end + 1..]));
            }
        }
    }
}

#[test]
fn ten_thousand_accounts_are_read_in_moments() {
    let folder = std::env::temp_dir().join(format!("rhapsode-accounts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rows: String = (0..10_000).map(|number| format!("shop-{number},{number}\n")).collect();
    std::fs::write(folder.join("shops.csv"), format!("name,number\n{rows}")).unwrap();
    let file = folder.join("bots.yaml");
    let text = "templates: { t: { config: { n: \"{number}\" } } }\naccounts_files:\n  - { file: shops.csv, template: t, jid: \"{name}@example.org\", password: { env: PW } }\n";
    std::fs::write(&file, text).unwrap();
    let var = |_: &str| Some("x".to_owned());
    let found = crate::config::inspect(&file, &Surroundings { var: &var, run_commands: true });
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        found.settings.map(|settings| settings.bots.len()),
        Some(10_000),
        "{:?}",
        found.diagnostics.first()
    );
}

/// A document with one line in a section.
fn document(part: &str, line: &str) -> String {
    let bot = "bots:\n  a:\n    ";
    match part {
        "" => line.to_owned(),
        "bot" => format!("{bot}{line}"),
        "script" => format!("scripts:\n  s:\n    {line}"),
        "permissions" | "script_limits" => {
            format!("scripts:\n  s:\n    {}:\n      {line}", part.trim_start_matches("script_"))
        }
        "bot_permissions" => format!("{bot}permissions:\n      {line}"),
        "schedule" => format!("{bot}schedules:\n    - {line}"),
        "use" => format!("{bot}scripts:\n    - {line}"),
        "limits" | "tls" | "presence" | "profile" => format!("{bot}{part}:\n      {line}"),
        "send" => format!("{bot}limits:\n      send:\n        {line}"),
        "room" => format!("{bot}rooms:\n    - {line}"),
        "secret" => format!("{bot}password:\n      {line}"),
        "accounts_file" => match line.starts_with("file") {
            true => format!("accounts_files:\n  - {line}"),
            false if line.starts_with("jid") => {
                format!("accounts_files:\n  - file: accounts/good.csv\n    {line}")
            }
            false => format!(
                "accounts_files:\n  - file: accounts/good.csv\n    jid: \"{{name}}@a.example\"\n    {line}"
            ),
        },
        "webhook_grant" => {
            let name = if line.starts_with("name") { "" } else { "name: a\n          " };
            format!("scripts:\n  s:\n    permissions:\n      webhooks:\n        - {name}{line}")
        }
        "component" => format!("components:\n  c:\n    {line}"),
        "login" | "log" | "admin" | "webhooks" => format!("{part}:\n  {line}"),
        other => panic!("no document for {other}"),
    }
}

fn good(text: &str) -> Settings {
    let found = read(text, &|name| (name != "STATE_DIRECTORY").then(|| name.to_owned()));
    let mut others = found.diagnostics.iter();
    assert_eq!(others.next(), None);
    found.settings.unwrap()
}

fn read(text: &str, var: &dyn Fn(&str) -> Option<String>) -> Inspection {
    let file = folder().join("bots.yaml");
    let (source, root, problems) = yaml::parse("bots.yaml", text);
    let surroundings = Surroundings { var, run_commands: false };
    resolve(
        &file,
        &root.unwrap_or_else(|| panic!("{problems:?}")),
        Decoder::new(source, problems),
        &surroundings,
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad")
}

/// Every key of the contract, once.
const CONTRACT: &str = r#"
version: 1
storage: ./data
durability: relaxed
defaults: { }
x-common: &common { accept: [ann@example.org, example.net] }
scripts:
  echo: scripts/echo.rhai
  help: { file: scripts/help.rhai, permissions: { http: ["api.example.net", "*.feeds.example"], webhooks: [deploy], secrets: [deploy_key] }, limits: { turn: 200ms } }
bots:
  echo:
    <<: *common
    jid: echo@example.org
    password: { env: ECHO_PASSWORD }
    server: 127.0.0.1:5222
    tls: { mode: starttls, ca: scripts/echo.rhai }
    resource: auto
    scripts: [echo, { use: help, config: { language: no } }]
    config: { greeting: hello }
    rooms: [team@rooms.example.org, { jid: lobby@rooms.example.org, nick: Helper, password: { env: LOBBY } }]
    admins: [ops@example.org]
    limits: { turn: 50ms, operations: 200k, memory: 4MiB, send: { rate: none, burst: 10 }, queue: 1000 }
    presence: { show: chat, status: "Ask me: !help", priority: -1 }
    permissions: { bots: [fixed, "*"] }
    timezone: Europe/Oslo
    schedules:
      - { cron: "0 9 * * MON-FRI", emit: morning }
      - { cron: "@daily", timezone: America/New_York, emit: night, catch_up: true }
    labels: { team: support }
    paused: moved to another server
    channel_binding: require
  guest: { jid: guests.example.org, anonymous: true }
  fixed: { jid: fixed@example.org, password: { env: PW }, resource: desk, accept: roster, paused: false }
secrets: { deploy_key: { env: DEPLOY_KEY } }
webhooks: { listen: 127.0.0.1:8085 }
templates: { }
accounts_files: []
login: { pace: none, jitter: 0s }
log: { format: json, level: "info,rhapsode::net=debug", bodies: false }
admin: { socket: auto }
"#;
