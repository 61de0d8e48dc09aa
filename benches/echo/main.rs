//! Echo from end to end: accounts with the real runtime and `scripts/echo.rhai` in one process, the embedded
//! server with simulated people in another, TLS on loopback between them.
//!
//! `cargo bench --bench echo -- [N…] [--durability relaxed|full|both] [--seconds S] [--runs R] [--pace P] [--json]`
//!
//! This process is the server and the load; it starts itself again for the accounts, so that CPU time and memory
//! are theirs alone. Nothing is pinned: compare ratios of one machine, and medians of several runs.

mod client;
mod load;
mod measure;
mod process;
mod table;

use std::process::ExitCode;

use measure::{Options, Row};

/// The argument by which this program knows that it is to host the accounts.
const CLIENT: &str = "--client";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = arguments.as_slice()
        && flag == CLIENT
    {
        return outcome(client::run(folder.as_ref()));
    }
    match parse(&arguments) {
        Ok((options, json)) => outcome(bench(&options, json)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn bench(options: &Options, json: bool) -> Result<(), String> {
    process::raise_file_limit(options.counts.iter().copied().max().unwrap_or(0))?;
    let mut rows: Vec<Row> = Vec::new();
    for durability in &options.durabilities {
        for run in 0..options.runs {
            let mut single = None;
            for count in &options.counts {
                eprintln!("{durability}, N={count}, run {} of {}", run + 1, options.runs);
                let row = measure::measure(*count, durability, single, options)?;
                if *count == 1 {
                    single = Some(row.rss_kb);
                }
                rows.push(row);
            }
        }
    }
    let rows = table::medians(rows);
    if json {
        let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
        println!("{text}");
    } else {
        table::print(&rows);
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<(Options, bool), String> {
    let mut options = Options::default();
    let mut counts = Vec::new();
    let mut json = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` wants a value"));
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--json" => json = true,
            "--seconds" => options.seconds = number(value()?)?,
            "--runs" => options.runs = number(value()?)?,
            "--pace" => options.pace = number(value()?)?,
            "--durability" => {
                options.durabilities = match value()?.as_str() {
                    "both" => vec!["relaxed".to_owned(), "full".to_owned()],
                    one @ ("relaxed" | "full") => vec![one.to_owned()],
                    other => return Err(format!("no durability `{other}`")),
                }
            }
            text => counts.push(number(text)?),
        }
    }
    if !counts.is_empty() {
        // The account that all others are compared with comes first.
        counts.push(1);
        counts.sort_unstable();
        counts.dedup();
        options.counts = counts;
    }
    Ok((options, json))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn outcome(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
