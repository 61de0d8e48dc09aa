//! The checklist of the protocol and of its known attacks, row by row: which test shows that a row holds here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many rows each part of the checklist has.
const PARTS: &[(&str, usize)] = &[
    ("J", 5),
    ("T", 16),
    ("W", 3),
    ("A", 16),
    ("SM", 12),
    ("I", 7),
    ("R", 7),
    ("D", 6),
    ("M", 18),
    ("X", 13),
    ("C", 17),
    ("P", 8),
    ("F", 3),
    ("U", 2),
    ("K", 5),
    ("S", 32),
];

struct Row<'a> {
    id: &'a str,
    level: &'a str,
    proofs: Vec<&'a str>,
}

#[test]
fn every_row_is_there_once_and_in_order() {
    let text =
        fs::read_to_string(root().join("tests/protocol.rows")).expect("the table is in the repository");
    let promised: Vec<String> =
        PARTS.iter().flat_map(|(part, count)| (1..=*count).map(move |n| format!("{part}-{n}"))).collect();
    let there: Vec<&str> = rows(&text).iter().map(|row| row.id).collect();
    assert_eq!(there, promised);
}

#[test]
fn every_row_has_proofs_that_exist_or_says_what_is_missing() {
    let text =
        fs::read_to_string(root().join("tests/protocol.rows")).expect("the table is in the repository");
    let mut sources = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows(&text) {
        assert!(["must", "should", "later"].contains(&row.level), "{}: {} is no level", row.id, row.level);
        let open = row.proofs.iter().filter(|proof| proof.starts_with("open: ")).count();
        if row.proofs.is_empty() || (open > 0 && row.proofs.len() > 1) {
            wrong.push(format!("{} ({}) is either shown or open", row.id, row.level));
        }
        for proof in row.proofs.iter().filter(|proof| !proof.starts_with("open: ")) {
            if !exists(proof, &mut sources) {
                wrong.push(format!("{}: there is no {proof}", row.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("  "), rows.last_mut()) {
            (Some(proof), Some(row)) => row.proofs.push(proof.trim()),
            (Some(proof), None) => panic!("{proof} belongs to no row"),
            (None, _) => {
                let (id, level) = line.split_once(' ').expect("a row has a level");
                rows.push(Row { id, level, proofs: Vec::new() });
            }
        }
    }
    rows
}

fn exists(proof: &str, sources: &mut BTreeMap<String, String>) -> bool {
    let (file, name) = proof.split_once(' ').expect("a proof is a file and a function");
    if file == "transcript" {
        return root().join(format!("tests/transcripts/{name}.xmpp")).is_file();
    }
    let source = sources
        .entry(file.to_owned())
        .or_insert_with(|| fs::read_to_string(root().join(file)).unwrap_or_default());
    source.contains(&format!("fn {name}("))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
