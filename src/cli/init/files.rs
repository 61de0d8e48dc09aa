//! The files of a new project. None that is there is ever written over.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::init::Answers;
use crate::ids::IdSource;
use crate::ops::service::random_seed;
use crate::script::definitions::definitions;

/// A folder that becomes a project.
pub struct Project {
    folder: PathBuf,
}

/// What became of one file; the path is relative to the folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// It was there before.
    Kept(String),
    /// It was made.
    New(String),
}

/// Readable by everybody, or by the owner alone.
#[derive(Clone, Copy)]
enum Mode {
    Public = 0o644,
    Secret = 0o600,
}

impl Project {
    /// A folder for a project, made where it is missing.
    ///
    /// # Errors
    /// Where it holds a `bots.yaml`: that is a project already.
    pub fn at(folder: &Path) -> Result<Self, Failure> {
        if folder.join("bots.yaml").exists() {
            let text = format!("there is a project in `{}` already: nothing was changed", folder.display());
            return Err(Failure::with_hint(text, "add the bot to its bots.yaml, or name another folder"));
        }
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes everything that is missing. `bots.yaml` comes last: without it, `init` can simply run again.
    pub fn write(&self, answers: &Answers) -> Result<Vec<Written>, Failure> {
        let name = &answers.name;
        let template = answers.kind.template();
        let named = |text: &str| text.replace("NAME", name);
        let mut written =
            vec![self.put(&format!("scripts/{name}.rhai"), &named(template.script), Mode::Public)?];
        if let Some(chat) = template.chat {
            written.push(self.put(&format!("tests/{name}.chat"), &named(chat), Mode::Public)?);
        }
        written.push(self.put(".rhai/rhapsode.d.rhai", &definitions(), Mode::Public)?);
        written.push(self.put(".gitignore", GITIGNORE, Mode::Public)?);
        if let Some(password) = &answers.password {
            let text = zeroize::Zeroizing::new(format!("{}\n", password.reveal()));
            written.push(self.put(&format!("secrets/{name}"), &text, Mode::Secret)?);
        }
        for secret in template.secrets {
            let seed = random_seed().map_err(|error| Failure::new(error.to_string()))?;
            let text = format!("{}\n", IdSource::new(seed).next_id());
            written.push(self.put(&format!("secrets/{secret}"), &text, Mode::Secret)?);
        }
        written.push(self.put("bots.yaml", &bots_yaml(answers), Mode::Public)?);
        Ok(written)
    }

    fn put(&self, name: &str, text: &str, mode: Mode) -> Result<Written, Failure> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        }
        let mut file =
            match std::fs::OpenOptions::new().write(true).create_new(true).mode(mode as u32).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Ok(Written::Kept(name.to_owned()));
                }
                Err(error) => return Err(unwritable(&path, &error)),
            };
        file.write_all(text.as_bytes()).map_err(|error| unwritable(&path, &error))?;
        Ok(Written::New(name.to_owned()))
    }
}

/// What is no business of a repository: data and secrets.
const GITIGNORE: &str = "/data/\n/secrets/\n";

/// The configuration of one bot.
fn bots_yaml(answers: &Answers) -> String {
    let Answers { jid, name, way, kind, .. } = answers;
    let template = kind.template();
    let entry = match template.entry {
        "" => format!("  {name}: scripts/{name}.rhai\n"),
        entry => format!("  {name}:\n    file: scripts/{name}.rhai\n{entry}"),
    };
    format!(
        "# `rhapsode check` finds mistakes, `rhapsode run` starts the bots. All keys: docs/configuration.md.\n\
         version: 1\n\
         \n\
         storage: ./data                   # what scripts keep, timers, unsent messages\n\
         \n\
         scripts:                          # name: file, or a map with what the script may do\n\
         {entry}\
         \n\
         bots:\n  {name}:\n    jid: {jid}\n    password: {}\n    scripts: [{name}]\n    \
         accept: all                   # who may add it as a contact: none | domain | roster | all | [addresses]\n    \
         # admins: [you@example.org]   # who may use what is for admins\n{}",
        way.yaml(name),
        template.sections,
    )
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", path.display()))
}
