//! `rhapsode demo`: a server, bots and a chat on this machine, for the first ten minutes.
//!
//! Everything stays on loopback and in one folder, which the user may edit while it runs.

mod chat;
mod folder;

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use tokio::sync::mpsc;

use crate::actor::message::Parting;
use crate::actor::runtime::block_on;
use crate::cli::demo::folder::{DOMAIN, Folder, PEOPLE, PERSON_PASSWORD};
use crate::cli::{Common, Failure, shown};
use crate::config::settings::Settings;
use crate::jid::BareJid;
use crate::ops::person::{Login, Person};
use crate::ops::service::{Prepared, Service, prepare, random_seed};
use crate::ops::{control, log, signal, watch};
use crate::secret::Password;
use crate::server::{Certificates, Running, Server, ServerError, ServerOptions};

/// Ports that are tried after a busy one.
const TRIES: u16 = 50;

/// Arguments of `demo`.
#[derive(Args)]
pub struct Demo {
    /// The folder of the demo; made when missing, continued when there
    #[arg(long, default_value = "rhapsode-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Where the server listens; a busy port is passed over
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5222)), value_name = "ADDRESS")]
    listen: SocketAddr,
    /// So many echo bots besides those of bots.yaml
    #[arg(long, default_value_t = 0, value_name = "N")]
    bots: usize,
}

/// Runs the command.
pub fn run(command: Demo, common: &Common) -> Result<(), Failure> {
    let folder = Folder::open(&command.dir)?;
    let server = Rc::new(listen(&folder, command.listen)?);
    folder.write(server.addr(), command.bots)?;
    let prepared = prepare(&folder.config()).map_err(Failure::Problems)?;
    open_accounts(&server, prepared.settings());
    let chatting = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut settings = prepared.settings().log.clone();
    if chatting {
        // The chat owns the terminal: only what is wrong may speak between its lines.
        settings.level = "warn".to_owned();
    }
    let levels = log::install(&settings, common.louder());
    let outcome = block_on(serve(&folder, &server, prepared, levels, chatting));
    if let Ok(server) = Rc::try_unwrap(server) {
        server.stop();
    }
    outcome
}

/// Starts the server on the wanted port or the next free one.
fn listen(folder: &Folder, wanted: SocketAddr) -> Result<Running, Failure> {
    let mut address = wanted;
    loop {
        let options = ServerOptions {
            domain: DOMAIN.to_owned(),
            listen: address,
            accounts: PEOPLE.iter().map(|name| ((*name).to_owned(), PERSON_PASSWORD.to_owned())).collect(),
            open_registration: true,
            certificates: Certificates::Folder(folder.path().to_path_buf()),
            ..ServerOptions::default()
        };
        match Server::start(options) {
            Ok(running) => return Ok(running),
            Err(ServerError::PortInUse { .. }) if address.port() < wanted.port().saturating_add(TRIES) => {
                eprintln!("port {} is busy, trying the next one", address.port());
                address.set_port(address.port() + 1);
            }
            Err(error) => return Err(Failure::new(error.to_string())),
        }
    }
}

/// Gives every bot of the configuration its account on the server.
fn open_accounts(server: &Running, settings: &Settings) {
    for bot in settings.bots.iter().filter(|bot| bot.jid.domain() == DOMAIN) {
        let Some(user) = bot.jid.local() else { continue };
        if let Err(error) = server.set_password(user, bot.password.reveal()) {
            tracing::warn!(bot = %bot.name, %error, "no account on the demo server");
        }
    }
}

async fn serve(
    folder: &Folder,
    server: &Rc<Running>,
    prepared: Prepared,
    levels: log::Levels,
    chatting: bool,
) -> Result<(), Failure> {
    let mut signals = signal::Signals::new().map_err(|error| Failure::new(format!("signals: {error}")))?;
    let (service, applying) =
        Service::start(prepared, Some(levels)).map_err(|error| Failure::new(error.to_string()))?;
    let (stop, mut stopping) = mpsc::channel(1);
    control::serve(&service.socket(), Rc::clone(&service), stop.clone())
        .map_err(|error| Failure::new(format!("control socket: {error}")))?;
    // A bot that is added to bots.yaml while the demo runs gets its account before it logs in.
    let accounts = Rc::clone(server);
    service.before_change(move |settings| open_accounts(&accounts, settings));
    watch::start(Rc::clone(&service));
    applying.apply().await;
    greet(folder, server, &service.settings());
    if chatting {
        chat::start(ann(folder, server).await?, Rc::clone(&service), stop)?;
    }
    // The server ends as well: there is nothing to come back to.
    signals.until_stop(&service, &mut stopping).await;
    service.stop(Parting::Final).await;
    // Gone already: somebody cleaned up.
    drop(std::fs::remove_file(service.socket()));
    Ok(())
}

/// The person at the terminal.
async fn ann(folder: &Folder, server: &Running) -> Result<Person, Failure> {
    let login = Login {
        jid: BareJid::parse(&format!("ann@{DOMAIN}")).map_err(|error| Failure::new(error.to_string()))?,
        password: Password::new(PERSON_PASSWORD.to_owned()),
        resource: "chat".to_owned(),
        server: server.addr(),
        ca: folder.path().join("ca.pem"),
    };
    let seed = random_seed().map_err(|error| Failure::new(error.to_string()))?;
    Person::login(login, seed).await.map_err(|why| Failure::new(format!("the chat could not log in: {why}")))
}

/// What a newcomer has to know.
fn greet(folder: &Folder, server: &Running, settings: &Settings) {
    let names: Vec<&str> = settings.bots.iter().map(|bot| bot.name.as_str()).take(8).collect();
    let more = if settings.bots.len() > names.len() { ", …" } else { "" };
    let server = server.addr();
    let ca = folder.path().join("ca.pem");
    let text = format!(
        "  server    {server}   {DOMAIN} (this machine only, made-up certificate)\n  \
         bots      {}{more}   ({} in all)\n  \
         scripts   {}   edit one and save: it is live at once\n  \
         client    user ann@{DOMAIN}   password {PERSON_PASSWORD}   server {server}\n  \
         CA        {}   lets a client verify the certificate\n",
        names.join(", "),
        settings.bots.len(),
        shown(&folder.scripts()),
        shown(&ca),
    );
    // Whoever started the demo may have closed the pipe by now: it serves all the same.
    drop(std::io::stdout().write_all(text.as_bytes()));
}
