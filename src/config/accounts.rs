//! `accounts_files`: CSV files with one account a line.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::config::decode::{Decoder, listed};
use crate::config::secrets::io_words;
use crate::config::yaml::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, Place, Source, did_you_mean};

/// The accounts of one file.
pub struct Accounts {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The lines behind the first.
    pub rows: Vec<Row>,
}

/// One account.
pub struct Row {
    /// Its line.
    pub place: Place,
    /// One cell per column.
    pub cells: Vec<String>,
}

impl Row {
    /// The cell of a column.
    pub fn cell(&self, columns: &[String], column: &str) -> Option<&str> {
        let index = columns.iter().position(|it| it == column)?;
        self.cells.get(index).map(String::as_str)
    }
}

/// Reads a file; lines that are wrong are told and left out. With `blank`, cells may be passwords
/// and never appear in what is shown.
pub fn read(decoder: &mut Decoder, node: &Node, folder: &Path, blank: bool) -> Option<Accounts> {
    let path = decoder.text(node, "the accounts file")?.to_owned();
    let file = folder.join(&path);
    let text = match std::fs::read(&file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            let found = Diagnostic::error("config::accounts_file", format!("{path}: is not UTF-8 text"));
            decoder.report(found, node, "this file");
            return None;
        }
        Err(error) => {
            let found = Diagnostic::error("config::accounts_file", format!("{path}: {}", io_words(&error)));
            decoder.report(found, node, "this file");
            return None;
        }
    };
    let source = Source::new(file.display().to_string(), if blank { blanked(&text) } else { text.clone() });
    parse(decoder, &source, &text)
}

fn parse(decoder: &mut Decoder, source: &Arc<Source>, text: &str) -> Option<Accounts> {
    // Spreadsheets put a byte order mark in front.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shift = text.len() - body.len();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(body.as_bytes());
    let mut columns: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        // The text is UTF-8 and rows may differ in length, so only reading from memory could fail.
        let Ok(record) = record else { continue };
        let start = shift + record.position().map_or(0, |position| position.byte() as usize);
        let place = Place::new(source, line(text, start));
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        match &columns {
            None => columns = Some(header(decoder, cells, &place)?),
            Some(columns) if cells.len() == columns.len() => rows.push(Row { place, cells }),
            Some(columns) => {
                let message = format!("{} fields, but {} columns", cells.len(), columns.len());
                let hint = format!("the columns are {}", listed(columns));
                let found = Diagnostic::error("config::accounts_row", message).hint(hint);
                decoder.note(found.at(place, ""));
            }
        }
    }
    if columns.is_none() {
        let found = Diagnostic::error("config::accounts_file", "the accounts file is empty");
        let hint = "its first line names the columns: `name,…`";
        decoder.note(found.hint(hint).at(Place::new(source, 0..0), ""));
    }
    Some(Accounts { columns: columns?, rows })
}

/// The names of the columns, if accounts can be read with them.
fn header(decoder: &mut Decoder, columns: Vec<String>, place: &Place) -> Option<Vec<String>> {
    let mut found = None;
    for (index, column) in columns.iter().enumerate() {
        let wrong = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
        if column.is_empty() || column.contains(wrong) {
            found = Some(format!("`{column}` is no name of a column: letters, digits, `_` and `-`"));
        } else if columns[..index].contains(column) {
            found = Some(format!("the column `{column}` occurs twice"));
        }
    }
    if !columns.iter().any(|column| column == "name") {
        found = found.or(Some(format!("no column is named `name`; there are {}", listed(&columns))));
    }
    match found {
        None => Some(columns),
        Some(message) => {
            let hint = "the first line names the columns: `name,password_file`";
            decoder.note(
                Diagnostic::error("config::accounts_columns", message).hint(hint).at(place.clone(), ""),
            );
            None
        }
    }
}

/// The first line of a record, without its end. The reader counts empty lines and comments in
/// front of a record as part of it.
fn line(text: &str, start: usize) -> Range<usize> {
    let mut rest = text.get(start..).unwrap_or_default().trim_start_matches(['\r', '\n']);
    while rest.starts_with('#') {
        rest = rest.find('\n').map_or("", |end| &rest[end..]).trim_start_matches(['\r', '\n']);
    }
    let start = text.len() - rest.len();
    let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
    start..start + end
}

/// The text with every cell blanked behind the first line, but for a first column `name`.
fn blanked(text: &str) -> String {
    let named = text.trim_start_matches('\u{feff}').starts_with("name,");
    let mut shown = Vec::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let keep = match index {
            0 => line.len(),
            _ if named => line.find(',').unwrap_or(0),
            _ => 0,
        };
        let hide = |byte: u8| if matches!(byte, b',' | b'\r' | b'\n') { byte } else { b'*' };
        shown.extend_from_slice(&line.as_bytes()[..keep]);
        shown.extend(line.as_bytes()[keep..].iter().map(|&byte| hide(byte)));
    }
    // Whole characters were kept or replaced byte by byte with ASCII.
    String::from_utf8(shown).unwrap_or_default()
}

/// The columns that placeholders in a value name.
pub fn placeholders(node: &Node) -> Vec<String> {
    let mut names = Vec::new();
    match &node.kind {
        Kind::Null => {}
        Kind::Scalar { text, .. } => {
            // Never fails: every name is known.
            let _: Result<String, String> = filled(text, &mut |name| {
                names.push(name.to_owned());
                Some(String::new())
            });
        }
        Kind::List(items) => items.iter().for_each(|item| names.extend(placeholders(item))),
        Kind::Map(entries) => entries.iter().for_each(|entry| names.extend(placeholders(&entry.value))),
    }
    names
}

/// A value with `{column}` replaced everywhere; an unknown column is told with those that exist.
pub fn substituted(
    decoder: &mut Decoder,
    node: &Node,
    columns: &[String],
    cell: &dyn Fn(&str) -> Option<String>,
) -> Node {
    let kind = match &node.kind {
        Kind::Null => Kind::Null,
        Kind::Scalar { text, plain } => {
            return match filled(text, &mut |name| cell(name)) {
                Ok(new) if new == *text => node.clone(),
                Ok(new) => {
                    let kind = Kind::Scalar { text: new, plain: *plain };
                    Node { span: node.span.clone(), kind, from_row: true }
                }
                Err(name) => {
                    let message = format!("no column is named `{name}`");
                    let hint = did_you_mean(&name, columns.iter().map(String::as_str)).map_or_else(
                        || format!("there are {}", listed(columns)),
                        |near| format!("{near} There are {}", listed(columns)),
                    );
                    let found = Diagnostic::error("config::unknown_column", message).hint(hint);
                    decoder.report(found, node, "unknown column");
                    node.clone()
                }
            };
        }
        Kind::List(items) => {
            Kind::List(items.iter().map(|item| substituted(decoder, item, columns, cell)).collect())
        }
        Kind::Map(entries) => {
            let value = |decoder: &mut Decoder, it: &Entry| substituted(decoder, &it.value, columns, cell);
            Kind::Map(
                entries.iter().map(|entry| Entry { value: value(decoder, entry), ..entry.clone() }).collect(),
            )
        }
    };
    Node { span: node.span.clone(), kind, from_row: false }
}

/// A text with each `{name}` replaced; `{{name}}` becomes `{name}`. Braces around anything that is
/// no name stay. `Err` holds the name nobody knows.
fn filled(text: &str, value: &mut dyn FnMut(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 1..];
        let (escaped, inner) = match inner.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        let length =
            inner.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(inner.len());
        let (name, behind) = inner.split_at(length);
        let closing = if escaped { "}}" } else { "}" };
        match behind.strip_prefix(closing) {
            Some(behind) if !name.is_empty() => {
                if escaped {
                    out.push_str(&format!("{{{name}}}"));
                } else {
                    out.push_str(&value(name).ok_or_else(|| name.to_owned())?);
                }
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = &rest[open + 1..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_names_in_braces() {
        let fill = |text: &str| filled(text, &mut |name| (name == "name").then(|| "oslo".to_owned()));
        assert_eq!(fill("{name}@x").as_deref(), Ok("oslo@x"));
        assert_eq!(fill("{{name}}@x").as_deref(), Ok("{name}@x"));
        assert_eq!(fill("{ name } {} {").as_deref(), Ok("{ name } {} {"));
        assert_eq!(fill("ä{name}ö{name}").as_deref(), Ok("äosloöoslo"));
        assert_eq!(fill("{nmae}"), Err("nmae".to_owned()));
    }

    #[test]
    fn rows_know_their_lines() {
        let (accounts, found) =
            read_text("\u{feff}name,region\r\noslo,no\r\n# a comment\r\n\r\nbergen,no\r\n");
        let accounts = accounts.unwrap();
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(accounts.columns, ["name", "region"]);
        let lines: Vec<_> = accounts.rows.iter().map(|row| row.place.position()).collect();
        assert_eq!(lines, [(2, 1), (5, 1)]);
        assert_eq!(accounts.rows[1].cell(&accounts.columns, "name"), Some("bergen"));
    }

    #[test]
    fn rows_of_another_length_are_told_and_left_out() {
        let (accounts, found) = read_text("name,region\noslo\nbergen,no\nvoss,no,x\n");
        assert_eq!(accounts.unwrap().rows.len(), 1);
        assert_eq!(found.iter().map(|it| it.place().unwrap().position().0).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn columns_need_names() {
        for text in ["", "nam,region\n", "name,name\n", "name,\n", "name,a b\n"] {
            let (accounts, found) = read_text(text);
            assert!(accounts.is_none() && found.len() == 1, "{text}: {found:?}");
        }
    }

    #[test]
    fn blanked_cells_keep_their_length() {
        let text = "name,password\noslo,pencil\n\"a\",\"pen,cil\"\n";
        let shown = blanked(text);
        assert_eq!(shown, "name,password\noslo,******\n\"a\",****,****\n");
        assert_eq!(blanked("password,name\npencil,oslo\n"), "password,name\n******,****\n");
    }

    fn read_text(text: &str) -> (Option<Accounts>, Vec<Diagnostic>) {
        let source = Source::new("shops.csv", text);
        let mut decoder = Decoder::new(Arc::clone(&source), Vec::new());
        let accounts = parse(&mut decoder, &source, text);
        (accounts, decoder.problems)
    }
}
