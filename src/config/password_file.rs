//! The file that an account's password is in, and the one beside it that is to take its place.
//!
//! Another password is written beside the file before the server is asked for it. So a process that dies in between
//! leaves both, and the next login shows which of them holds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::secret::Password;

/// Where an account's password is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordFile {
    /// The file; absolute or relative to the working directory.
    pub path: PathBuf,
    /// What a change that did not come to its end has left.
    pub next: Option<Password>,
}

/// What becomes of the password that was written beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// It takes the place of the one before.
    Accept,
    /// It never was one.
    Forget,
}

/// The file beside `path`. Links are followed first: what they point to is what changes.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(".next");
    PathBuf::from(name)
}

/// Writes a password where there was none; only the owner can read it. It is on disk when this returns.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is a file of that name.
pub fn create(path: &Path, password: &Password) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file
        .write_all(password.reveal().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path));
    if written.is_err() {
        // What is written in part is no password; the first error is the one that counts.
        drop(fs::remove_file(path));
    }
    written
}

/// Writes the password that is to take the place of the one in `path`.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] while an earlier change has not come to its end.
pub fn write_next(path: &Path, password: &Password) -> io::Result<()> {
    create(&beside(path), password)
}

/// Ends a change. One that another process has ended is no error.
///
/// # Errors
/// When the files cannot be changed.
pub fn settle(path: &Path, settle: Settle) -> io::Result<()> {
    let next = beside(path);
    let done = match settle {
        Settle::Accept => fs::canonicalize(path).and_then(|path| fs::rename(&next, path)),
        Settle::Forget => fs::remove_file(&next),
    };
    match done {
        Ok(()) => sync_folder(&next),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A rename is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn f3_the_next_password_lies_beside_the_old_one_until_it_is_settled() {
        let folder = folder("next");
        let path = folder.join("bot");
        fs::write(&path, "old\n").expect("written");
        let next = Password::new("new".to_owned());
        write_next(&path, &next).expect("written");
        let mode = fs::metadata(beside(&path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((read(&path), read(&beside(&path)), mode), ("old\n".into(), "new\n".into(), 0o600));
        let again = write_next(&path, &next).map_err(|error| error.kind());
        assert_eq!(again, Err(io::ErrorKind::AlreadyExists), "an unfinished change is not lost");
        settle(&path, Settle::Accept).expect("renamed");
        settle(&path, Settle::Accept).expect("done already");
        assert_eq!((read(&path), beside(&path).exists()), ("new\n".into(), false));
        write_next(&path, &next).expect("written");
        settle(&path, Settle::Forget).expect("removed");
        settle(&path, Settle::Forget).expect("gone already");
        assert_eq!((read(&path), beside(&path).exists()), ("new\n".into(), false));
    }

    #[test]
    fn f3_a_link_stays_a_link() {
        let folder = folder("link");
        let (file, link) = (folder.join("real"), folder.join("link"));
        fs::write(&file, "old\n").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        write_next(&link, &Password::new("new".to_owned())).expect("written");
        settle(&link, Settle::Accept).expect("renamed");
        assert!(link.is_symlink());
        assert_eq!(read(&file), "new\n");
    }

    fn folder(of: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rhapsode-password-{of}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).expect("made");
        folder
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("readable")
    }
}
