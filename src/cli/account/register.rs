//! `rhapsode account register`: a new account, by form or by fields, and a file with its password.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::read_password;
use crate::actor::runtime::block_on;
use crate::cli::{Common, Failure, shown};
use crate::config::settings::{HostPort, TlsMode};
use crate::config::{self, password_file};
use crate::jid::BareJid;
use crate::ops::register::{NewAccount, RegisterFailed, register};
use crate::ops::service::{new_password, random_seed};
use crate::secret::Password;

/// Arguments of `account register`.
#[derive(Args)]
pub struct Register {
    /// The address of the new account
    #[arg(value_name = "JID")]
    jid: String,
    /// Where its password goes: a new file, which only you can read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input; otherwise one is made up
    #[arg(long)]
    stdin: bool,
    /// What else the server wants to know (may be repeated)
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// Where the server is [default: as the bot with that address has it, else by DNS]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// An authority besides those of the system, as PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Begin with TLS at once
    #[arg(long)]
    direct_tls: bool,
    /// Seconds to wait for the server
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    within: u64,
}

/// Where an account is to be made.
#[derive(Default)]
struct Way {
    server: Option<(String, u16)>,
    direct_tls: bool,
    ca: Option<PathBuf>,
}

/// Runs the command. The password is on disk before the server hears of it.
pub fn run(command: Register, common: &Common) -> Result<(), Failure> {
    let jid = BareJid::parse(&command.jid)
        .ok()
        .filter(|jid| jid.local().is_some())
        .ok_or_else(|| Failure::new(format!("`{}` is no address of an account", command.jid)))?;
    let way = way(&command, &jid, common)?;
    let Some(file) = &command.password_file else {
        return Err(Failure::with_hint(
            "nobody would know the password of the account",
            "--password-file FILE says where it goes; in bots.yaml it is `password: { file: FILE }`",
        ));
    };
    let password = match command.stdin {
        true => read_password()?,
        false => new_password().map_err(|error| Failure::new(error.to_string()))?,
    };
    keep(file, &password)?;
    let account = NewAccount {
        jid,
        password,
        fields: command.fields.into_iter().collect::<BTreeMap<_, _>>(),
        server: way.server,
        direct_tls: way.direct_tls,
        ca: way.ca,
    };
    let seed = random_seed().map_err(|error| Failure::new(error.to_string()))?;
    let within = Duration::from_secs(command.within);
    match block_on(register(account, seed, within)) {
        Ok(()) => {
            println!("{}", file.display());
            Ok(())
        }
        Err(RegisterFailed::Refused { text }) => {
            // It is the password of nothing, and was made by this command.
            drop(std::fs::remove_file(file));
            Err(Failure::new(text))
        }
        Err(RegisterFailed::Unknown { text }) => Err(Failure::with_hint(
            format!("whether there is an account is not known: {text}"),
            format!("if there is, its password is in `{}`", shown(file)),
        )),
    }
}

/// Writes the password into a file that was not there.
fn keep(file: &Path, password: &Password) -> Result<(), Failure> {
    password_file::create(file, password).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::with_hint(
            format!("`{}` is there already", shown(file)),
            "it may be the password of another account: name a file that is not there",
        ),
        _ => Failure::new(format!("`{}`: {error}", shown(file))),
    })
}

/// What the command line says, then what bots.yaml says of a bot with that address. It need not be right in
/// everything: the password of this very bot is missing, most likely.
fn way(command: &Register, jid: &BareJid, common: &Common) -> Result<Way, Failure> {
    let configured = if command.server.is_none() && command.ca.is_none() && !command.direct_tls {
        let found = common.file().ok().and_then(|file| {
            let var = |name: &str| std::env::var(name).ok();
            config::inspect(&file, &config::Surroundings { var: &var, run_commands: false }).settings
        });
        found.and_then(|settings| settings.bots.into_iter().find(|bot| bot.jid == *jid))
    } else {
        None
    };
    if let Some(bot) = configured {
        return Ok(Way {
            server: bot.server.map(|server| (server.host, server.port)),
            direct_tls: bot.tls.mode == TlsMode::Direct,
            ca: bot.tls.ca,
        });
    }
    let server = command.server.as_deref().map(host_port).transpose()?;
    Ok(Way { server, direct_tls: command.direct_tls, ca: command.ca.clone() })
}

fn host_port(text: &str) -> Result<(String, u16), Failure> {
    let HostPort { host, port } = HostPort::parse(text).ok_or_else(|| {
        Failure::with_hint(format!("`{text}` is no server"), "write it like `xmpp.example.org:5222`")
    })?;
    Ok((host, port))
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like `email=ops@example.org`".to_owned()),
    }
}
