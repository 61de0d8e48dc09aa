//! Scripts: declared under `scripts:`, or by a path where a bot uses one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::bot::check_name;
use crate::config::decode::Decoder;
use crate::config::limits;
use crate::config::schedules::bots;
use crate::config::secrets::io_words;
use crate::config::settings::{Grants, Permissions, ScriptSettings};
use crate::config::web;
use crate::config::yaml::{Kind, Node};
use crate::diagnostic::{Diagnostic, Place, did_you_mean};

/// The scripts of one configuration while it is read.
pub struct Scripts {
    folder: PathBuf,
    /// Those whose files exist, by name.
    pub known: BTreeMap<String, ScriptSettings>,
    /// Names whose declaration has a problem that was told: using them is no second one.
    broken: BTreeSet<String>,
    /// What may be granted.
    pub web: web::Known,
}

impl Scripts {
    /// Relative paths start at `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            known: BTreeMap::new(),
            broken: BTreeSet::new(),
            web: web::Known::default(),
        }
    }

    /// Reads the map `scripts`.
    pub fn declare_all(&mut self, decoder: &mut Decoder, node: &Node) {
        for entry in decoder.named(node, "scripts").unwrap_or_default() {
            let place = decoder.key_place(entry);
            check_name(decoder, &entry.key, &place, "a script");
            match self.declaration(decoder, &entry.key, &entry.value, place) {
                Some(script) => drop(self.known.insert(entry.key.clone(), script)),
                None => drop(self.broken.insert(entry.key.clone())),
            }
        }
    }

    fn declaration(
        &mut self,
        decoder: &mut Decoder,
        name: &str,
        node: &Node,
        place: Place,
    ) -> Option<ScriptSettings> {
        if matches!(node.kind, Kind::Scalar { .. }) {
            let file = self.file(decoder, node)?;
            let (permissions, limits, grants) = Default::default();
            return Some(ScriptSettings { name: name.to_owned(), file, permissions, limits, place, grants });
        }
        if !decoder.map(node, "script") {
            return None;
        }
        let granted = node.get("permissions").map(|it| &it.value);
        let permissions = granted.map(|it| permissions(decoder, it, &self.web)).unwrap_or_default();
        let grants = Arc::new(granted.map(|it| grants(decoder, it)).unwrap_or_default());
        let limits = node.get("limits").map(|it| limits::of_script(decoder, &it.value)).unwrap_or_default();
        let Some(file) = node.get("file") else {
            let message = format!("script `{name}` has no `file`");
            decoder.note(Diagnostic::error("config::missing", message).at(place, "no file"));
            return None;
        };
        let file = self.file(decoder, &file.value)?;
        Some(ScriptSettings { name: name.to_owned(), file, permissions, limits, place, grants })
    }

    /// The path of a script file that exists.
    fn file(&self, decoder: &mut Decoder, node: &Node) -> Option<PathBuf> {
        let path = decoder.text(node, "the file of a script")?;
        let file = self.folder.join(path);
        let why = match file.metadata() {
            Ok(it) if it.is_file() => return Some(file),
            Ok(_) => "is no file".to_owned(),
            Err(error) => io_words(&error),
        };
        let hint = similar_file(&self.folder, path);
        let found = Diagnostic::error("config::script_file", format!("script {path}: {why}")).hint_if(hint);
        decoder.report(found, node, "this file");
        None
    }

    /// The name of the script that a bot uses by name or path; `None` when the problem was told.
    pub fn used(&mut self, decoder: &mut Decoder, node: &Node) -> Option<String> {
        let text = decoder.text(node, "the name of a script")?.to_owned();
        if self.known.contains_key(&text) {
            return Some(text);
        }
        if self.broken.contains(&text) {
            return None;
        }
        if !text.ends_with(".rhai") && !text.contains('/') {
            let hint = did_you_mean(&text, self.known.keys().chain(&self.broken).map(String::as_str))
                .unwrap_or_else(|| {
                    format!("declare it under `scripts`, or write a path such as `scripts/{text}.rhai`")
                });
            let message = format!("no script is named `{text}`");
            decoder.report(
                Diagnostic::error("config::unknown_script", message).hint(hint),
                node,
                "unknown script",
            );
            return None;
        }
        self.used_by_path(decoder, node, &text)
    }

    fn used_by_path(&mut self, decoder: &mut Decoder, node: &Node, path: &str) -> Option<String> {
        let wanted = self.folder.join(path);
        if let Some(script) = self.known.values().find(|script| script.file == wanted) {
            return Some(script.name.clone());
        }
        let file = self.file(decoder, node)?;
        // The name is part of where the script's data lies, so it is the stem, which stays the same
        // when the script is declared later.
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let place = decoder.origin(node);
        check_name(decoder, &name, &place, "a script");
        if let Some(other) = self.known.get(&name) {
            let message = format!("two files would be the script `{name}`");
            let hint = "declare them under `scripts` with different names";
            let first = other.place.clone();
            let found = Diagnostic::error("config::duplicate_script", message).hint(hint);
            decoder.note(found.at(place, "this file").at(first, "first here"));
            return None;
        }
        let (permissions, limits, grants) = Default::default();
        let script = ScriptSettings { name: name.clone(), file, permissions, limits, place, grants };
        self.known.insert(name.clone(), script);
        Some(name)
    }
}

fn permissions(decoder: &mut Decoder, node: &Node, web: &web::Known) -> Permissions {
    let mut granted = Permissions::default();
    if !decoder.map(node, "permissions") {
        return granted;
    }
    let value = |key: &str| node.get(key).map(|entry| &entry.value);
    granted.http = value("http").map(|it| web::hosts(decoder, it)).unwrap_or_default();
    granted.webhooks = value("webhooks").map(|it| web.webhooks(decoder, it)).unwrap_or_default();
    granted.secrets = value("secrets").map(|it| web.granted(decoder, it)).unwrap_or_default();
    if let Some(shared) = value("shared") {
        granted.shared = decoder.boolean(shared, "`shared`").unwrap_or_default();
    }
    granted.bots = value("bots").map(|it| bots(decoder, it)).unwrap_or_default();
    granted
}

/// Where each entry of a map of permissions stands.
pub fn grants(decoder: &Decoder, permissions: &Node) -> Grants {
    let mut grants = Grants::new();
    for entry in permissions.entries() {
        let Kind::List(items) = &entry.value.kind else {
            grants.insert((entry.key.clone(), String::new()), decoder.key_place(entry));
            continue;
        };
        for item in items {
            let named = item.get("name").map_or(item, |name| &name.value);
            if let Kind::Scalar { text, .. } = &named.kind {
                grants.insert((entry.key.clone(), text.clone()), decoder.origin(named));
            }
        }
    }
    grants
}

/// A file of the same folder whose name is close.
fn similar_file(folder: &Path, path: &str) -> Option<String> {
    let wanted = Path::new(path);
    let dir = folder.join(wanted.parent()?);
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { &dir };
    let names: Vec<String> = std::fs::read_dir(dir)
        .ok()?
        .take(1_000)
        .flatten()
        .map(|entry| wanted.with_file_name(entry.file_name()).to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".rhai"))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The order of a folder is arbitrary; the hint should not be.
    names.sort_unstable();
    did_you_mean(path, names)
}
