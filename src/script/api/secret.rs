//! `secret::`: using secrets without reading them.

use std::fmt::Write as _;

use rhai::{EvalAltResult, Module};
use subtle::ConstantTimeEq;

use crate::script::api::http::base64;
use crate::script::api::{Area, Function, put};
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::hook::hashed;
use crate::script::turn::{self, Turn};
use crate::secret::Password;

pub(super) const AREA: Area = Area {
    title: "Secrets",
    module: Some("secret"),
    about: "Secrets stand under `secrets` in bots.yaml; `permissions: { secrets: [NAME] }` lets a script use one. It never reads it. See also the option `secret` of `http::get`, and of `webhook`.",
    objects: &[],
    functions: &[
        Function {
            signature: "secret::hmac(name: string, data: string) -> string",
            about: "The HMAC-SHA-256 of `data` with that secret, in lower-case hexadecimal digits.",
            example: r#"on("message", |m| m.reply(secret::hmac("deploy_key", m.text)));"#,
        },
        Function {
            signature: "secret::hmac(name: string, data: string, encoding: string) -> string",
            about: "The same as `hex` or `base64`.",
            example: r#"on("message", |m| m.reply(secret::hmac("deploy_key", m.text, "base64")));"#,
        },
        Function {
            signature: "secret::matches(name: string, text: string) -> bool",
            about: "Whether `text` is that secret. How long it takes tells nothing.",
            example: r#"command("unlock <word>", "Unlock", |m, a| m.reply(if secret::matches("deploy_key", a.word) { "open" } else { "no" }));"#,
        },
    ],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "hmac", |name: &str, data: &str| hmac(name, data, "hex"));
    put(module, "hmac", hmac);
    put(module, "matches", |name: &str, text: &str| -> Checked<bool> {
        turn::act(|turn| {
            let secret = granted(turn, name)?;
            // Hashes of both have one length, so that not even the secret's is told.
            let (given, known) =
                (hashed(secret, text.as_bytes()), hashed(secret, secret.reveal().as_bytes()));
            Ok(given.ct_eq(&known).into())
        })
    });
}

fn hmac(name: &str, data: &str, encoding: &str) -> Checked<String> {
    turn::act(|turn| {
        let hash = hashed(granted(turn, name)?, data.as_bytes());
        match encoding {
            "base64" => Ok(base64(&hash)),
            "hex" => Ok(hash.iter().fold(String::new(), |mut text, byte| {
                // Writing into a string cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })),
            _ => {
                Err(Thrown::new(Kind::Runtime, format!("an encoding is `hex` or `base64`, not `{encoding}`")))
            }
        }
    })
}

/// A secret that the script may use.
///
/// # Errors
/// Where it may not.
pub(super) fn granted<'a>(turn: &'a Turn, name: &str) -> Result<&'a Password, Thrown> {
    turn.permissions.secrets.get(name).ok_or_else(|| {
        let thrown = Thrown::new(Kind::Forbidden, format!("the script may not use the secret `{name}`"));
        match nearest(name, turn.permissions.secrets.keys().map(String::as_str)) {
            Some(near) => thrown.hint(format!("did you mean `{near}`?")),
            None => thrown.hint(format!(
                "the operator grants it by `permissions: {{ secrets: [{name}] }}` of the script"
            )),
        }
    })
}
