//! `rhapsode test`: conversations with the bots, and examples of their commands, without a network.

mod junit;
mod show;
mod watch;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Common, Failure as Stop, shown};
use crate::diagnostic::Diagnostic;
use crate::sim::casting::{Mistakes, Troupe};
use crate::sim::examples;
use crate::sim::suite::{self, Edit, Failure, Outcome, Ran, Wanted, edited, files};

/// Arguments of `test`.
#[derive(Args)]
pub struct Test {
    /// Only tests with this in the name of their file or their own
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Write what the bots say into the tests, and show what changes
    #[arg(long)]
    bless: bool,
    /// Write a report in the JUnit format as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run again when a script or a test is saved, and tell what has changed; Ctrl-C ends
    #[arg(long, conflicts_with = "bless")]
    watch: bool,
}

/// How the tests are run.
#[derive(Clone)]
struct Options {
    wanted: Wanted,
    bless: bool,
    junit: Option<PathBuf>,
}

impl Test {
    fn options(self) -> Options {
        let wanted = Wanted { filters: self.filters, ..Wanted::default() };
        Options { wanted, bless: self.bless, junit: self.junit }
    }
}

/// The tests of one file.
struct Group {
    name: String,
    outcomes: Vec<Outcome>,
}

/// Runs the command.
pub fn run(command: Test, common: &Common) -> Result<(), Stop> {
    if command.watch {
        return watch::run(command, common);
    }
    let options = command.options();
    let groups = run_once(&options, common)?;
    if let Some(file) = &options.junit {
        write_report(&groups, file)?;
    }
    print!("{}", show::all(&groups, common.style(std::io::stdout().is_terminal())));
    if groups.is_empty() {
        return nothing(&options.wanted);
    }
    let failed = groups.iter().flat_map(|group| &group.outcomes).any(|outcome| outcome.result.is_err());
    if failed { Err(Stop::Said) } else { Ok(()) }
}

/// Runs all that is wanted.
fn run_once(options: &Options, common: &Common) -> Result<Vec<Group>, Stop> {
    let troupe = troupe(common)?;
    let wanted = &options.wanted;
    let mut groups = Vec::new();
    for (kind, file) in files(&troupe.root) {
        let mut ran = (kind.run)(&troupe, &file, wanted);
        if options.bless && blessed(&file, &ran)? {
            ran = (kind.run)(&troupe, &file, wanted);
        }
        groups.push(Group { name: shown(&file), outcomes: outcomes(ran, &file, common) });
    }
    let ran = examples::all(&troupe, wanted);
    groups.push(Group { name: "examples".to_owned(), outcomes: outcomes(ran, &troupe.root, common) });
    groups.retain(|group| !group.outcomes.is_empty());
    Ok(groups)
}

fn write_report(groups: &[Group], file: &Path) -> Result<(), Stop> {
    let report = junit::report(groups).map_err(|why| Stop::new(format!("the report: {why}")))?;
    std::fs::write(file, report).map_err(|why| Stop::new(format!("`{}`: {why}", file.display())))
}

/// Nothing was run: right where there are no tests yet, a mistake where some were asked for.
fn nothing(wanted: &Wanted) -> Result<(), Stop> {
    if let Some(filter) = wanted.filters.first() {
        return Err(Stop::new(format!("no test has `{filter}` in its name")));
    }
    eprintln!("rhapsode: there are no tests");
    eprintln!("hint: write one into `tests/NAME.chat`, beside bots.yaml");
    Ok(())
}

/// Scripts and bots of the folder of bots.yaml; of the working directory where there is none.
fn troupe(common: &Common) -> Result<Troupe, Stop> {
    let Some(file) = configuration(common)? else {
        return Ok(Troupe { root: PathBuf::new(), settings: None });
    };
    let (troupe, secrets) = Troupe::of(&file, Mistakes::RefuseButSecrets).map_err(Stop::Problems)?;
    if !secrets.is_empty() {
        common.show(&secrets);
        eprintln!(
            "hint: without them tests cannot name bots of bots.yaml, only scripts; examples are not run"
        );
    }
    Ok(troupe)
}

/// The bots.yaml that is meant; `None` where there is none and none was named.
fn configuration(common: &Common) -> Result<Option<PathBuf>, Stop> {
    let named =
        common.config.is_some() || std::env::var_os("RHAPSODE_CONFIG").is_some_and(|it| !it.is_empty());
    if !named && !Path::new("bots.yaml").is_file() {
        return Ok(None);
    }
    common.file().map(Some)
}

/// Makes the changes that would let the tests of a file pass; `true` where there were any.
fn blessed(file: &Path, ran: &Ran) -> Result<bool, Stop> {
    let failures = ran.iter().flatten().filter_map(|outcome| outcome.result.as_ref().err());
    let edits: Vec<Edit> = failures.flat_map(|failure| failure.edits.iter().cloned()).collect();
    if edits.is_empty() {
        return Ok(false);
    }
    let refused = |why: std::io::Error| Stop::new(format!("`{}`: {why}", shown(file)));
    let old = std::fs::read_to_string(file).map_err(refused)?;
    let new = edited(&old, &edits);
    let diff = similar::TextDiff::from_lines(&old, &new);
    let name = shown(file);
    print!("{}", diff.unified_diff().context_radius(2).header(&name, &name));
    std::fs::write(file, new).map_err(refused)?;
    Ok(true)
}

/// A file that cannot be read is a test that fails; where it is wrong stands on stderr too.
fn outcomes(ran: Ran, file: &Path, common: &Common) -> Vec<Outcome> {
    let problems = match ran {
        Ok(outcomes) => return outcomes,
        Err(problems) => problems,
    };
    common.show(&problems);
    let line = problems.iter().find_map(Diagnostic::place).map_or(1, |place| place.position().0);
    let told = |problem: &Diagnostic| match problem.place() {
        Some(place) => format!("{place}: {}", problem.message),
        None => problem.message.clone(),
    };
    let failure = Failure { why: problems.iter().map(told).collect(), ..Failure::default() };
    let name = "can be read".to_owned();
    vec![suite::Outcome {
        file: file.to_owned(),
        line,
        name,
        result: Err(failure),
        elapsed: std::time::Duration::ZERO,
    }]
}
