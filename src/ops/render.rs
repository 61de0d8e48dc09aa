//! Problems as text: for people with the source line and a caret, in words for screen readers,
//! one line each for editors, or JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, NamedSource};
use miette::{NarratableReportHandler, SourceCode, SourceSpan, SpanContents};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Label, Severity, Source};
use crate::ops::sarif;

/// How problems are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// With the source lines.
    Human(Style),
    /// Workflow commands of GitHub Actions, which show problems beside the lines of a change.
    Github,
    /// One JSON array of objects, ending with a line break.
    Json,
    /// In sentences, without drawing: for screen readers and terminals that can't draw.
    Narrated,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
    /// `file:line:column: error: text`.
    Short,
}

/// How the human format looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours. The caller respects `NO_COLOR`.
    pub colour: bool,
    /// Box characters; plain ASCII otherwise.
    pub unicode: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, unicode: true, width: 100 }
    }
}

/// All problems as one text; empty without any, but for JSON.
pub fn render(diagnostics: &[Diagnostic], format: Format) -> String {
    match format {
        Format::Human(style) => {
            let (drawn, rest) = diagnostics.split_at(diagnostics.len().min(MOST_DRAWN));
            drawn.iter().map(|found| human(found, style)).chain(rest.iter().map(short)).collect()
        }
        Format::Github => diagnostics.iter().map(github).collect(),
        Format::Json => {
            let array = Value::Array(diagnostics.iter().map(object).collect());
            format!("{array:#}\n")
        }
        Format::Narrated => diagnostics.iter().map(narrated).collect(),
        Format::Sarif => sarif::log(diagnostics),
        Format::Short => diagnostics.iter().map(short).collect(),
    }
}

/// Problems beyond these get one line each: nobody scrolls through ten thousand drawings.
const MOST_DRAWN: usize = 100;

/// The last line of a check: `✗ 3 problems in 2 files`; `None` without any problem.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let (mark, counted) = match (errors, warnings) {
        (0, 0) => return None,
        (0, _) => ("!", counted(warnings, "warning")),
        (_, 0) => ("✗", counted(errors, "problem")),
        _ => ("✗", format!("{}, {}", counted(errors, "problem"), counted(warnings, "warning"))),
    };
    let files: BTreeSet<&str> =
        diagnostics.iter().filter_map(Diagnostic::place).map(|place| place.source.name.as_str()).collect();
    Some(match files.len() {
        0 => format!("{mark} {counted}"),
        count => format!("{mark} {counted} in {}", self::counted(count, "file")),
    })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn human(found: &Diagnostic, style: Style) -> String {
    let theme = match (style.unicode, style.colour) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(style.width.max(40))
        .with_context_lines(1);
    let mut text = String::new();
    match handler.render_report(&mut text, &Report::new(found)) {
        Ok(()) => text + "\n",
        // Writing to a string does not fail, but reading a span might: the words must not get lost.
        Err(fmt::Error) => short(found),
    }
}

fn narrated(found: &Diagnostic) -> String {
    let mut text = String::new();
    match NarratableReportHandler::new().with_context_lines(1).render_report(&mut text, &Report::new(found)) {
        Ok(()) => text + "\n",
        Err(fmt::Error) => short(found),
    }
}

fn short(found: &Diagnostic) -> String {
    let message = cleaned(&found.message).replace('\n', " ");
    match found.place() {
        Some(place) => format!("{place}: {}: {message}\n", found.severity),
        None => format!("{}: {message}\n", found.severity),
    }
}

/// `::error file=a,line=1,col=2,endColumn=3,title=script::x::text`
fn github(found: &Diagnostic) -> String {
    let escaped = |text: &str| cleaned(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let place = found.place().map_or_else(String::new, |place| {
        let ((line, column), (end_line, end_column)) =
            (place.position(), place.source.position(place.span.end));
        let file = property(&place.source.name);
        format!("file={file},line={line},endLine={end_line},col={column},endColumn={end_column},")
    });
    let hint = found.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let text = escaped(&format!("{}{hint}", found.message));
    format!("::{} {place}title={}::{text}\n", found.severity, property(found.name))
}

fn object(found: &Diagnostic) -> Value {
    let mut object = json!({
        "name": found.name,
        "severity": found.severity.to_string(),
        "message": found.message,
        "hint": found.hint,
        "related": found.labels.iter().skip(1).map(position).collect::<Vec<_>>(),
    });
    if let (Some(first), Value::Object(object)) = (found.labels.first(), &mut object)
        && let Value::Object(position) = position(first)
    {
        object.extend(position);
    }
    object
}

fn position(label: &Label) -> Value {
    let (line, column) = label.place.position();
    let (end_line, end_column) = label.place.source.position(label.place.span.end);
    json!({
        "file": label.place.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "label": label.text,
    })
}

/// A text without characters that would steer a terminal.
pub(super) fn cleaned(text: &str) -> String {
    if !text.contains(steers) {
        return text.to_owned();
    }
    // As many bytes as before, so that spans keep their meaning.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { out.extend(std::iter::repeat_n('?', c.len_utf8())) } else { out.push(c) }
    }
    out
}

/// Whether a terminal would act on a character instead of showing it.
fn steers(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// A problem in the form the renderer takes.
#[derive(Debug)]
struct Report<'a> {
    found: &'a Diagnostic,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<Text>>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Report<'a> {
    fn new(found: &'a Diagnostic) -> Self {
        let main = found.place().map(|place| &place.source).filter(|source| !source.text.is_empty());
        let shown = |label: &Label| main.is_some_and(|main| label.place.source.name == main.name);
        let mut help: Vec<String> = found.hint.iter().map(|hint| cleaned(hint)).collect();
        // One drawing shows one file; places in others are named.
        for label in found.labels.iter().filter(|label| !shown(label)) {
            let text = if label.text.is_empty() { String::new() } else { format!(" ({})", label.text) };
            help.push(format!("see {}{}", label.place, cleaned(&text)));
        }
        let labels =
            found.labels.iter().enumerate().filter(|(_, label)| shown(label)).map(|(index, label)| {
                let text = (!label.text.is_empty()).then(|| cleaned(&label.text));
                match index {
                    0 => LabeledSpan::new_primary_with_span(text, label.place.span.clone()),
                    _ => LabeledSpan::new_with_span(text, label.place.span.clone()),
                }
            });
        Self {
            found,
            message: cleaned(&found.message),
            help: (!help.is_empty()).then(|| help.join("\n")),
            labels: labels.collect(),
            source: main.map(|source| NamedSource::new(&source.name, Text::new(source))),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.found.name))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.found.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A source that many reports share.
#[derive(Debug)]
struct Text(Arc<Source>);

impl Text {
    fn new(source: &Arc<Source>) -> Self {
        match source.text.contains(steers) {
            false => Self(Arc::clone(source)),
            true => Self(Source::new(source.name.clone(), cleaned(&source.text))),
        }
    }
}

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        self.0.text.as_str().read_span(span, before, after)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::{Surroundings, inspect};
    use crate::diagnostic::Place;

    /// Each file of the folder has beside it what a check says about it.
    #[test]
    fn every_bad_configuration_is_told_as_written_down() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
        files.sort();
        assert!(files.len() >= 10, "{files:?}");
        for file in files {
            let said = check(&file, &folder);
            let golden = file.with_extension("txt");
            if std::env::var_os("RHAPSODE_BLESS").is_some() {
                fs::write(&golden, &said).unwrap();
            }
            assert_eq!(said, fs::read_to_string(&golden).unwrap(), "{}", file.display());
            assert!(!said.contains("hunter2"), "{} shows a password", file.display());
        }
    }

    #[test]
    fn twelve_mistakes_are_twelve_problems() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
        let var = |_: &str| None;
        let surroundings = Surroundings { var: &var, run_commands: false };
        let found = inspect(&folder.join("twelve.yaml"), &surroundings).diagnostics;
        assert_eq!(found.len(), 12, "{}", render(&found, Format::Short));
        for problem in found {
            assert!(problem.is_error() && problem.place().is_some() && problem.hint.is_some(), "{problem:?}");
        }
    }

    #[test]
    fn short_lines_are_what_editors_read() {
        let text = render(&[sample()], Format::Short);
        assert_eq!(text, "bots.yaml:2:3: error: unknown key `pasword`\n");
        assert_eq!(render(&[Diagnostic::warning("a::b", "text")], Format::Short), "warning: text\n");
    }

    #[test]
    fn github_shows_problems_beside_the_lines() {
        assert_eq!(
            render(&[sample()], Format::Github),
            "::error file=bots.yaml,line=2,endLine=2,col=3,endColumn=10,title=config%3A%3Aunknown_key::unknown key \
             `pasword`%0Ahint: did you mean `password`?\n"
        );
        let odd = Diagnostic::warning("a::b", "50 % of\nit");
        assert_eq!(render(&[odd], Format::Github), "::warning title=a%3A%3Ab::50 %25 of%0Ait\n");
    }

    #[test]
    fn json_has_every_part() {
        let value: Value = serde_json::from_str(&render(&[sample()], Format::Json)).unwrap();
        assert_eq!(value[0]["name"], "config::unknown_key");
        assert_eq!(value[0]["file"], "bots.yaml");
        assert_eq!((&value[0]["line"], &value[0]["column"]), (&json!(2), &json!(3)));
        assert_eq!(value[0]["end_column"], 10);
        assert_eq!(value[0]["hint"], "did you mean `password`?");
        assert_eq!(render(&[], Format::Json), "[]\n");
    }

    #[test]
    fn colours_only_when_asked_for() {
        let style = Style::default();
        assert!(!render(&[sample()], Format::Human(style)).contains('\u{1b}'));
        assert!(render(&[sample()], Format::Human(Style { colour: true, ..style })).contains('\u{1b}'));
        assert!(render(&[sample()], Format::Human(Style { unicode: false, ..style })).is_ascii());
    }

    #[test]
    fn a_flood_of_problems_ends_in_single_lines() {
        let many = vec![sample(); MOST_DRAWN + 2];
        let text = render(&many, Format::Human(Style::default()));
        assert_eq!(text.matches("error: unknown key").count(), 2);
        assert_eq!(text.matches("unknown key").count(), many.len());
    }

    #[test]
    fn nothing_in_a_file_steers_the_terminal() {
        let source = Source::new("a", "x: \u{1b}[2J\u{9b}y\n");
        let found =
            Diagnostic::error("a::b", "bad \u{1b}[2J").at(Place::new(&source, 0..1), "\u{7}").hint("\u{1b}c");
        for format in [Format::Human(Style::default()), Format::Narrated, Format::Short] {
            let text = render(std::slice::from_ref(&found), format);
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn the_last_line_counts_problems_and_files() {
        let other = Diagnostic::error("a::b", "x").at(Place::new(&Source::new("b", "x"), 0..1), "");
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&[sample()]).as_deref(), Some("✗ 1 problem in 1 file"));
        assert_eq!(summary(&[sample(), other]).as_deref(), Some("✗ 2 problems in 2 files"));
        let warning = Diagnostic::warning("a::b", "x");
        assert_eq!(summary(std::slice::from_ref(&warning)).as_deref(), Some("! 1 warning"));
        let both = summary(&[sample(), warning]);
        assert_eq!(both.as_deref(), Some("✗ 1 problem, 1 warning in 1 file"));
    }

    fn sample() -> Diagnostic {
        let source = Source::new("bots.yaml", "a:\n  pasword: x\n");
        Diagnostic::error("config::unknown_key", "unknown key `pasword`")
            .at(Place::new(&source, 5..12), "unknown")
            .hint("did you mean `password`?")
    }

    /// What a check prints, with paths as if it ran in the folder of the file.
    fn check(file: &Path, folder: &Path) -> String {
        let var = |name: &str| (name != "UNSET").then(|| "hunter2".to_owned());
        let surroundings = Surroundings { var: &var, run_commands: false };
        let found = inspect(file, &surroundings).diagnostics;
        let mut said = render(&found, Format::Human(Style::default()));
        said.push_str(&summary(&found).unwrap_or_else(|| "nothing is wrong".to_owned()));
        said.replace(&format!("{}/", folder.display()), "") + "\n"
    }
}
