//! The structure of the sources: layers, outside crates, purity, sizes, tables.
//!
//! The table below is the one in `docs/architecture.md`; a test holds them together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, its level, whether it is pure, and what of ours it may import.
struct Layer {
    module: &'static str,
    level: u8,
    pure: bool,
    may_import: &'static [&'static str],
}

const fn layer(module: &'static str, level: u8, pure: bool, may_import: &'static [&'static str]) -> Layer {
    Layer { module, level, pure, may_import }
}

const LAYERS: &[Layer] = &[
    layer("ns", 0, true, &[]),
    layer("ids", 0, true, &[]),
    layer("moment", 0, true, &[]),
    layer("datetime", 0, true, &[]),
    layer("secret", 0, true, &[]),
    layer("diagnostic", 0, true, &[]),
    layer("printable", 0, true, &[]),
    layer("cron", 0, false, &["diagnostic"]),
    layer("jid", 0, true, &[]),
    layer("hosts", 0, true, &[]),
    layer("xml", 0, true, &["ns"]),
    layer("stanza", 1, true, &["xml", "jid", "ns"]),
    layer("event", 2, true, &["stanza", "xml", "jid"]),
    layer("action", 2, true, &["event", "stanza", "xml", "jid"]),
    layer("xep", 3, true, &["event", "action", "stanza", "xml", "jid", "ns", "ids", "moment", "datetime"]),
    layer("stream", 3, true, &["stanza", "xml", "jid", "ns", "ids", "secret", "printable"]),
    layer(
        "session",
        4,
        true,
        &["xep", "event", "action", "stanza", "xml", "jid", "ns", "ids", "moment", "datetime", "secret"],
    ),
    layer("store", 4, false, &[]),
    layer(
        "script",
        5,
        false,
        &[
            "store",
            "xep",
            "event",
            "action",
            "stanza",
            "xml",
            "jid",
            "hosts",
            "ns",
            "ids",
            "moment",
            "secret",
            "diagnostic",
            "cron",
        ],
    ),
    layer("config", 5, false, &["jid", "hosts", "secret", "diagnostic", "cron"]),
    layer("net", 5, false, &["jid", "hosts", "xml"]),
    layer("http", 6, false, &["script", "net", "hosts", "secret"]),
    layer(
        "actor",
        6,
        false,
        &[
            "net", "config", "script", "store", "session", "stream", "xep", "event", "action", "stanza",
            "xml", "jid", "ns", "ids", "moment", "secret", "cron",
        ],
    ),
    layer(
        "server",
        6,
        false,
        &[
            "stream", "xep", "event", "stanza", "xml", "jid", "ns", "ids", "moment", "datetime", "secret",
            "net",
        ],
    ),
    layer(
        "ops",
        7,
        false,
        &[
            "actor",
            "http",
            "config",
            "script",
            "store",
            "net",
            "session",
            "stream",
            "event",
            "action",
            "stanza",
            "jid",
            "hosts",
            "ids",
            "moment",
            "secret",
            "diagnostic",
            "printable",
        ],
    ),
    layer(
        "sim",
        8,
        false,
        &[
            "ops",
            "actor",
            "config",
            "hosts",
            "server",
            "script",
            "store",
            "session",
            "stream",
            "event",
            "action",
            "stanza",
            "xml",
            "jid",
            "ns",
            "ids",
            "moment",
            "secret",
            "diagnostic",
        ],
    ),
    layer(
        "cli",
        9,
        false,
        &[
            "sim",
            "ops",
            "xml",
            "actor",
            "config",
            "script",
            "store",
            "server",
            "net",
            "event",
            "action",
            "stanza",
            "jid",
            "ids",
            "moment",
            "secret",
            "diagnostic",
            "printable",
        ],
    ),
];

/// Outside crates that are named in one place only.
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("actix", &["src/actor/"]),
    ("rhai", &["src/script/"]),
    ("quick_xml", &["src/xml/"]),
    ("reqwest", &["src/http/"]),
    ("hyper", &["src/http/", "src/net/host_meta.rs"]),
    ("tokio_tungstenite", &["src/net/websocket.rs", "src/net/tests/"]),
    ("feed_rs", &["src/script/api/feed.rs"]),
    ("serde_saphyr", &["src/config/"]),
    ("serde_yaml", &["src/cli/demo"]),
    ("rusqlite", &["src/store/"]),
    ("tokio_rustls", &["src/net/", "src/server/"]),
    ("rcgen", &["src/server/", "src/net/"]),
    ("notify", &["src/ops/watch.rs"]),
    ("hickory_resolver", &["src/net/resolve.rs"]),
    ("tracing_subscriber", &["src/ops/log.rs"]),
    ("clap", &["src/cli/"]),
    ("rustyline", &["src/cli/"]),
    ("miette", &["src/ops/render.rs"]),
];

/// Files of `src/cli` that serve commands and are none.
const NO_COMMANDS: &[&str] = &["talk"];

/// What a pure module never calls.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "std::env",
    "getrandom",
    "tokio::",
];

/// Split a file at this length; the tests at its end are not counted.
const LONGEST_FILE: usize = 600;

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some(layer) = LAYERS.iter().find(|layer| layer.module == module) else {
            if !["lib", "main"].contains(&module.as_str()) {
                wrong.push(format!("{}: `{module}` is in no layer", path.display()));
            }
            continue;
        };
        for (number, line) in before_tests(&text).lines().enumerate() {
            for found in crate_paths(line) {
                if found != module && !layer.may_import.contains(&found.as_str()) && is_module(&found) {
                    wrong.push(format!("{}:{}: `{module}` imports `{found}`", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn no_layer_imports_from_above() {
    let level: BTreeMap<&str, u8> = LAYERS.iter().map(|layer| (layer.module, layer.level)).collect();
    for layer in LAYERS {
        for import in layer.may_import {
            assert!(level[import] <= layer.level, "`{}` may not import `{import}` from above", layer.module);
        }
    }
}

#[test]
fn outside_crates_stay_in_their_place() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let shown = path.display().to_string();
        for (name, places) in OWNED_CRATES {
            if places.iter().any(|place| shown.starts_with(place)) {
                continue;
            }
            for (number, line) in before_tests(&text).lines().enumerate() {
                if names_crate(line, name) {
                    wrong.push(format!("{shown}:{}: `{name}` belongs to {places:?}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_call_no_clock_and_no_io() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let tests = path.components().any(|part| part.as_os_str() == "tests");
        if tests || !LAYERS.iter().any(|layer| layer.module == module && layer.pure) {
            continue;
        }
        for (number, line) in before_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = IMPURE.iter().find(|word| code.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}` in a pure module", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, before_tests(&text).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no module sentence in:\n{}", silent.join("\n"));
}

#[test]
fn no_stub_is_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if ["todo!(", "unimplemented!(", "#[ignore]", "#[should_panic"]
                .iter()
                .any(|word| line.contains(word))
            {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_panic_unwinds_in_every_profile() {
    let manifest = fs::read_to_string("Cargo.toml").expect("the manifest is beside the tests");
    assert!(!manifest.contains("panic = \"abort\""), "a panic must end one account, not the process");
    assert!(manifest.contains("panic = \"unwind\""));
}

#[test]
fn every_file_of_a_table_folder_has_its_line() {
    for folder in ["src/xep", "src/script/api", "src/cli"] {
        let table =
            fs::read_to_string(format!("{folder}/mod.rs")).expect("every table folder has its mod.rs");
        for entry in fs::read_dir(folder).expect("the folder was just read from") {
            let path = entry.expect("a folder entry").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            if stem == "mod" || stem.is_empty() || NO_COMMANDS.contains(&stem.as_str()) {
                continue;
            }
            assert!(table.contains(&format!("mod {stem};")), "{folder}/{stem} has no `mod` line");
            assert!(
                table.contains(&format!("{stem}::")),
                "{folder}/{stem} is in no table of {folder}/mod.rs"
            );
        }
    }
}

#[test]
fn the_document_shows_this_table() {
    let document = fs::read_to_string("docs/architecture.md").expect("docs/architecture.md is there");
    let mut missing = Vec::new();
    for layer in LAYERS {
        let imports: Vec<String> = layer.may_import.iter().map(|name| format!("`{name}`")).collect();
        let imports = if imports.is_empty() { "–".to_owned() } else { imports.join(" ") };
        let pure = if layer.pure { "yes" } else { "no" };
        let row = format!("| {} | `{}` | {pure} | {imports} |", layer.level, layer.module);
        if !document.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "docs/architecture.md lacks\n{}", missing.join("\n"));
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(Path::new("src"), &mut found);
    found.sort();
    assert!(found.len() > 40, "only {} sources were found", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.push((path, text));
        }
    }
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").expect("collected below src");
    let first = inside.components().next().expect("a file below src").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn is_module(name: &str) -> bool {
    LAYERS.iter().any(|layer| layer.module == name)
}

/// The first segment of every `crate::…` path of a line.
fn crate_paths(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::")
        .map(|(at, word)| {
            code[at + word.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

/// Whether the line names the outside crate, not a module of ours of a like name.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    })
}

fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |at| &text[..at])
}
