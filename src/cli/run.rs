//! `rhapsode run`: the bots of bots.yaml, until a signal or `rhapsode stop`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::mpsc;

use crate::actor::message::Parting;
use crate::actor::runtime::block_on;
use crate::cli::{Common, Failure};
use crate::ops::service::{Prepared, Service, prepare};
use crate::ops::{control, log, signal, watch};
use crate::store::error::StoreError;

/// More bots than this get summary lines while they log in.
const MANY: usize = 20;
/// How often a summary line is written.
const SUMMARY: Duration = Duration::from_secs(10);

/// Arguments of `run`.
#[derive(Args)]
pub struct Run {
    /// Do not reload by itself when a file is saved
    #[arg(long)]
    no_watch: bool,
}

/// Runs the command.
pub fn run(command: Run, common: &Common) -> Result<(), Failure> {
    let file = common.file()?;
    let prepared = prepare(&file).map_err(Failure::Problems)?;
    if !prepared.warnings.is_empty() {
        common.show(&prepared.warnings);
    }
    let levels = log::install(&prepared.settings().log, common.louder());
    block_on(serve(prepared, levels, !command.no_watch, common))
}

async fn serve(
    prepared: Prepared,
    levels: log::Levels,
    watching: bool,
    common: &Common,
) -> Result<(), Failure> {
    // Before anything else: a signal during the start must not end the process half-way.
    let mut signals = signal::Signals::new().map_err(|error| Failure::new(format!("signals: {error}")))?;
    let (bots, scripts) = (prepared.settings().bots.len(), prepared.settings().scripts.len());
    let (service, applying) =
        Service::start(prepared, Some(levels)).map_err(|error| Failure::new(error.to_string()))?;
    let (stop, mut stopping) = mpsc::channel(1);
    let socket = service.socket();
    control::serve(&socket, Rc::clone(&service), stop)
        .map_err(|error| Failure::new(format!("control socket `{}`: {error}", socket.display())))?;
    if watching {
        watch::start(Rc::clone(&service));
    }
    tracing::info!(bots, scripts, version = env!("CARGO_PKG_VERSION"), "started");
    applying.apply().await;
    if bots > MANY {
        tokio::task::spawn_local(follow_logins(Rc::clone(&service)));
    }
    let parting = tokio::select! {
        parting = signals.until_stop(&service, &mut stopping) => parting,
        error = service.store_failed() => {
            drop(std::fs::remove_file(&socket));
            // At once: nothing that still happens is kept, and nothing was acknowledged that is not. What is open is
            // redelivered to the next process.
            common.say(&cannot_keep(&error));
            std::process::exit(1);
        }
    };
    let sessions = match parting {
        Parting::Final => "streams are closed",
        Parting::Resumable => "sessions wait for the next process",
    };
    tracing::info!("stopping: turns under way may end, {sessions}; a second signal stops at once");
    tokio::select! {
        report = service.stop(parting) => {
            if !report.open.is_empty() {
                tracing::warn!(open = report.open.join(", "), "did not end in time");
            }
            tracing::info!("stopped");
        }
        () = signals.again() => tracing::warn!("stopped at once"),
    }
    // Gone already: somebody cleaned up.
    drop(std::fs::remove_file(&socket));
    Ok(())
}

/// Why the process ends by itself.
fn cannot_keep(error: &StoreError) -> Failure {
    Failure::with_hint_if(format!("{error}; it ends, for nothing more can be kept"), error.hint())
}

/// Says how far the logins are, until every bot is online or waits for something else.
async fn follow_logins(service: Rc<Service>) {
    let mut said = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let bots = service.status().await.bots;
        let settled = bots.connecting == 0;
        if settled || said.elapsed() >= SUMMARY {
            said = Instant::now();
            let message = if settled { "logins are through" } else { "logging in" };
            tracing::info!(
                total = bots.total,
                online = bots.online,
                retrying = bots.retrying,
                refused = bots.refused,
                paused = bots.paused,
                "{message}"
            );
        }
        if settled {
            return;
        }
    }
}
