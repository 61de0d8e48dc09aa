//! Medians over runs, and the table.

use crate::measure::{Load, Row};

/// One row for each durability and number of accounts, in the order of their first appearance.
pub fn medians(rows: Vec<Row>) -> Vec<Row> {
    let mut result: Vec<Row> = Vec::new();
    for row in &rows {
        let same = |other: &&Row| other.durability == row.durability && other.accounts == row.accounts;
        if result.iter().any(|other| same(&other)) {
            continue;
        }
        let runs: Vec<&Row> = rows.iter().filter(same).collect();
        let of = |value: &dyn Fn(&Row) -> f64| median(runs.iter().map(|run| value(run)).collect());
        let load = |part: &dyn Fn(&Row) -> Load| Load {
            replies_per_s: of(&|row| part(row).replies_per_s),
            replies_per_cpu_s: of(&|row| part(row).replies_per_cpu_s),
            cpu_us: of(&|row| part(row).cpu_us),
            server_cpu_us: of(&|row| part(row).server_cpu_us),
            sleeps: of(&|row| part(row).sleeps),
            p50_us: of(&|row| part(row).p50_us),
            p99_us: of(&|row| part(row).p99_us),
        };
        result.push(Row {
            durability: row.durability.clone(),
            accounts: row.accounts,
            online_s: of(&|row| row.online_s),
            connect_ms: of(&|row| row.connect_ms),
            reconnect_ms: of(&|row| row.reconnect_ms),
            rss_kb: of(&|row| row.rss_kb as f64) as u64,
            rss_per_account_kb: row
                .rss_per_account_kb
                .map(|_| of(&|row| row.rss_per_account_kb.unwrap_or(0.0))),
            idle_mcore: of(&|row| row.idle_mcore),
            saturated: load(&|row| row.saturated),
            paced: load(&|row| row.paced),
            wrong: runs.iter().map(|run| run.wrong).sum(),
        });
    }
    result
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!(
        "| store | N | online s | connect ms | reconnect ms | RSS MB | kB each | idle mcore | replies/s | replies/CPU s | CPU µs | server µs | sleeps | p50 ms | p99 ms | at 1000/s: CPU µs | sleeps | p50 µs | p99 µs | wrong |"
    );
    println!("|{}", " ---: |".repeat(20));
    for row in rows {
        let Row { saturated, paced, .. } = row;
        let each = row.rss_per_account_kb.map_or_else(|| "-".to_owned(), |each| format!("{each:.1}"));
        println!(
            "| {} | {} | {:.1} | {:.2} | {:.2} | {:.1} | {each} | {:.1} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.0} | {:.1} | {:.0} | {:.0} | {} |",
            row.durability,
            row.accounts,
            row.online_s,
            row.connect_ms,
            row.reconnect_ms,
            row.rss_kb as f64 / 1000.0,
            row.idle_mcore,
            saturated.replies_per_s,
            saturated.replies_per_cpu_s,
            saturated.cpu_us,
            saturated.server_cpu_us,
            saturated.sleeps,
            saturated.p50_us / 1000.0,
            saturated.p99_us / 1000.0,
            paced.cpu_us,
            paced.sleeps,
            paced.p50_us,
            paced.p99_us,
            row.wrong,
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
