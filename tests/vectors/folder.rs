//! The folder of the vectors.

use std::path::Path;

use serde_json::Value;

/// The cases of one file; `None` where no folder is named.
pub fn cases(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("RHAPSODE_VECTORS") else {
        eprintln!("skipped: RHAPSODE_VECTORS names no folder with {file}");
        return None;
    };
    let path = Path::new(&folder).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let content: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = content["cases"].as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty(), "{file} has no cases");
    Some(cases)
}

/// A member that has to be text.
pub fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("{}: no text `{member}`", case["id"]))
}

/// A list of names.
pub fn names(case: &Value, member: &str) -> Vec<String> {
    let list = case[member].as_array().unwrap_or_else(|| panic!("{}: no list `{member}`", case["id"]));
    list.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// Fails with all complaints at once: one failing case rarely comes alone.
pub fn none_of(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} of the cases:\n{}", complaints.len(), complaints.join("\n"));
}
