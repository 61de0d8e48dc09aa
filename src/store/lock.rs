//! One process at a time in the store's folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::store::error::StoreError;

/// Holds the folder as long as it lives. The system lets go of it when the process ends, however it ends.
pub(super) struct FolderLock {
    file: File,
    /// When the process before has last shown that it lives.
    pub(super) left: Option<SystemTime>,
}

/// A folder that goes away with this value.
pub(super) struct ScratchFolder {
    pub(super) path: PathBuf,
}

impl FolderLock {
    /// Takes the folder `dir`, which is made if it is missing, readable by its owner only.
    pub(super) fn acquire(dir: &Path) -> Result<Self, StoreError> {
        create_private(dir).map_err(|error| StoreError::from_io(dir, &error))?;
        let path = dir.join(LOCK_FILE);
        let failed = |error: &std::io::Error| StoreError::from_io(&path, error);
        let mut options = OpenOptions::new();
        // Not truncated: until the lock is ours, the file names the process that has it.
        let mut file = owner_only(options.create(true).read(true).write(true).truncate(false))
            .open(&path)
            .map_err(|error| failed(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who it is helps, but is not needed to refuse.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::Locked { folder: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        let left = file.metadata().and_then(|metadata| metadata.modified()).ok();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| failed(&error))?;
        Ok(Self { file, left })
    }

    /// Leaves a sign of life for the next process.
    pub(super) fn show_life(&self, now: SystemTime) {
        // Without it the next process thinks that this one has ended earlier, and begins sessions anew.
        drop(self.file.set_modified(now));
    }
}

impl ScratchFolder {
    /// Makes a new folder among the system's temporary files.
    pub(super) fn create() -> Result<Self, StoreError> {
        let base = std::env::temp_dir();
        for number in 0..10_000 {
            let path = base.join(format!("rhapsode-{}-{number}", std::process::id()));
            match private_folder().create(&path) {
                Ok(()) => return Ok(Self { path }),
                // Another store of this process, or one that a killed process left.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::from_io(&path, &error)),
            }
        }
        Err(StoreError::Io { path: base, detail: "too many scratch folders".to_owned() })
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Makes the file `path` if it is missing, and lets only its owner read it.
pub(super) fn private_file(path: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::from_io(path, &error);
    let mut options = OpenOptions::new();
    let file = owner_only(options.create(true).append(true)).open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
        }
    }
    drop(file);
    Ok(())
}

fn create_private(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() { Ok(()) } else { private_folder().recursive(true).create(dir) }
}

#[cfg(unix)]
fn private_folder() -> fs::DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private_folder() -> fs::DirBuilder {
    fs::DirBuilder::new()
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

const LOCK_FILE: &str = "lock";
