//! `webhook(name, opts, f)`: being called from the web.

use std::sync::Arc;

use rhai::{Blob, Dynamic, EvalAltResult, FnPtr, Map, Module, NativeCallContext};

use crate::script::api::http::{self, Source, put_header};
use crate::script::api::{self, Area, Function, getter, optional};
use crate::script::declare::{self, Declared, Webhook};
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::hook::{Auth, BODY, Hook, HookCall, HookResponse, Stamp};
use crate::script::host::set;
use crate::script::memory;
use crate::script::turn::{self, Turn};
use crate::script::values;

pub(super) const AREA: Area = Area {
    title: "Webhooks",
    module: None,
    about: "Other programs call a script at `/hooks/BOT/NAME` of the address under `webhooks` in bots.yaml, once the operator grants it by `permissions: { webhooks: [NAME] }`. A call is one turn. Its answer is sent after the turn is committed: 2xx means that everything it led to is kept. A turn that fails answers 500, a bot with a full queue 503. Somebody who has seen a signed call can send it again: remember its id with `store::once`, or let the caller sign the time too (`timestamp_header`). In `q`, what was sent:",
    objects: &[("q", "Call")],
    functions: &[
        Function {
            signature: "webhook(name: string, opts: map, f: |q|)",
            about: "A webhook. What `f` gives is the answer: a map of `status`, `body` and `headers`, a text, or nothing for 204; a function gives what its last statement does. Options: `method` (`POST`, or an array of several), `auth` (`hmac-sha256`, the HMAC of the body as hexadecimal digits in `X-Hub-Signature-256`; `token`, the secret itself in `Authorization`; `none`, which needs the grant `{ name: NAME, auth: none }`), `secret` (its name), `header` (another one than usual), `timestamp_header` and `tolerance` (5m: seconds since 1970 stand in that header, what is signed is `TIME.BODY`).",
            example: r#"webhook("deploy", #{ auth: "hmac-sha256", secret: "deploy_key" }, |q| {
    let d = q.json;
    if d?.id == () { return #{ status: 400, body: "id is missing" }; }
    if !store::once("deploy/" + d.id, "7d") { return "seen before"; }
    bot::send("ops@example.org", `deployed ${d.id}`);
    ()
});"#,
        },
        Function {
            signature: "q.json",
            about: "The body read as JSON; nothing where it is none.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| log::info(q.json?.id));"#,
        },
        Function {
            signature: "q.body: string|Bytes",
            about: "The body, as of an answer of `http::get`.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| log::info(`${q.body}`));"#,
        },
        Function {
            signature: "q.text: string",
            about: "The body as text, as much of it as a string may have; what is no UTF-8 is replaced.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| bot::send("ops@example.org", q.text));"#,
        },
        Function {
            signature: "q.headers: map",
            about: "The headers, names in lower case, without the one that holds the token.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| log::info(q.headers["user-agent"]));"#,
        },
        Function {
            signature: "q.query: map",
            about: "What stands behind the `?` of the address.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| log::info(q.query.room ?? "none"));"#,
        },
        Function {
            signature: "q.method: string",
            about: "`POST`, or another one that the webhook takes.",
            example: r#"webhook("deploy", #{ secret: "deploy_key", method: ["GET", "POST"] }, |q| log::info(q.method));"#,
        },
        Function {
            signature: "q.ip: string",
            about: "The address of whoever called: that of the proxy, where there is one.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| log::info(q.ip));"#,
        },
        Function {
            signature: "q.id: string",
            about: "A name for this call and no other, also in the log.",
            example: r#"webhook("deploy", #{ secret: "deploy_key" }, |q| q.id);"#,
        },
    ],
    register,
};

/// Webhooks one script may declare.
const MOST: usize = 32;

/// A call as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct CallObject {
    pub call: Arc<HookCall>,
    /// The header that holds the token: no script reads a secret.
    pub hidden: Option<String>,
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    set(module, "webhook", |context: NativeCallContext, name: &str, opts: Map, f: FnPtr| -> Checked<()> {
        let line = context.call_position().line().unwrap_or(0);
        turn::declare(|turn, declared| note(turn, declared, name, &opts, f, line))
    });
    module.set_custom_type::<CallObject>("Call");
    getter(module, "json", |q: &mut CallObject| http::json(&q.call.request.body));
    getter(module, "body", |q: &mut CallObject| {
        http::text(&q.call.request.body, || Source::Call(q.call.clone()))
    });
    getter(module, "text", |q: &mut CallObject| {
        let body = &q.call.request.body;
        // What is replaced takes three bytes for one.
        let most =
            if std::str::from_utf8(body).is_ok() { turn::string_limit() } else { turn::string_limit() / 3 };
        let mut end = most.min(body.len());
        while end > 0 && end < body.len() && body[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        String::from_utf8_lossy(&body[..end]).into_owned()
    });
    getter(module, "headers", |q: &mut CallObject| http::map(&q.call.request.headers, q.hidden.as_deref()));
    getter(module, "query", |q: &mut CallObject| http::map(&q.call.request.query, None));
    getter(module, "method", |q: &mut CallObject| q.call.request.method.clone());
    getter(module, "ip", |q: &mut CallObject| optional(Some(q.call.request.ip.as_str())));
    getter(module, "id", |q: &mut CallObject| q.call.request.id.clone());
}

fn note(
    turn: &Turn,
    declared: &mut Declared,
    name: &str,
    opts: &Map,
    f: FnPtr,
    line: usize,
) -> Result<(), Thrown> {
    let wrong = |message: String| Thrown::new(Kind::Declaration, message);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(wrong(format!("`{name}` is no name of a webhook")).hint("use a-z, 0-9, `_` and `-`"));
    }
    let Some(grant) = turn.permissions.webhooks.get(name) else {
        let thrown = Thrown::new(Kind::Forbidden, format!("the script may not take the webhook `{name}`"));
        return Err(match nearest(name, turn.permissions.webhooks.keys().map(String::as_str)) {
            Some(near) => thrown.hint(format!("did you mean `{near}`?")),
            None => thrown.hint(format!(
                "the operator grants it by `permissions: {{ webhooks: [{name}] }}` of the script"
            )),
        });
    };
    if declared.webhooks.iter().any(|webhook| webhook.hook.name == name) {
        return Err(wrong(format!("the webhook `{name}` is declared twice")));
    }
    if declared.webhooks.len() >= MOST {
        return Err(wrong(format!("more than {MOST} webhooks")));
    }
    declare::known_keys(
        "webhook",
        opts,
        &["auth", "header", "method", "secret", "timestamp_header", "tolerance"],
    )?;
    let mut methods = declare::texts(opts, "method")?;
    if methods.is_empty() {
        methods.push("POST".to_owned());
    }
    if let Some(other) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return Err(wrong(format!("`{other}` is no method of a webhook"))
            .hint(format!("it has {}", METHODS.join(", "))));
    }
    let auth = auth(turn, name, opts, grant.open)?;
    let call = declared.callback(f, 1, &format!("the function of the webhook `{name}`"))?;
    // The pool hands it to other threads.
    let hook = memory::uncounted(|| Hook {
        name: name.to_owned(),
        script: turn.script.to_string(),
        methods: methods.clone(),
        auth: auth.clone(),
    });
    declared.webhooks.push(Webhook { hook, call, line });
    Ok(())
}

const METHODS: &[&str] = &["POST", "PUT", "PATCH", "DELETE", "GET"];

fn auth(turn: &Turn, name: &str, opts: &Map, open: bool) -> Result<Auth, Thrown> {
    let wrong = |message: String| Thrown::new(Kind::Declaration, message);
    let kind = declare::text(opts, "auth")?.unwrap_or_else(|| "hmac-sha256".to_owned());
    let secret = declare::text(opts, "secret")?;
    let header = declare::text(opts, "header")?.map(|name| http::header_name(&name)).transpose()?;
    let stamp = declare::text(opts, "timestamp_header")?.map(|name| http::header_name(&name)).transpose()?;
    let tolerance = opts.get("tolerance").map(api::span).transpose()?;
    if kind != "hmac-sha256" && (stamp.is_some() || tolerance.is_some()) {
        return Err(wrong(format!("with `auth: \"{kind}\"` no time is signed")));
    }
    if tolerance.is_some() && stamp.is_none() {
        return Err(wrong("`tolerance` needs a `timestamp_header`".to_owned()));
    }
    if kind == "none" {
        if secret.is_some() || header.is_some() {
            return Err(wrong("with `auth: \"none\"` there is no `secret` and no `header`".to_owned()));
        }
        if !open {
            let message = format!("the script may not let everybody call the webhook `{name}`");
            let hint = format!(
                "the operator grants it by `webhooks: [{{ name: {name}, auth: none }}]` in place of `webhooks: [{name}]`"
            );
            return Err(Thrown::new(Kind::Forbidden, message).hint(hint));
        }
        return Ok(Auth::None);
    }
    let Some(secret) = secret else {
        return Err(wrong(format!("the webhook `{name}` has no `secret`"))
            .hint("name one that stands under `secrets` in bots.yaml: `secret: \"deploy_key\"`"));
    };
    let secret = super::secret::granted(turn, &secret)?.clone();
    match kind.as_str() {
        "hmac-sha256" => Ok(Auth::Hmac {
            secret,
            header: header.unwrap_or_else(|| "x-hub-signature-256".to_owned()),
            stamp: stamp.map(|header| Stamp {
                header,
                tolerance_s: tolerance.map_or(300, |span| i64::try_from(span.as_secs()).unwrap_or(300)),
            }),
        }),
        "token" => Ok(Auth::Token { secret, header: header.unwrap_or_else(|| "authorization".to_owned()) }),
        other => Err(wrong(format!("`auth` is `hmac-sha256`, `token` or `none`, not `{other}`"))),
    }
}

/// What the function of a webhook gave, as an answer.
///
/// # Errors
/// Where it is none.
pub(in crate::script) fn response(value: &Dynamic) -> Checked<HookResponse> {
    // It is given from another thread.
    memory::uncounted(|| read(value)).map_err(Into::into)
}

fn read(value: &Dynamic) -> Result<HookResponse, Thrown> {
    if value.is_unit() {
        return Ok(HookResponse::status(204));
    }
    let Ok(map) = value.as_map_ref() else {
        let (kind, body) = content(value)?;
        return Ok(HookResponse { status: 200, headers: vec![("content-type".to_owned(), kind)], body });
    };
    declare::known_keys("the answer of a webhook", &map, &["body", "headers", "status"])?;
    let mut headers = Vec::new();
    if let Some(given) = map.get("headers").filter(|given| !given.is_unit()) {
        let given = given.as_map_ref().map_err(|_| declare::wrong("headers", "a map", given))?;
        for (name, value) in given.iter().take(50) {
            put_header(&mut headers, name, &api::bounded(value, 8_192)?)?;
        }
    }
    let body = match map.get("body").filter(|body| !body.is_unit()) {
        Some(body) => {
            let (kind, body) = content(body)?;
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".to_owned(), kind));
            }
            body
        }
        None => Vec::new(),
    };
    let status = match map.get("status") {
        Some(status) => status.as_int().map_err(|_| declare::wrong("status", "an int", status))?,
        None if body.is_empty() => 204,
        None => 200,
    };
    let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status));
    let Some(status) = status else {
        return Err(Thrown::new(Kind::Runtime, "the status of an answer is 200 to 599"));
    };
    Ok(HookResponse { status, headers, body })
}

fn content(value: &Dynamic) -> Result<(String, Vec<u8>), Thrown> {
    let (kind, body) = if let Ok(text) = value.as_immutable_string_ref() {
        ("text/plain; charset=utf-8", text.as_bytes().to_vec())
    } else if let Some(blob) = value.read_lock::<Blob>() {
        ("application/octet-stream", blob.clone())
    } else if value.is_map() || value.is_array() {
        let json = values::to_json(value).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        ("application/json", json.to_string().into_bytes())
    } else {
        ("text/plain; charset=utf-8", api::bounded(value, BODY)?.into_bytes())
    };
    if body.len() > BODY {
        return Err(Thrown::new(
            Kind::Size,
            format!("an answer has at most {BODY} bytes, not {}", body.len()),
        ));
    }
    Ok((kind.to_owned(), body))
}
