//! `bots.yaml`: found, read, checked as a whole and turned into [`settings::Settings`].

use std::path::{Path, PathBuf};

use crate::config::settings::{ScriptSettings, Settings};
use crate::diagnostic::Diagnostic;

pub mod diff;
pub mod settings;

/// What the configuration may ask of the process it is read in.
pub struct Surroundings<'a> {
    /// Environment variables.
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// Whether `command` secrets are run (`true`, to start bots) or only looked up (`check`).
    pub run_commands: bool,
}

/// Everything that can be said about a `bots.yaml`, wrong or right.
pub struct Inspection {
    /// The settings, only when there is no error.
    pub settings: Option<Settings>,
    /// The scripts that could be made out and whose files exist, also when other things are wrong:
    /// their own problems are to be shown in the same run.
    pub scripts: Vec<ScriptSettings>,
    /// How many bots were looked at.
    pub bots: usize,
    /// Every problem, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a configuration for running it; warnings come with the settings.
pub fn load(path: &Path) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    let var = |name: &str| std::env::var(name).ok();
    let found = inspect(path, &Surroundings { var: &var, run_commands: true });
    match found.settings {
        Some(settings) => Ok((settings, found.diagnostics)),
        None => Err(found.diagnostics),
    }
}

/// Reads a configuration and says everything that is wrong with it.
pub fn inspect(path: &Path, surroundings: &Surroundings<'_>) -> Inspection {
    let _ = (path, surroundings.run_commands, (surroundings.var)(""));
    unimplemented!("filled in with the next commit")
}

/// The file to read: `given`, else `RHAPSODE_CONFIG`, else the first that exists of `./bots.yaml`,
/// the XDG configuration and `/etc/rhapsode/bots.yaml`.
pub fn discover(given: Option<&Path>, var: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Diagnostic> {
    let _ = (given, var(""));
    unimplemented!("filled in with the next commit")
}
