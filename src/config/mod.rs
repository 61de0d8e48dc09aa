//! `bots.yaml`: found, read, checked as a whole and turned into [`settings::Settings`].

use std::path::{Path, PathBuf};

use crate::config::decode::{Decoder, listed};
use crate::config::resolve::resolve;
use crate::config::secrets::io_words;
use crate::config::settings::{ScriptSettings, Settings};
use crate::diagnostic::Diagnostic;

mod accounts;
mod bot;
mod components;
mod decode;
pub mod diff;
mod limits;
pub mod options;
pub mod password_file;
mod profile;
mod resolve;
mod schedules;
pub mod schema;
mod scripts;
mod secrets;
pub mod settings;
pub mod units;
mod web;
mod yaml;

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
    /// The folder of the store, also when other things are wrong: a running process must stay within reach.
    pub storage: Option<PathBuf>,
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
    let failed = |found: Diagnostic| Inspection {
        settings: None,
        scripts: Vec::new(),
        storage: None,
        bots: 0,
        diagnostics: vec![found],
    };
    let name = path.display().to_string();
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return failed(Diagnostic::error("config::file", format!("{name}: is not UTF-8 text"))),
        Err(error) => {
            return failed(Diagnostic::error("config::file", format!("{name}: {}", io_words(&error))));
        }
    };
    let (source, root, problems) = yaml::parse(&name, &text);
    match root {
        Some(root) => resolve(path, &root, Decoder::new(source, problems), surroundings),
        None => {
            Inspection { settings: None, scripts: Vec::new(), storage: None, bots: 0, diagnostics: problems }
        }
    }
}

/// The file to read: `given`, else `RHAPSODE_CONFIG`, else the first that exists of `./bots.yaml`,
/// the XDG configuration and `/etc/rhapsode/bots.yaml`.
pub fn discover(given: Option<&Path>, var: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Diagnostic> {
    let named = given
        .map(Path::to_owned)
        .or_else(|| var("RHAPSODE_CONFIG").filter(|it| !it.is_empty()).map(PathBuf::from));
    if let Some(path) = named {
        return Ok(path);
    }
    let places = search_path(var);
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => {
            let shown: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            let found = Diagnostic::error("config::file", "no bots.yaml is found");
            Err(found.hint(format!("looked at {}; name one with `--config FILE`", listed(&shown))))
        }
    }
}

/// Where a file is looked for when none is named, in order.
pub fn search_path(var: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = set("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".config")));
    let mut places = vec![PathBuf::from("bots.yaml")];
    places.extend(user.map(|folder| folder.join("rhapsode/bots.yaml")));
    places.push(PathBuf::from("/etc/rhapsode/bots.yaml"));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_wins_over_the_environment() {
        let var = |name: &str| (name == "RHAPSODE_CONFIG").then(|| "from-env.yaml".to_owned());
        assert_eq!(discover(Some(Path::new("given.yaml")), &var), Ok(PathBuf::from("given.yaml")));
        assert_eq!(discover(None, &var), Ok(PathBuf::from("from-env.yaml")));
    }

    #[test]
    fn the_search_goes_from_here_to_the_user_to_the_system() {
        let var = |name: &str| (name == "HOME").then(|| "/home/ann".to_owned());
        let shown =
            |places: Vec<PathBuf>| places.iter().map(|it| it.display().to_string()).collect::<Vec<_>>();
        let here = "bots.yaml";
        let system = "/etc/rhapsode/bots.yaml";
        assert_eq!(shown(search_path(&var)), [here, "/home/ann/.config/rhapsode/bots.yaml", system]);
        let var = |name: &str| (name == "XDG_CONFIG_HOME").then(|| "/conf".to_owned());
        assert_eq!(shown(search_path(&var)), [here, "/conf/rhapsode/bots.yaml", system]);
        assert_eq!(shown(search_path(&|_| None)), [here, system]);
    }

    #[test]
    fn a_missing_file_is_one_problem() {
        let found =
            inspect(Path::new("no/such/bots.yaml"), &Surroundings { var: &|_| None, run_commands: false });
        assert!(found.settings.is_none());
        assert_eq!(found.diagnostics[0].message, "no/such/bots.yaml: no such file");
    }

    /// The example at the top of the repository is what people copy.
    #[test]
    fn the_example_is_right() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots.yaml");
        let var = |name: &str| name.ends_with("_PASSWORD").then(|| "x".to_owned());
        let found = inspect(&file, &Surroundings { var: &var, run_commands: false });
        assert!(found.diagnostics.is_empty(), "{:#?}", found.diagnostics);
        let names: Vec<String> =
            found.settings.into_iter().flat_map(|it| it.bots).map(|bot| bot.name).collect();
        assert_eq!(names, ["dice", "echo", "greeter", "reminder"]);
    }
}
