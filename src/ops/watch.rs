//! Saved files are live at once: the folders are watched, and what the files hold decides.
//!
//! Editors save by rename, so watching a file loses it with the first save; reading causes events too, so
//! an event alone means nothing. Both were measured.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::config::settings::Settings;
use crate::ops::reload::{Outcome, ReloadPlan};
use crate::ops::service::Service;

/// How long a folder must be quiet before it is read. What is read half-written fails its check, changes nothing, and is
/// read again with the next event; so this may be short, and a save live soon.
const SETTLE: Duration = Duration::from_millis(60);
/// How long it may be restless at most.
const LONGEST: Duration = Duration::from_secs(2);
/// File name extensions that count for running bots.
const RUN: Extensions = &["rhai", "yaml", "yml", "csv"];
/// And for tests.
const TESTED: Extensions = &["chat", "rhai", "yaml", "yml", "csv"];
/// Files beyond this size are no scripts and no configuration.
const LARGEST: u64 = 16 * 1024 * 1024;

/// File name extensions that somebody waits for.
type Extensions = &'static [&'static str];

/// Watches the folders of the configuration and reloads when a file has other content than before.
pub fn start(service: Rc<Service>) {
    tokio::task::spawn_local(async move {
        if let Err(error) = watch(service).await {
            tracing::warn!(%error, "files are not watched; use `rhapsode reload` after a change");
        }
    });
}

async fn watch(service: Rc<Service>) -> notify::Result<()> {
    let (mut watcher, mut events) = alarm(RUN)?;
    let mut watched = BTreeSet::new();
    follow(&mut watcher, &mut watched, &service.settings());
    let mut seen = looked(&watched, RUN).await;
    let mut look_again = false;
    while look_again || events.recv().await.is_some() {
        settle(&mut events).await;
        let now = looked(&watched, RUN).await;
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
            seen = looked(&watched, RUN).await;
        }
    }
    Ok(())
}

/// Saved files in some folders, for whoever waits for them without running bots.
pub struct Changes {
    watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
    watched: BTreeSet<PathBuf>,
    seen: [u8; 32],
}

impl Changes {
    /// Watches these folders from now on; one that is not there is passed over.
    ///
    /// # Errors
    /// The system lets nobody watch.
    pub fn of(folders: BTreeSet<PathBuf>) -> notify::Result<Self> {
        let (watcher, events) = alarm(TESTED)?;
        let mut changes = Self { watcher, events, watched: BTreeSet::new(), seen: [0; 32] };
        watch_all(&mut changes.watcher, &mut changes.watched, folders);
        changes.seen = fingerprint(&changes.watched, TESTED);
        Ok(changes)
    }

    /// Watches these folders instead. What they held before is not told, unless it was watched.
    pub fn follow(&mut self, folders: BTreeSet<PathBuf>) {
        let before = self.watched.clone();
        watch_all(&mut self.watcher, &mut self.watched, folders);
        if self.watched != before && fingerprint(&before, TESTED) == self.seen {
            self.seen = fingerprint(&self.watched, TESTED);
        }
    }

    /// Waits until files have other content than before and the folders are quiet. `None` where nothing is watched any
    /// more.
    pub async fn next(&mut self) -> Option<()> {
        loop {
            // Something may have been saved since the last look.
            let now = looked(&self.watched, TESTED).await;
            if now != self.seen {
                settle(&mut self.events).await;
                self.seen = looked(&self.watched, TESTED).await;
                return Some(());
            }
            self.events.recv().await?;
        }
    }
}

/// A watcher, and what rings when something that counts has happened.
fn alarm(extensions: Extensions) -> notify::Result<(RecommendedWatcher, mpsc::Receiver<()>)> {
    let (sender, events) = mpsc::channel::<()>(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| matters(&event, extensions)) {
            // Full: a look is due anyway.
            let _ = sender.try_send(());
        }
    })?;
    Ok((watcher, events))
}

/// Waits until the folders are quiet, but not for ever: something may write to them all the time.
async fn settle(events: &mut mpsc::Receiver<()>) {
    let quiet = async {
        while tokio::time::timeout(SETTLE, events.recv()).await.is_ok_and(|event| event.is_some()) {}
    };
    // Either way it is time to look.
    let _settled = tokio::time::timeout(LONGEST, quiet).await;
}

/// The fingerprint, read where reading holds nobody up.
async fn looked(folders: &BTreeSet<PathBuf>, extensions: Extensions) -> [u8; 32] {
    let folders = folders.clone();
    match tokio::task::spawn_blocking(move || fingerprint(&folders, extensions)).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::error!(%error, "the files could not be looked at");
            // Like no other: the reload reads them itself and says what is wrong.
            [0; 32]
        }
    }
}

/// Reading and opening files causes events as well, and so do logs and databases; they mean nothing.
fn matters(event: &notify::Event, extensions: Extensions) -> bool {
    use notify::event::{AccessKind, AccessMode, ModifyKind};
    // Without an extension it may be a folder. An editor's temporary file is renamed to one that counts.
    let foreign = |path: &PathBuf| path.extension().is_some_and(|extension| !known(extension, extensions));
    if !event.need_rescan() && !event.paths.is_empty() && event.paths.iter().all(foreign) {
        return false;
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => event.need_rescan(),
        _ => true,
    }
}

/// Watches the folders that the configuration names and forgets those it names no more.
fn follow(watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, settings: &Settings) {
    watch_all(watcher, watched, folders(settings));
}

fn watch_all(watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, wanted: BTreeSet<PathBuf>) {
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
fn fingerprint(folders: &BTreeSet<PathBuf>, extensions: Extensions) -> [u8; 32] {
    let mut hash = Sha256::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| counts(path, extensions)).collect();
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

fn counts(path: &Path, extensions: Extensions) -> bool {
    path.extension().is_some_and(|extension| known(extension, extensions))
        && std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST)
}

fn known(extension: &OsStr, extensions: Extensions) -> bool {
    extension.to_str().is_some_and(|extension| extensions.contains(&extension))
}

/// Logs how a reload ended, with the plan as `rhapsode reload` shows it.
pub fn tell(plan: &ReloadPlan) {
    let text = plan.to_text();
    match plan.outcome {
        Outcome::Applied => tracing::info!("reloaded\n{}", text.trim_end()),
        Outcome::Refused => tracing::error!("reload refused\n{}", text.trim_end()),
        // What a dry run finds is told to whoever asked.
        Outcome::Planned | Outcome::Unchanged => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, Flag};

    #[test]
    fn only_files_that_may_count_wake_the_watcher() {
        let created = |paths: &[&str]| {
            let event = notify::Event::new(EventKind::Create(CreateKind::Any));
            paths.iter().fold(event, |event, path| event.add_path(PathBuf::from(path)))
        };
        for paths in [&["a/x.rhai"][..], &["a/lib"], &["a/x.rhai.swp", "a/x.rhai"], &[]] {
            assert!(matters(&created(paths), RUN), "{paths:?}");
        }
        for paths in [&["a/x.log"][..], &["a/x.chat"], &["a/x.db-wal", "a/x.tmp"]] {
            assert!(!matters(&created(paths), RUN), "{paths:?}");
        }
        assert!(matters(&created(&["a/x.log"]).set_flag(Flag::Rescan), RUN));
        assert!(matters(&created(&["a/x.chat"]), TESTED));
    }

    #[tokio::test]
    async fn only_other_content_is_told() {
        let folder = std::env::temp_dir().join(format!("rhapsode-watch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("x.rhai");
        std::fs::write(&file, "one").expect("a file");
        let gone = folder.join("nowhere");
        let mut changes = Changes::of(BTreeSet::from([folder.clone(), gone])).expect("the system watches");
        std::fs::write(&file, "one").expect("a file");
        assert!(tokio::time::timeout(SETTLE * 3, changes.next()).await.is_err(), "the same content");
        std::fs::write(&file, "two").expect("a file");
        assert_eq!(tokio::time::timeout(LONGEST * 5, changes.next()).await, Ok(Some(())));
        // A folder that is watched from now on, with what it holds.
        let below = folder.join("below");
        std::fs::create_dir(&below).expect("a folder");
        std::fs::write(below.join("y.chat"), "one").expect("a file");
        changes.follow(BTreeSet::from([folder.clone(), below.clone()]));
        assert!(tokio::time::timeout(SETTLE * 3, changes.next()).await.is_err(), "nothing was saved");
        std::fs::write(below.join("y.chat"), "two").expect("a file");
        assert_eq!(tokio::time::timeout(LONGEST * 5, changes.next()).await, Ok(Some(())));
        std::fs::remove_dir_all(&folder).expect("it is there");
    }

    #[tokio::test]
    async fn a_folder_that_is_never_quiet_is_read_all_the_same() {
        let (sender, mut events) = mpsc::channel(1);
        tokio::spawn(async move {
            while sender.send(()).await.is_ok() {
                tokio::time::sleep(SETTLE / 2).await;
            }
        });
        let before = tokio::time::Instant::now();
        settle(&mut events).await;
        assert!(before.elapsed() <= LONGEST + SETTLE, "{:?}", before.elapsed());
    }
}
