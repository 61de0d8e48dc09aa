//! The side that is measured: a whole service, commanded by lines on standard input.

use std::io::BufRead;
use std::path::Path;

use rhapsode::actor::message::Parting;
use rhapsode::actor::runtime::block_on;
use rhapsode::ops::service::{Prepared, Service, prepare};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Hosts the accounts of the `bots.yaml` in `folder` until it is told `stop` or its parent has gone.
pub fn run(folder: &Path) -> Result<(), String> {
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    let prepared = prepare(&folder.join("bots.yaml")).map_err(|problems| format!("{problems:#?}"))?;
    let (sender, commands) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    block_on(serve(prepared, commands))
}

async fn serve(prepared: Prepared, mut commands: UnboundedReceiver<String>) -> Result<(), String> {
    let names: Vec<String> = prepared.settings().bots.iter().map(|bot| bot.name.clone()).collect();
    let (service, applying) = Service::start(prepared, None).map_err(|error| error.to_string())?;
    println!("ready");
    if commands.recv().await.as_deref() != Some("go") {
        return Err("the first command is `go`".to_owned());
    }
    applying.apply().await;
    while let Some(command) = commands.recv().await {
        match command.as_str() {
            "reconnect" => drop(service.reconnect(&names).await),
            "stop" => break,
            other => return Err(format!("no command `{other}`")),
        }
    }
    let open = service.stop(Parting::Final).await.open;
    if open.is_empty() { Ok(()) } else { Err(format!("{} accounts did not end in time", open.len())) }
}
