//! `rhapsode api`: the functions, events and argument types of scripts, offline.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::diagnostic::did_you_mean;
use crate::script::api::{ARGUMENT_TYPES, Function, all_areas, events};

/// Arguments of `api`.
#[derive(Args)]
pub struct Api {
    /// A function, property, area, event or argument type, or a word of its description; without one, everything
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What matches a search.
#[derive(Default)]
struct Found {
    functions: Vec<(&'static str, &'static Function)>,
    events: Vec<(&'static str, &'static str)>,
    types: Vec<(&'static str, &'static str)>,
}

/// Runs the command.
pub fn run(command: Api) -> Result<(), Failure> {
    let found = search(command.name.as_deref());
    if let Some(name) = &command.name
        && found.functions.is_empty()
        && found.events.is_empty()
        && found.types.is_empty()
    {
        let hint = did_you_mean(name, names());
        let hint = hint.unwrap_or_else(|| "`rhapsode api` lists everything".to_owned());
        return Err(Failure::with_hint(format!("nothing in the reference is called `{name}`"), hint));
    }
    if command.json {
        println!("{:#}", found.json());
    } else {
        found.print(command.name.is_some());
    }
    Ok(())
}

/// Exact names first: only where there is none, words of descriptions count.
fn search(name: Option<&str>) -> Found {
    let functions = || all_areas().flat_map(|area| area.functions.iter().map(move |f| (area.title, f)));
    let Some(name) = name else {
        return Found {
            functions: functions().collect(),
            events: events().to_vec(),
            types: ARGUMENT_TYPES.to_vec(),
        };
    };
    let bare = name.rsplit(['.', ':']).next().unwrap_or(name);
    let area = |title: &str| {
        all_areas().any(|area| {
            area.title == title && (area.module == Some(name) || area.title.eq_ignore_ascii_case(name))
        })
    };
    let exact = Found {
        functions: functions()
            .filter(|(title, f)| {
                f.name() == name || f.signature.starts_with(name) && f.name() == bare || area(title)
            })
            .collect(),
        events: events().iter().copied().filter(|(event, _)| *event == name).collect(),
        types: ARGUMENT_TYPES.iter().copied().filter(|(kind, _)| *kind == name).collect(),
    };
    if !(exact.functions.is_empty() && exact.events.is_empty() && exact.types.is_empty()) {
        return exact;
    }
    let word = name.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&word);
    Found {
        functions: functions().filter(|(_, f)| has(f.signature) || has(f.about)).collect(),
        events: events().iter().copied().filter(|(event, about)| has(event) || has(about)).collect(),
        types: ARGUMENT_TYPES.iter().copied().filter(|(kind, about)| has(kind) || has(about)).collect(),
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let functions = all_areas().flat_map(|area| area.functions).map(Function::name);
    functions
        .chain(all_areas().filter_map(|area| area.module))
        .chain(events().iter().map(|(event, _)| *event))
        .chain(ARGUMENT_TYPES.iter().map(|(kind, _)| *kind))
}

impl Found {
    fn json(&self) -> Value {
        let pairs = |pairs: &[(&str, &str)]| -> Value {
            pairs.iter().map(|(name, about)| json!({ "name": name, "about": about })).collect()
        };
        let functions = self.functions.iter().map(|(area, f)| {
            json!({ "area": area, "name": f.name(), "signature": f.signature, "about": f.about, "example": f.example })
        });
        json!({
            "functions": functions.collect::<Value>(),
            "events": pairs(&self.events),
            "argument_types": pairs(&self.types),
        })
    }

    fn print(&self, examples: bool) {
        let mut last = "";
        for (area, function) in &self.functions {
            if *area != last {
                println!("{}{area}", if last.is_empty() { "" } else { "\n" });
                last = area;
            }
            println!("  {}", function.signature);
            if examples {
                println!("      {}", function.about);
                for line in function.example.trim().lines() {
                    println!("        {line}");
                }
            }
        }
        for (title, pairs) in [("Events", &self.events), ("Types of arguments of commands", &self.types)] {
            if pairs.is_empty() {
                continue;
            }
            println!("{}{title}", if last.is_empty() { "" } else { "\n" });
            last = title;
            let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, about) in pairs.iter() {
                println!("  {name:width$}  {about}");
            }
        }
    }
}
