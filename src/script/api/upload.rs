//! What becomes of files that scripts upload, and sending them.

use std::sync::Arc;

use rhai::{Blob, Dynamic, EvalAltResult, FnPtr, Module};
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::script::api::http::BytesObject;
use crate::script::api::{Area, Function, bot, check_characters, getter, optional};
use crate::script::declare;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::memory;
use crate::script::outside;
use crate::script::turn::{self, Turn};
use crate::script::upload::{self, Parcel, Recipient, Uploaded};
use crate::script::values;
use crate::stanza::MessageKind;
use crate::xep::file_metadata::{Metadata, base_name};

pub(super) const AREA: Area = Area {
    title: "Uploads",
    module: None,
    about: "What becomes of a file that `bot::upload` has taken, XEP-0363. The file lies where anyone who knows its address can fetch it.",
    objects: &[("u", "Upload")],
    functions: &[
        Function::new(
            "u.ok: bool",
            "Whether the file can be fetched now.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| log::info(`${u.ok}`)));"#,
        ),
        Function::new(
            "u.error: string",
            "Why not, or nothing: a condition such as `not-acceptable`, `status 413`, `timeout`, `session-lost`.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| if !u.ok { m.reply(u.error); }));"#,
        ),
        Function::new(
            "u.url: string",
            "Where it lies; nothing where it does not.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| if u.ok { m.reply(u.url); }));"#,
        ),
        Function::new(
            "u.name: string",
            "The file's name.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| log::info(u.name)));"#,
        ),
        Function::new(
            "u.size: int",
            "How many bytes it has.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| log::info(`${u.size}`)));"#,
        ),
        Function::new(
            "u.send(to: string) -> string",
            "Sends it as a file that clients show, and gives the id of the message. Throws where it was not uploaded.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| if u.ok { u.send(m.place); }));"#,
        ),
        Function::new(
            "u.send_to_room(room: string) -> string",
            "The same into a room.",
            r#"on("message", |m| bot::upload("a.txt", "text/plain", m.text, |u| if u.ok { u.send_to_room("den@rooms.example.org"); }));"#,
        ),
    ],
    register,
};

/// An upload as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct UploadObject(pub Arc<Uploaded>);

/// Longest name and type of a file, in bytes.
const LONGEST: usize = 255;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    module.set_custom_type::<UploadObject>("Upload");
    getter(module, "ok", |u: &mut UploadObject| u.0.url.is_ok());
    getter(module, "error", |u: &mut UploadObject| optional(u.0.url.as_ref().err().map(String::as_str)));
    getter(module, "url", |u: &mut UploadObject| optional(u.0.url.as_ref().ok().map(String::as_str)));
    getter(module, "name", |u: &mut UploadObject| u.0.file.name.clone().unwrap_or_default());
    getter(module, "size", |u: &mut UploadObject| {
        u.0.file.size.and_then(|size| i64::try_from(size).ok()).unwrap_or_default()
    });
    set(module, "send", |u: &mut UploadObject, to: &str| send_to(u, to, MessageKind::Chat));
    set(module, "send_to_room", |u: &mut UploadObject, to: &str| send_to(u, to, MessageKind::Groupchat));
}

fn send_to(u: &UploadObject, to: &str, kind: MessageKind) -> Checked<String> {
    let to = bot::address(to)?;
    send(&u.0, &Recipient { to, kind, thread: None, in_room: false })
}

/// Queues a message that shares the file, and gives its id.
pub(in crate::script) fn send(uploaded: &Uploaded, recipient: &Recipient) -> Checked<String> {
    turn::act(|turn| {
        let id = turn.next_id();
        let Some(message) = memory::uncounted(|| upload::message(uploaded, recipient, &id)) else {
            let hint = "look at `u.ok` first";
            return Err(Thrown::new(Kind::Runtime, "the file was not uploaded").hint(hint));
        };
        let weight = 4 * message.text.len() + 2_048;
        turn.push(weight, || Action::Message(message))?;
        Ok(id)
    })
}

/// Takes a file that `f` hears about.
pub(super) fn ask(name: &str, mime: &str, data: &Dynamic, f: FnPtr) -> Checked<()> {
    turn::act(|turn| {
        declare::callback(&turn.arities, f.clone(), 1, "the function that hears of the file")?;
        turn.may_ask()?;
        let token = post(turn, name, mime, data, None)?;
        memory::uncounted(|| turn.effects.requests.push((token, f)));
        Ok(())
    })
}

/// Takes a file that is sent on.
pub(super) fn ask_and_send(name: &str, mime: &str, data: &Dynamic, to: Recipient) -> Checked<()> {
    turn::act(|turn| post(turn, name, mime, data, Some(to)).map(drop))
}

fn post(
    turn: &mut Turn,
    name: &str,
    mime: &str,
    data: &Dynamic,
    to: Option<Recipient>,
) -> Result<String, Thrown> {
    if turn.uploading + turn.effects.uploads.len() >= upload::WAITING {
        let message = format!("{} files of this script are on their way already", upload::WAITING);
        return Err(Thrown::new(Kind::Operations, message).hint("upload the next one when one has arrived"));
    }
    check_characters(name)?;
    let name = base_name(name).filter(|name| name.len() <= LONGEST && !name.contains(char::is_control));
    let Some(name) = name else {
        return Err(Thrown::new(Kind::Runtime, "a file has a name of at most 255 bytes, without a path"));
    };
    if !is_type(mime) {
        return Err(Thrown::new(Kind::Runtime, format!("`{mime}` is no media type, such as `image/png`")));
    }
    let data: Arc<[u8]> = memory::uncounted(|| bytes(data))?;
    turn.weigh(data.len() + 1_024)?;
    let id = turn.next_id();
    let token = memory::uncounted(|| format!("upload/{}/{id}", turn.script));
    let size = data.len() as u64;
    turn.push(name.len() + mime.len() + 256, || Action::Upload {
        token: token.clone(),
        name: name.clone(),
        mime: Some(mime.to_owned()),
        size,
    })?;
    memory::uncounted(|| {
        let file = Metadata {
            name: Some(name.clone()),
            mime: Some(mime.to_owned()),
            size: Some(size),
            description: None,
            sha256: Some(Sha256::digest(&data).to_vec()),
        };
        turn.effects.uploads.push((token.clone(), Parcel { file, data, to }));
        Ok(token.clone())
    })
}

/// What a file may be made of.
fn bytes(data: &Dynamic) -> Result<Arc<[u8]>, Thrown> {
    let data: Arc<[u8]> = if let Ok(text) = data.as_immutable_string_ref() {
        text.as_bytes().into()
    } else if let Some(blob) = data.read_lock::<Blob>() {
        blob.as_slice().into()
    } else if let Some(bytes) = data.read_lock::<BytesObject>() {
        bytes.bytes().into()
    } else {
        let message = format!("a file is a string, a blob or Bytes, not a {}", values::kind(data));
        return Err(Thrown::new(Kind::Runtime, message));
    };
    if data.is_empty() || data.len() > outside::LARGEST {
        let message = format!("a file has 1 to {} bytes, not {}", outside::LARGEST, data.len());
        return Err(Thrown::new(Kind::Size, message));
    }
    Ok(data)
}

/// RFC 6838 §4.2, with parameters of RFC 2045 that are plain.
fn is_type(mime: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let (kind, parameters) = mime.split_once(';').unwrap_or((mime, ""));
    let parameters = parameters.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    mime.len() <= LONGEST
        && parameters
        && kind.split_once('/').is_some_and(|(kind, sub)| plain(kind) && plain(sub))
}
