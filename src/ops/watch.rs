//! Saved files are live at once: the folders are watched, and what the files hold decides.
//!
//! Editors save by rename, so watching a file loses it with the first save; reading causes events too, so
//! an event alone means nothing. Both were measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::config::settings::Settings;
use crate::diagnostic::Diagnostic;
use crate::ops::render::{Format, render};
use crate::ops::service::{Reloaded, Service};

/// How long a folder must be quiet before it is read.
const SETTLE: Duration = Duration::from_millis(200);
/// File name extensions that count.
const EXTENSIONS: [&str; 4] = ["rhai", "yaml", "yml", "csv"];
/// Files beyond this size are no scripts and no configuration.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Watches the folders of the configuration and reloads when a file has other content than before.
pub fn start(service: Rc<Service>) {
    tokio::task::spawn_local(async move {
        if let Err(error) = watch(service).await {
            tracing::warn!(%error, "files are not watched; use `rhapsode reload` after a change");
        }
    });
}

async fn watch(service: Rc<Service>) -> notify::Result<()> {
    let (sender, mut events) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| matters(&event)) {
            // Full: a look is due anyway.
            let _ = sender.try_send(());
        }
    })?;
    let mut watched = BTreeSet::new();
    follow(&mut watcher, &mut watched, &service.settings());
    let mut seen = fingerprint(&watched);
    let mut look_again = false;
    while look_again || events.recv().await.is_some() {
        while tokio::time::timeout(SETTLE, events.recv()).await.is_ok_and(|event| event.is_some()) {}
        let now = fingerprint(&watched);
        if now == seen && !look_again {
            continue;
        }
        // Taken before the reload: what is saved while it reads differs from this and is read next.
        seen = now;
        tell(&service.reload(false).await);
        let before = watched.clone();
        follow(&mut watcher, &mut watched, &service.settings());
        // New folders may have changed before they were watched.
        look_again = watched != before;
        if look_again {
            seen = fingerprint(&watched);
        }
    }
    Ok(())
}

/// Reading and opening files causes events as well; they mean nothing.
fn matters(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, ModifyKind};
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => event.need_rescan(),
        _ => true,
    }
}

/// Watches the folders that the configuration names and forgets those it names no more.
fn follow(watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, settings: &Settings) {
    let wanted = folders(settings);
    for gone in watched.difference(&wanted) {
        // A folder that no longer exists is not watched any more either.
        drop(watcher.unwatch(gone));
    }
    let mut now = BTreeSet::new();
    for folder in wanted {
        if watched.contains(&folder) {
            now.insert(folder);
            continue;
        }
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(now.insert(folder)),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "this folder is not watched"),
        }
    }
    *watched = now;
}

/// The folder of the configuration, those of the scripts, and what lies directly below these.
fn folders(settings: &Settings) -> BTreeSet<PathBuf> {
    let parent = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_path_buf()
    };
    let mut found = BTreeSet::from([parent(&settings.file)]);
    for script in settings.scripts.values() {
        let folder = parent(&script.file);
        if let Ok(entries) = std::fs::read_dir(&folder) {
            found.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        found.insert(folder);
    }
    found.remove(&settings.storage);
    found
}

/// One hash over the names and contents of all files that count.
fn fingerprint(folders: &BTreeSet<PathBuf>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| counts(path)).collect();
        files.sort();
        for file in files {
            hash.update(file.as_os_str().as_encoded_bytes());
            // A file that vanishes meanwhile counts as gone.
            if let Ok(content) = std::fs::read(&file) {
                hash.update(content.len().to_be_bytes());
                hash.update(content);
            }
        }
    }
    hash.finalize().into()
}

fn counts(path: &Path) -> bool {
    let known =
        path.extension().and_then(|extension| extension.to_str()).is_some_and(|e| EXTENSIONS.contains(&e));
    known && std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST)
}

/// Logs how a reload ended.
pub fn tell(reloaded: &Reloaded) {
    if reloaded.diagnostics.iter().any(Diagnostic::is_error) {
        let problems = render(&reloaded.diagnostics, Format::Short);
        tracing::error!("reload refused, everything goes on as before\n{}", problems.trim_end());
    } else if reloaded.applied {
        tracing::info!("reloaded\n{}", reloaded.plan.trim_end());
    }
}
