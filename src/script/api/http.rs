//! `http::`: asking the web.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rhai::{Blob, Dynamic, EvalAltResult, FnPtr, Map, Module};
use serde_json::Value;
use url::form_urlencoded;

use crate::hosts;
use crate::script::api::{self, Area, Function, bounded, getter, optional, put};
use crate::script::budget;
use crate::script::declare;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::memory;
use crate::script::outside::{self, HttpOutcome, HttpRequest, HttpResponse};
use crate::script::turn::{self, Turn};
use crate::script::values;
use crate::script::web::{self, Fetch, Reply, Ticket, Wanted};

pub(super) const AREA: Area = Area {
    title: "The web",
    module: Some("http"),
    about: "Requests to hosts that the operator grants the script: `permissions: { http: [\"api.example.net\", \"*.feeds.example\"] }` in bots.yaml, with `http://` in front where they may go unencrypted, and with a port where it is not the usual one. Private addresses are refused, also behind a name, unless an entry is that address. A request is made once the turn is committed, at most once, and never again by itself. One turn makes up to 4; 16 of a bot may be under way. The answer is a turn of its own, also while the bot is offline.\n\nWith a function, the answer is forgotten when the script is replaced or the program ends. With a name and data, it comes as event `answer:NAME` in any case; if the program ended in between, `res.error` is `interrupted`, and nobody knows whether the request had arrived.\n\nOptions: `headers` (a map), `etag` (sent as `If-None-Match`, so that the answer may be 304), `timeout` (10 s, at most 60 s), `limit` (bytes of the answer: 262144, at most 1048576), `body`, `secret: #{ name, header, prefix }` (a secret that the operator grants, in a header: `Authorization` with `Bearer ` unless said). In `res`, what comes back:",
    objects: &[("res", "Response"), ("bytes", "Bytes")],
    functions: &[
        Function {
            signature: "http::get(url: string, f: |res|)",
            about: "Asks for a page.",
            example: r#"on("message", |m| http::get("https://api.example.net/time", |res| m.reply(`It is ${res.body}`)));"#,
        },
        Function {
            signature: "http::get(url: string, opts: map, f: |res|)",
            about: "The same with options.",
            example: r#"every("15m", || {
    let url = "https://api.example.net/news";
    http::get(url, #{ etag: store::get("etag"), timeout: "20s" }, |res| {
        if res.ok { store::set("etag", res.etag); }
    });
});"#,
        },
        Function {
            signature: "http::get(url: string, opts: map, name: string, data)",
            about: "The same; the answer comes as event `answer:NAME` with `data`, even after the script was replaced.",
            example: r#"on("message", |m| http::get("https://api.example.net/time", #{}, "time", m.place));
on("answer:time", |res| bot::send(res.data, if res.ok { res.body } else { res.error }));"#,
        },
        Function {
            signature: "http::post(url: string, body: string|map|Blob, opts: map, f: |res|)",
            about: "Sends something. A map goes as a form.",
            example: r#"on("message", |m| http::post("https://api.example.net/say", #{ text: m.text }, #{}, |res| log::info(res.status)));"#,
        },
        Function {
            signature: "http::post(url: string, body: string|map|Blob, opts: map, name: string, data)",
            about: "The same by name.",
            example: r#"on("message", |m| http::post("https://api.example.net/say", m.text, #{}, "said", m.place));
on("answer:said", |res| bot::send(res.data, `${res.status}`));"#,
        },
        Function {
            signature: "http::json(url: string, value, opts: map, f: |res|)",
            about: "Sends a value as JSON, with `POST`.",
            example: r#"on("message", |m| {
    let opts = #{ secret: #{ name: "api_key" } };
    http::json("https://api.example.net/say", #{ text: m.text }, opts, |res| m.reply(`It is no. ${res.json?.id}`));
});"#,
        },
        Function {
            signature: "http::json(url: string, value, opts: map, name: string, data)",
            about: "The same by name.",
            example: r#"on("message", |m| http::json("https://api.example.net/say", [m.text], #{}, "said", ()));
on("answer:said", |res| log::info(res.status));"#,
        },
        Function {
            signature: "http::request(method: string, url: string, opts: map, f: |res|)",
            about: "With any method, such as `PUT` or `DELETE`; the option `body` is what is sent.",
            example: r#"on("message", |m| http::request("PUT", "https://api.example.net/said", #{ body: m.text }, |res| ()));"#,
        },
        Function {
            signature: "http::request(method: string, url: string, opts: map, name: string, data)",
            about: "The same by name.",
            example: r#"on("message", |m| http::request("DELETE", "https://api.example.net/said", #{}, "gone", ()));
on("answer:gone", |res| log::info(res.ok));"#,
        },
        Function {
            signature: "res.ok: bool",
            about: "Whether the status is 200 to 299.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| if !res.ok { log::warn(res.error); }));"#,
        },
        Function {
            signature: "res.status: int",
            about: "The status; 0 where there was no answer.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| if res.status == 304 { return; }));"#,
        },
        Function {
            signature: "res.error: string",
            about: "Why it is not ok: what went wrong, or `status 404`. Nothing where it is ok.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| m.reply(res.error ?? "fine")));"#,
        },
        Function {
            signature: "res.body: string|Bytes",
            about: "The body. What is no UTF-8, or longer than a string may be, is a `Bytes`, which `feed::parse` takes too.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| m.reply("It says " + text::cut(`${res.body}`, 80))));"#,
        },
        Function {
            signature: "res.json",
            about: "The body read as JSON; nothing where it is none.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| m.reply(res.json?.name ?? "nobody")));"#,
        },
        Function {
            signature: "res.headers: map",
            about: "The headers, names in lower case. Of several with one name it has the first.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| log::info(res.headers["content-type"])));"#,
        },
        Function {
            signature: "res.etag: string",
            about: "The header `etag`, or nothing.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| store::set("etag", res.etag)));"#,
        },
        Function {
            signature: "res.url: string",
            about: "Where the answer came from, after redirects.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| log::info(res.url)));"#,
        },
        Function {
            signature: "res.data",
            about: "What was handed in with the name.",
            example: r#"on("message", |m| http::get("https://api.example.net/", #{}, "page", #{ to: m.place }));
on("answer:page", |res| bot::send(res.data.to, `${res.status}`));"#,
        },
        Function {
            signature: "bytes.size: int",
            about: "How many bytes a long body has.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| {
    if type_of(res.body) == "Bytes" { m.reply(`${res.body.size} bytes`); }
}));"#,
        },
        Function {
            signature: "bytes.head(n: int) -> string",
            about: "At most its first `n` bytes as text.",
            example: r#"on("message", |m| http::get("https://api.example.net/", |res| {
    if type_of(res.body) == "Bytes" { m.reply(res.body.head(80)); }
}));"#,
        },
    ],
    register,
};

/// What came back, as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct ResponseObject(pub Arc<Reply>);

/// A body that is no string.
#[derive(Clone)]
pub(in crate::script) struct BytesObject(pub Source);

/// Where the bytes are: they are shared with what they came with.
#[derive(Clone)]
pub(in crate::script) enum Source {
    Call(Arc<crate::script::hook::HookCall>),
    Reply(Arc<Reply>),
}

impl BytesObject {
    /// The bytes.
    pub(in crate::script) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Source::Call(call) => &call.request.body,
            Source::Reply(reply) => reply.outcome.as_ref().map_or(&[], |answer| &answer.body),
        }
    }
}

/// Where the answer goes.
enum Then {
    Event(String, Dynamic),
    Function(FnPtr),
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "get", |url: &str, f: FnPtr| ask("GET", url, &Map::new(), None, Then::Function(f)));
    put(module, "get", |url: &str, opts: Map, f: FnPtr| ask("GET", url, &opts, None, Then::Function(f)));
    put(module, "get", |url: &str, opts: Map, name: &str, data: Dynamic| {
        ask("GET", url, &opts, None, Then::Event(name.to_owned(), data))
    });
    put(module, "post", |url: &str, body: Dynamic, opts: Map, f: FnPtr| {
        ask("POST", url, &opts, Some(Content::Any(body)), Then::Function(f))
    });
    put(module, "post", |url: &str, body: Dynamic, opts: Map, name: &str, data: Dynamic| {
        ask("POST", url, &opts, Some(Content::Any(body)), Then::Event(name.to_owned(), data))
    });
    put(module, "json", |url: &str, value: Dynamic, opts: Map, f: FnPtr| {
        ask("POST", url, &opts, Some(Content::Json(value)), Then::Function(f))
    });
    put(module, "json", |url: &str, value: Dynamic, opts: Map, name: &str, data: Dynamic| {
        ask("POST", url, &opts, Some(Content::Json(value)), Then::Event(name.to_owned(), data))
    });
    put(module, "request", |method: &str, url: &str, opts: Map, f: FnPtr| {
        ask(method, url, &opts, None, Then::Function(f))
    });
    put(module, "request", |method: &str, url: &str, opts: Map, name: &str, data: Dynamic| {
        ask(method, url, &opts, None, Then::Event(name.to_owned(), data))
    });
    register_response(module);
}

fn register_response(module: &mut Module) {
    module.set_custom_type::<ResponseObject>("Response");
    getter(module, "ok", |res: &mut ResponseObject| res.answer().is_some_and(is_ok));
    getter(module, "status", |res: &mut ResponseObject| {
        res.answer().map_or(0, |answer| i64::from(answer.status))
    });
    getter(module, "error", |res: &mut ResponseObject| match &res.0.outcome {
        Ok(answer) if is_ok(answer) => Dynamic::UNIT,
        Ok(answer) => format!("status {}", answer.status).into(),
        Err(why) => why.as_str().into(),
    });
    getter(module, "body", |res: &mut ResponseObject| match res.answer() {
        Some(answer) => text(&answer.body, || Source::Reply(res.0.clone())),
        None => Dynamic::from(""),
    });
    getter(module, "json", |res: &mut ResponseObject| match res.answer() {
        Some(answer) => json(&answer.body),
        None => Ok(Dynamic::UNIT),
    });
    getter(module, "headers", |res: &mut ResponseObject| {
        res.answer().map(|answer| map(&answer.headers, None)).unwrap_or_default()
    });
    getter(module, "etag", |res: &mut ResponseObject| {
        optional(res.answer().and_then(|answer| answer.header("etag")))
    });
    getter(module, "url", |res: &mut ResponseObject| {
        optional(res.answer().map(|answer| answer.url.as_str()))
    });
    getter(module, "data", |res: &mut ResponseObject| values::from_json(res.0.data()));
    module.set_custom_type::<BytesObject>("Bytes");
    getter(module, "size", |bytes: &mut BytesObject| bytes.bytes().len() as i64);
    set(module, "head", |bytes: &mut BytesObject, n: i64| {
        let most = usize::try_from(n).unwrap_or(0).min(turn::string_limit() / 3);
        let all = bytes.bytes();
        String::from_utf8_lossy(&all[..most.min(all.len())]).into_owned()
    });
    set(module, "to_string", |bytes: &mut BytesObject| format!("({} bytes)", bytes.bytes().len()));
    set(module, "to_debug", |bytes: &mut BytesObject| format!("({} bytes)", bytes.bytes().len()));
}

impl ResponseObject {
    fn answer(&self) -> Option<&HttpResponse> {
        let outcome: &HttpOutcome = &self.0.outcome;
        outcome.as_ref().ok()
    }
}

fn is_ok(answer: &HttpResponse) -> bool {
    (200..300).contains(&answer.status)
}

/// A body as a string where it can be one.
pub(super) fn text(body: &[u8], source: impl FnOnce() -> Source) -> Dynamic {
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= turn::string_limit() => text.into(),
        _ => Dynamic::from(BytesObject(source())),
    }
}

/// A body read as JSON; nothing where it is none.
///
/// # Errors
/// Where it would take more memory than the turn has left.
pub(super) fn json(body: &[u8]) -> Checked<Dynamic> {
    // Each value but the first stands behind one of these; a value takes some 40 bytes here, and 16 there.
    let values = body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{' | b':')).count();
    let bytes = body.len().saturating_mul(2).saturating_add(values.saturating_mul(160));
    if bytes > budget::memory_left() {
        let thrown = Thrown::new(Kind::Size, "this JSON takes more memory than the turn has left");
        return Err(thrown.hint("the script's `limits` in bots.yaml may give it more").into());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if values::depth(&value) <= values::DEPTH => Ok(values::from_json(&value)),
        Ok(_) => Err(Thrown::new(Kind::Size, "this JSON nests more than 32 levels deep").into()),
        Err(_) => Ok(Dynamic::UNIT),
    }
}

/// Names and values as a map; of several with one name the first counts.
pub(super) fn map(pairs: &[(String, String)], without: Option<&str>) -> Map {
    let mut map = Map::new();
    for (name, value) in pairs.iter().filter(|(name, _)| Some(name.as_str()) != without) {
        map.entry(name.as_str().into()).or_insert_with(|| value.as_str().into());
    }
    map
}

/// What is sent.
enum Content {
    /// A string, a blob, or a map as a form.
    Any(Dynamic),
    Json(Dynamic),
}

fn ask(method: &str, url: &str, opts: &Map, content: Option<Content>, then: Then) -> Checked<()> {
    turn::act(|turn| {
        if turn.effects.fetches.len() >= outside::PER_TURN {
            let message = format!("more than {} requests in one turn", outside::PER_TURN);
            let hint = "give each its own `every`, or make the next one when an answer comes";
            return Err(Thrown::new(Kind::Operations, message).hint(hint));
        }
        let request = request(turn, method, url, opts, content)?;
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        turn.weigh(request.url.len() + request.body.len() + headers + 512)?;
        let key = turn.next_id();
        let wanted = match then {
            Then::Event(name, data) => {
                declare::check_event(&format!("answer:{name}"))?;
                let data = values::to_json(&data).map_err(|why| Thrown::new(Kind::Runtime, why))?;
                let patience = request.timeout + GRACE;
                let due = turn.moment.wall.checked_add(patience).unwrap_or(turn.moment.wall);
                let guard = turn.set_timer(due, web::GUARD, web::remembered(&name, &key, &data))?;
                Wanted::Event { name, data, guard }
            }
            Then::Function(f) => {
                declare::callback(&turn.arities, f.clone(), 1, "the function that gets the answer")?;
                turn.may_ask()?;
                let key = memory::uncounted(|| key.clone());
                memory::uncounted(|| turn.effects.requests.push((key, f)));
                Wanted::Function
            }
        };
        memory::uncounted(|| {
            // Clones that are made here are freed elsewhere, and so are not the script's.
            let ticket = Ticket { script: turn.script.to_string(), key: key.clone(), wanted: wanted.clone() };
            turn.effects.fetches.push(Fetch { ticket, request: request.clone() });
        });
        Ok(())
    })
}

/// How long after the last moment of a request its answer counts as interrupted.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);

fn request(
    turn: &Turn,
    method: &str,
    url: &str,
    opts: &Map,
    content: Option<Content>,
) -> Result<HttpRequest, Thrown> {
    declare::known_keys("http", opts, &["body", "etag", "headers", "limit", "secret", "timeout"])?;
    let url = hosts::permitted(url, &turn.permissions.http).map_err(|refused| Thrown {
        hint: refused.hint(),
        ..Thrown::new(Kind::Forbidden, refused.to_string())
    })?;
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method.to_owned(),
        other => return Err(Thrown::new(Kind::Runtime, format!("`{other}` is no method, such as `PUT`"))),
    };
    let mut headers = headers(opts)?;
    let content = match (content, given(opts, "body")) {
        (Some(_), Some(_)) => {
            return Err(Thrown::new(Kind::Runtime, "there are two bodies: one of them as an option"));
        }
        (Some(content), None) => Some(content),
        (None, body) => body.map(|body| Content::Any(body.clone())),
    };
    let body = match content {
        Some(content) => body(&content, &mut headers)?,
        None => Vec::new(),
    };
    if let Some(etag) = given(opts, "etag") {
        let etag = etag.as_immutable_string_ref().map_err(|_| declare::wrong("etag", "a string", etag))?;
        if !etag.is_empty() {
            put_header(&mut headers, "if-none-match", &etag)?;
        }
    }
    if let Some(secret) = given(opts, "secret") {
        put_secret(turn, &mut headers, secret)?;
    }
    let timeout = match given(opts, "timeout") {
        Some(span) => api::span(span)?,
        None => outside::TIMEOUT,
    };
    if timeout.is_zero() || timeout > outside::LONGEST {
        let message = format!("`timeout` is at most {} s", outside::LONGEST.as_secs());
        return Err(Thrown::new(Kind::Runtime, message));
    }
    let limit = match given(opts, "limit") {
        Some(limit) => limit.as_int().ok().and_then(|limit| usize::try_from(limit).ok()),
        None => Some(outside::LIMIT),
    };
    let Some(limit) = limit.filter(|limit| (1..=outside::LARGEST).contains(limit)) else {
        let message = format!("`limit` is a number of bytes, at most {}", outside::LARGEST);
        return Err(Thrown::new(Kind::Runtime, message));
    };
    Ok(HttpRequest {
        bot: turn.bot.name.clone(),
        script: turn.script.to_string(),
        method,
        url: url.into(),
        headers,
        body,
        timeout,
        limit,
        allowed: turn.permissions.http.clone(),
        redirects: true,
    })
}

/// The option, unless it is nothing.
fn given<'a>(opts: &'a Map, key: &str) -> Option<&'a Dynamic> {
    opts.get(key).filter(|value| !value.is_unit())
}

/// Headers that are the client's own business.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers(opts: &Map) -> Result<Vec<(String, String)>, Thrown> {
    let mut headers = Vec::new();
    let Some(given) = given(opts, "headers") else { return Ok(headers) };
    let map = given.as_map_ref().map_err(|_| declare::wrong("headers", "a map", given))?;
    if map.len() > 50 {
        return Err(Thrown::new(Kind::Size, "more than 50 headers"));
    }
    for (name, value) in map.iter().filter(|(_, value)| !value.is_unit()) {
        put_header(&mut headers, name, &bounded(value, 8_192)?)?;
    }
    Ok(headers)
}

/// Puts a header in, over one of the same name.
pub(super) fn put_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) -> Result<(), Thrown> {
    let name = header_name(name)?;
    if !is_value(value) {
        return Err(Thrown::new(
            Kind::Runtime,
            format!("the header `{name}` holds a character that cannot be sent"),
        ));
    }
    headers.retain(|(known, _)| *known != name);
    headers.push((name, value.to_owned()));
    Ok(())
}

/// The name of a header in lower case.
pub(super) fn header_name(name: &str) -> Result<String, Thrown> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
        return Err(Thrown::new(Kind::Runtime, format!("`{name}` is no name of a header")));
    }
    let name = name.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) || name.starts_with("proxy-") {
        return Err(Thrown::new(Kind::Forbidden, format!("the header `{name}` is not the script's to set")));
    }
    Ok(name)
}

/// What RFC 9110 §5.5 allows, with other UTF-8 as it is.
fn is_value(value: &str) -> bool {
    value.len() <= 8_192 && value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

fn put_secret(turn: &Turn, headers: &mut Vec<(String, String)>, opts: &Dynamic) -> Result<(), Thrown> {
    let map = opts.as_map_ref().map_err(|_| declare::wrong("secret", "a map", opts))?;
    declare::known_keys("secret", &map, &["header", "name", "prefix"])?;
    let Some(name) = declare::text(&map, "name")? else {
        return Err(Thrown::new(Kind::Runtime, "`secret` names no secret")
            .hint("write `secret: #{ name: \"api_key\" }`"));
    };
    let header = declare::text(&map, "header")?.unwrap_or_else(|| "authorization".to_owned());
    let usual = if header.eq_ignore_ascii_case("authorization") { "Bearer " } else { "" };
    let prefix = declare::text(&map, "prefix")?.unwrap_or_else(|| usual.to_owned());
    let secret = super::secret::granted(turn, &name)?;
    let value = format!("{prefix}{}", secret.reveal());
    // Not through `put_header`, whose failure would be about the value.
    if !is_value(&value) {
        return Err(Thrown::new(Kind::Runtime, format!("the secret `{name}` cannot stand in a header")));
    }
    let header = header_name(&header)?;
    headers.retain(|(known, _)| *known != header);
    headers.push((header, value));
    Ok(())
}

/// The bytes, and their type unless the script names one.
fn body(content: &Content, headers: &mut Vec<(String, String)>) -> Result<Vec<u8>, Thrown> {
    let (kind, body) = match content {
        Content::Json(value) => {
            let value = values::to_json(value).map_err(|why| Thrown::new(Kind::Runtime, why))?;
            ("application/json", value.to_string().into_bytes())
        }
        Content::Any(value) => {
            if let Ok(text) = value.as_immutable_string_ref() {
                ("text/plain; charset=utf-8", text.as_bytes().to_vec())
            } else if let Some(blob) = value.read_lock::<Blob>() {
                ("application/octet-stream", blob.clone())
            } else if let Ok(map) = value.as_map_ref() {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in map.iter().filter(|(_, value)| !value.is_unit()) {
                    form.append_pair(name, &bounded(value, outside::BODY)?);
                }
                ("application/x-www-form-urlencoded", form.finish().into_bytes())
            } else {
                let message = format!("a body is a string, a map or a blob, not a {}", values::kind(value));
                return Err(Thrown::new(Kind::Runtime, message));
            }
        }
    };
    if body.len() > outside::BODY {
        let message = format!("a body has at most {} bytes, not {}", outside::BODY, body.len());
        return Err(Thrown::new(Kind::Size, message));
    }
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    Ok(body)
}

/// Bytes in Base64, for other areas.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
