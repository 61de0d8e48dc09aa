//! Secrets by where they come from: `env`, `file`, `command`, `credential`, and last `plain`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::config::Surroundings;
use crate::config::decode::{Decoder, listed, what};
use crate::config::password_file::{self, PasswordFile};
use crate::config::schema::section;
use crate::config::yaml::{Kind, Node};
use crate::diagnostic::Diagnostic;
use crate::secret::Password;

/// Reads secrets during one load; a command runs once however often it is named.
pub struct Secrets<'a> {
    folder: &'a Path,
    surroundings: &'a Surroundings<'a>,
    ran: BTreeMap<Vec<String>, Result<Password, Failure>>,
    /// Only the form is checked and nothing is read: what stands in `defaults` may never be used.
    pub form_only: bool,
}

/// Why there is no secret: the words for the operator, never the secret.
#[derive(Clone, Debug)]
struct Failure {
    message: String,
    hint: Option<String>,
}

/// The text of a secret, wiped when it goes.
type Text = Zeroizing<String>;

impl<'a> Secrets<'a> {
    /// Relative paths start at `folder`.
    pub fn new(folder: &'a Path, surroundings: &'a Surroundings<'a>) -> Self {
        Self { folder, surroundings, ran: BTreeMap::new(), form_only: false }
    }

    /// The secret a value names; what is wrong is told at the value.
    pub fn read(&mut self, decoder: &mut Decoder, node: &Node, of: &str) -> Option<Password> {
        if !matches!(node.kind, Kind::Map(_)) {
            // The text may be the secret itself: it must not appear in the message.
            let message = format!("{of} must say where it comes from");
            let hint = "write `{ env: NAME }`, `{ file: PATH }`, `{ command: [PROGRAM, ARGUMENT] }` or `{ credential: NAME }`";
            decoder.report(Diagnostic::error("config::secret", message).hint(hint), node, "not a map");
            return None;
        }
        decoder.map(node, "secret");
        let kinds: Vec<_> = section("secret").names().collect();
        let mut given = node.entries().iter().filter(|entry| kinds.contains(&entry.key.as_str()));
        let (entry, more) = (given.next(), given.next());
        let Some(entry) = entry.filter(|_| more.is_none()) else {
            // An unknown key has been told already; a second problem about the same typo would not help.
            if more.is_some() || node.entries().is_empty() {
                let message = format!("{of} needs exactly one of {}", listed(&kinds));
                let hint = "an environment variable is `{ env: NAME }`, a file `{ file: PATH }`";
                decoder.report(Diagnostic::error("config::secret", message).hint(hint), node, "which one?");
            }
            return None;
        };
        let value = &entry.value;
        if self.form_only {
            return None;
        }
        let outcome = match entry.key.as_str() {
            "env" => self.variable(decoder.text(value, "`env`")?),
            "file" => {
                let path = decoder.text(value, "`file`")?.to_owned();
                self.file(decoder, value, &path)
            }
            "command" => self.command(decoder, value)?,
            "credential" => self.credential(decoder.text(value, "`credential`")?),
            _ => plain(decoder, value, of)?,
        };
        match outcome {
            Ok(secret) => Some(secret),
            Err(failure) => {
                let found = Diagnostic::error("config::secret", failure.message).hint_if(failure.hint);
                decoder.report(found, value, "nothing from here");
                None
            }
        }
    }

    /// The file that a password is in, with what an unfinished change has left beside it.
    pub fn password_file(&self, node: &Node) -> Option<PasswordFile> {
        let Kind::Scalar { text, .. } = &node.get("file").filter(|_| !self.form_only)?.value.kind else {
            return None;
        };
        let path = self.folder.join(text);
        let next = read_bounded(&password_file::beside(&path)).ok();
        let next = next.and_then(|text| single_line(text, "the password").ok());
        Some(PasswordFile { path, next })
    }

    fn variable(&self, name: &str) -> Result<Password, Failure> {
        let text = (self.surroundings.var)(name).map(Zeroizing::new).ok_or_else(|| {
            let hint = format!(
                "set it where the process starts, or use `{{ file: … }}` in place of `{{ env: {name} }}`"
            );
            Failure { message: format!("environment variable `{name}` is not set"), hint: Some(hint) }
        })?;
        single_line(text, &format!("environment variable `{name}`"))
    }

    fn file(&self, decoder: &mut Decoder, node: &Node, path: &str) -> Result<Password, Failure> {
        let file = self.folder.join(path);
        let text = read_bounded(&file).map_err(|why| Failure::new(format!("{path}: {why}")))?;
        if let Some(mode) = open_to_others(&file) {
            let message = format!("{path} can be read by others: its mode is {mode:03o}");
            let found = Diagnostic::warning("config::secret_mode", message).hint(format!("chmod 600 {path}"));
            decoder.report(found, node, "this file");
        }
        single_line(text, path)
    }

    fn credential(&self, name: &str) -> Result<Password, Failure> {
        let folder = (self.surroundings.var)("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            let hint = format!("systemd sets it for units with `LoadCredential={name}:PATH`");
            Failure { message: "`$CREDENTIALS_DIRECTORY` is not set".to_owned(), hint: Some(hint) }
        })?;
        if name.contains('/') || name == ".." {
            return Err(Failure::new(format!("`{name}` is no name of a credential")));
        }
        let text = read_bounded(&Path::new(&folder).join(name)).map_err(|why| {
            let hint = format!("add `LoadCredential={name}:PATH` to the unit");
            Failure { message: format!("credential `{name}`: {why}"), hint: Some(hint) }
        })?;
        single_line(text, &format!("credential `{name}`"))
    }

    /// `None` when the value is no list of words, which is told already.
    fn command(&mut self, decoder: &mut Decoder, node: &Node) -> Option<Result<Password, Failure>> {
        let items = decoder.list(node, "a program and its arguments")?;
        let words: Option<Vec<String>> =
            items.iter().map(|item| decoder.text(item, "a word of `command`").map(str::to_owned)).collect();
        let words = words?;
        let Some(program) = words.first() else {
            return Some(Err(Failure::new("`command` names no program")));
        };
        if !self.surroundings.run_commands {
            let found = find_program(program, self.folder, self.surroundings.var);
            // Nothing is started with these settings, so there is no secret to give.
            return Some(found.map(|_| Password::new(String::new())));
        }
        if !self.ran.contains_key(&words) {
            let outcome = run(&words, self.folder).and_then(|text| {
                let first = text.lines().next().unwrap_or_default().to_owned();
                single_line(Zeroizing::new(first), &format!("the output of `{program}`"))
            });
            self.ran.insert(words.clone(), outcome);
        }
        self.ran.get(&words).cloned()
    }
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

fn plain(decoder: &mut Decoder, node: &Node, of: &str) -> Option<Result<Password, Failure>> {
    let text = match &node.kind {
        // Not through `text`: its messages may quote what they found.
        Kind::Scalar { text, .. } if !text.is_empty() => Zeroizing::new(text.clone()),
        Kind::Scalar { .. } | Kind::Null | Kind::List(_) | Kind::Map(_) => {
            let words =
                if matches!(node.kind, Kind::Scalar { .. }) { "nothing".to_owned() } else { what(node) };
            return Some(Err(Failure::new(format!("`plain` must be text, found {words}"))));
        }
    };
    let row = decoder.row.take();
    let found = Diagnostic::warning("config::plain_secret", format!("{of} is written in the file itself"));
    let hint = "use `{ file: PATH }`, `{ env: NAME }`, `{ command: […] }` or `{ credential: NAME }`";
    // One warning for a template, not one for each of its accounts.
    decoder.report(found.hint(hint), node, "readable by all who can read the file");
    decoder.row = row;
    Some(single_line(text, "`plain`"))
}

/// The secret without the line end that editors put behind it.
fn single_line(text: Text, origin: &str) -> Result<Password, Failure> {
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err(Failure::new(format!("{origin} is empty")));
    }
    if secret.contains(['\n', '\r']) {
        return Err(Failure::new(format!("{origin} has more than one line")));
    }
    Ok(Password::new(secret.to_owned()))
}

fn read_bounded(path: &Path) -> Result<Text, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    let file = File::open(path).map_err(|error| io_words(&error))?;
    if file.metadata().is_ok_and(|it| it.is_dir()) {
        return Err("is a folder".to_owned());
    }
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(|error| io_words(&error))?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(format!("is longer than {MAX_SECRET} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// An I/O error in words, without the number of the operating system.
pub fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string().to_lowercase();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// The mode of a file that group or world may read.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> Option<u32> {
    None
}

/// Where a program is, as the operating system would look for it.
fn find_program(
    program: &str,
    folder: &Path,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<PathBuf, Failure> {
    let missing = || Failure::new(format!("no program `{program}` is found"));
    if program.contains('/') {
        return Some(folder.join(program)).filter(|path| path.is_file()).ok_or_else(missing);
    }
    let path = var("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file()).ok_or_else(missing)
}

/// Runs a program and gives what it wrote to its output, bounded in time and size.
fn run(words: &[String], folder: &Path) -> Result<Text, Failure> {
    let program = &words[0];
    let file = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let deadline = Instant::now() + COMMAND_TIME;
    let mut child = Command::new(file)
        .args(&words[1..])
        .current_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("`{program}`: {}", io_words(&error))))?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        // The thread ends with the program's output, or when the program is killed below.
        thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(256));
            let read = output.take(MAX_SECRET + 1).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody waits any more once the deadline has passed.
            drop(sender.send(read));
        });
    }
    let output = receiver.recv_timeout(COMMAND_TIME);
    let status = wait_until(&mut child, deadline);
    match (output, status) {
        (Ok(Ok(bytes)), Some(Ok(status))) if status.success() => match std::str::from_utf8(&bytes) {
            Ok(_) if bytes.len() as u64 > MAX_SECRET => {
                Err(Failure::new(format!("`{program}` prints too much")))
            }
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(Failure::new(format!("the output of `{program}` is not UTF-8 text"))),
        },
        (Ok(Ok(_)), Some(Ok(status))) => Err(Failure::new(format!("`{program}` ended with {status}"))),
        (Ok(Err(error)), _) | (_, Some(Err(error))) => {
            Err(Failure::new(format!("`{program}`: {}", io_words(&error))))
        }
        (Err(_), _) | (_, None) => {
            let hint = Some("it must not ask anything: it has no terminal".to_owned());
            Err(Failure {
                message: format!("`{program}` was not done after {} s", COMMAND_TIME.as_secs()),
                hint,
            })
        }
    }
}

/// The end of a program that has closed its output; it is killed at the deadline.
fn wait_until(child: &mut Child, deadline: Instant) -> Option<std::io::Result<std::process::ExitStatus>> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(Ok(status)),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                // It may have ended just now; either way it is waited for, so that no zombie stays.
                drop(child.kill());
                drop(child.wait());
                return None;
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The longest secret: a key, not a document.
const MAX_SECRET: u64 = 65_536;

/// How long a `command` may take.
const COMMAND_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;

    #[test]
    fn reads_from_the_environment() {
        let (secret, found) = read("{ env: A }", true);
        assert_eq!(secret.as_deref(), Some("pencil"));
        assert!(found.is_empty());
        let (secret, found) = read("{ env: UNSET }", true);
        assert!(secret.is_none());
        assert_eq!(found[0].message, "environment variable `UNSET` is not set");
    }

    #[test]
    fn reads_what_a_program_prints_first() {
        assert_eq!(read("{ command: [printf, 'pencil\\nmore'] }", true).0.as_deref(), Some("pencil"));
        let (_, found) = read("{ command: ['false'] }", true);
        assert!(found[0].message.starts_with("`false` ended with"), "{found:?}");
        let (_, found) = read("{ command: [no-such-program-here] }", true);
        assert_eq!(found[0].message, "`no-such-program-here`: no such file");
    }

    #[test]
    fn check_looks_for_the_program_but_does_not_run_it() {
        let (secret, found) = read("{ command: ['false'] }", false);
        assert!(secret.is_some() && found.is_empty(), "{found:?}");
        assert_eq!(read("{ command: [no-such-program-here] }", false).1.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn warns_of_files_that_others_can_read() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("rhapsode-secret-{}", std::process::id()));
        std::fs::write(&file, "pencil\n").unwrap();
        let mut found = Vec::new();
        for mode in [0o600, 0o644, 0o400, 0o040] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let (secret, problems) = read(&format!("{{ file: {} }}", file.display()), true);
            found.push((secret.is_some(), problems.iter().map(|it| it.name).collect::<Vec<_>>()));
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found[0], (true, vec![]));
        assert_eq!(found[1], (true, vec!["config::secret_mode"]));
        assert_eq!(found[2], (true, vec![]));
    }

    #[test]
    fn a_credential_is_a_file_in_its_folder() {
        assert!(read("{ credential: x }", true).1[0].message.contains("CREDENTIALS_DIRECTORY"));
    }

    #[test]
    fn a_plain_secret_works_and_is_warned_about() {
        let (secret, found) = read("{ plain: pencil }", true);
        assert_eq!(secret.as_deref(), Some("pencil"));
        assert_eq!(found[0].name, "config::plain_secret");
        assert!(!found[0].is_error());
    }

    #[test]
    fn exactly_one_origin_is_needed() {
        for (text, count) in
            [("{}", 1), ("{ env: A, file: b }", 1), ("{ evn: A }", 1), ("pencil", 1), ("[pencil]", 1)]
        {
            let (secret, found) = read(text, true);
            assert!(secret.is_none(), "{text}");
            assert_eq!(found.len(), count, "{text}: {found:?}");
        }
    }

    #[test]
    fn no_message_holds_the_secret() {
        for text in [
            "pencil",
            "[pencil]",
            "{ plain: [pencil] }",
            "{ plain: { pencil: pencil } }",
            "{ plain: \"pencil\\nb\" }",
        ] {
            for found in read(text, true).1 {
                assert!(
                    !format!("{} {:?}", found.message, found.hint).contains("pencil"),
                    "{text}: {found:?}"
                );
            }
        }
    }

    fn read(text: &str, run_commands: bool) -> (Option<String>, Vec<Diagnostic>) {
        let (source, root, _) = parse("t", text);
        let mut decoder = Decoder::new(source, Vec::new());
        let var = |name: &str| match name {
            "A" => Some("pencil".to_owned()),
            "PATH" => std::env::var("PATH").ok(),
            _ => None,
        };
        let surroundings = Surroundings { var: &var, run_commands };
        let secret =
            Secrets::new(Path::new(""), &surroundings).read(&mut decoder, &root.unwrap(), "the password");
        (secret.map(|it| it.reveal().to_owned()), decoder.problems)
    }
}
