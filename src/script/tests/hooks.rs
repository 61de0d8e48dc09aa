//! Being called from the web.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{Player, Rig, permissions, script};
use crate::script::hook::{Auth, HookRefused, HookRequest, HookResponse};
use crate::script::inspect::inspect;
use crate::script::{Permissions, ScriptUse};

#[test]
fn a_webhook_is_answered_with_what_its_function_gives() {
    let rig = Rig::new();
    let source = r#"webhook("deploy", #{ secret: "deploy_key", method: ["POST", "GET"] }, |q| {
        switch q.text {
            "map" => #{ status: 202, body: "queued", headers: #{ "X-A": "b" } },
            "text" => "hello",
            "json" => #{ body: #{ a: 1 } },
            "nothing" => (),
            "seen" => `${q.method} ${q.query.a} ${q.headers["x-h"]} ${q.ip} ${q.id}`,
            "fail" => { bot::send("ann@example.org", "lost"); throw "no" },
            "wrong" => #{ status: 99 },
            "split" => #{ headers: #{ a: "b\r\nc: d" } },
            _ => { bot::send("ann@example.org", `${q.json?.id}`); () }
        }
    });"#;
    let bot = rig.bot(source);
    wait_for_hooks(&rig, &bot, 1);
    let call = |text: &str| call(&rig, "helper", "deploy", text).recv().expect("an answer");
    let full = call("map");
    assert_eq!((full.status, full.body.as_slice()), (202, b"queued".as_slice()));
    assert!(full.headers.contains(&("x-a".to_owned(), "b".to_owned())));
    assert_eq!((call("text").status, call("text").body), (200, b"hello".to_vec()));
    let json = call("json");
    assert_eq!((json.status, json.body), (200, br#"{"a":1}"#.to_vec()));
    assert_eq!(json.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert_eq!(call("nothing"), HookResponse::status(204));
    assert_eq!(String::from_utf8(call("seen").body).unwrap(), "POST 1 v 192.0.2.1 id-seen");
    for text in ["fail", "wrong", "split"] {
        assert_eq!(call(text), HookResponse::status(500), "{text}");
    }
    assert_eq!(call(r#"{"id":7}"#).status, 204);
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["7"]);
}

#[test]
fn the_deploys_script_tells_the_room_of_each_deploy_once() {
    let rig = Rig::new();
    let source = r#"
const ROOM = option("room", "ops@rooms.example", "where deploys are told");

webhook("deploy", #{ method: "POST", auth: "hmac-sha256", secret: "deploy_key" }, |q| {
    let d = q.json;
    if d?.service == () { return #{ status: 400, body: "service is missing" }; }
    if !store::once("deploy/" + (q.headers["x-delivery"] ?? d.id), "7d") {
        return #{ status: 200, body: "seen before" };
    }
    let icon = switch d.state { "ok" => "✅", "failed" => "❌", _ => "⏳" };
    room(ROOM).say(`${icon} ${d.service} ${d.version ?? "?"}: ${d.state}`);
    metric::inc("deploys", #{ state: d.state });
    #{ status: 202, body: "queued" }
});
"#;
    let bot = rig.bot(source);
    wait_for_hooks(&rig, &bot, 1);
    let call = |body: &str| call(&rig, "helper", "deploy", body).recv().expect("an answer");
    let deploy = r#"{"id":"1","service":"shop","state":"ok"}"#;
    assert_eq!(call(deploy).status, 202);
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["✅ shop ?: ok"]);
    assert_eq!(call(deploy).body, b"seen before");
    for wrong in ["", "no JSON", "[]", "7", "{}"] {
        assert!(matches!(call(wrong).status, 400 | 500), "{wrong}");
    }
    assert_eq!(bot.told.wait_texts(|_| true).len(), 1);
}

#[test]
fn webhooks_come_and_go_with_the_scripts() {
    let rig = Rig::new();
    let bot = rig.bot(r#"webhook("deploy", #{ auth: "token", secret: "deploy_key" }, |q| q.headers.len());"#);
    wait_for_hooks(&rig, &bot, 1);
    let hook = rig.pool.hooks().find("helper", "deploy").expect("it is declared");
    assert!(matches!(&hook.auth, Auth::Token { header, .. } if header == "authorization"));
    assert_eq!((hook.methods, hook.script.as_str()), (vec!["POST".to_owned()], "main"));
    assert!(rig.pool.hooks().find("helper", "other").is_none());
    assert!(rig.pool.hooks().find("other", "deploy").is_none());

    bot.handle.swap(vec![script("main", r#"on("message", |m| ());"#)]);
    wait_for_hooks(&rig, &bot, 0);
    assert_eq!(call(&rig, "helper", "deploy", "x").recv(), Ok(HookResponse::status(404)));
    bot.handle.remove();
    let (send, _answer) = channel();
    let refused = rig.pool.hooks().call(
        "helper",
        "deploy",
        HookRequest::default(),
        Box::new(move |a| drop(send.send(a))),
    );
    assert_eq!(refused, Err(HookRefused::Unknown));
}

#[test]
fn the_token_of_a_webhook_is_not_among_its_headers() {
    let rig = Rig::new();
    let bot = rig.bot(
        r#"webhook("deploy", #{ auth: "token", secret: "deploy_key", header: "X-H" }, |q| `${q.headers}`);"#,
    );
    wait_for_hooks(&rig, &bot, 1);
    let answer = call(&rig, "helper", "deploy", "x").recv().expect("an answer");
    assert_eq!(String::from_utf8(answer.body).unwrap(), "#{}");
}

#[test]
fn a_full_queue_refuses_calls() {
    let rig = Rig::with(1, |clock| Arc::new(crate::script::data::Memory::new(clock)));
    let bot =
        rig.bot(r#"webhook("open", #{ auth: "none" }, |q| { let n = 0; while n < 5000 { n += 1; } });"#);
    wait_for_hooks(&rig, &bot, 1);
    bot.handle.configure(Vec::new(), BTreeMap::new(), 1, Vec::new());
    let mut full = false;
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        let (send, answer) = channel();
        let sent = rig.pool.hooks().call(
            "helper",
            "open",
            HookRequest::default(),
            Box::new(move |a| drop(send.send(a))),
        );
        full |= sent == Err(HookRefused::Full);
        waiting.extend(sent.is_ok().then_some(answer));
    }
    assert!(full, "a thousand calls found room for one");
    for answer in waiting {
        assert_eq!(answer.recv(), Ok(HookResponse::status(204)));
    }
}

#[test]
fn declarations_of_webhooks_are_checked() {
    for (declaration, part) in [
        (r#"webhook("deply", #{ secret: "deploy_key" }, |q| ());"#, "may not take the webhook `deply`"),
        (r#"webhook("a/b", #{}, |q| ());"#, "no name of a webhook"),
        (r#"webhook("deploy", #{}, |q| ());"#, "has no `secret`"),
        (r#"webhook("deploy", #{ secret: "other" }, |q| ());"#, "may not use the secret `other`"),
        (r#"webhook("deploy", #{ auth: "none" }, |q| ());"#, "may not let everybody"),
        (r#"webhook("deploy", #{ auth: "md5", secret: "deploy_key" }, |q| ());"#, "`auth` is"),
        (r#"webhook("deploy", #{ secrt: "deploy_key" }, |q| ());"#, "no option `secrt`"),
        (
            r#"webhook("deploy", #{ secret: "deploy_key", method: "TRACE" }, |q| ());"#,
            "no method of a webhook",
        ),
        (
            r#"webhook("deploy", #{ secret: "deploy_key", tolerance: "1m" }, |q| ());"#,
            "needs a `timestamp_header`",
        ),
        (r#"webhook("open", #{ auth: "none", secret: "deploy_key" }, |q| ());"#, "there is no `secret`"),
        (r#"webhook("open", #{ auth: "none" }, |q, r| ());"#, "too many parameters"),
        (r#"for n in 0..2 { webhook("open", #{ auth: "none" }, |q| ()); }"#, "declared twice"),
    ] {
        let failure = inspect(&script("main", declaration), super::now()).expect_err(declaration);
        assert!(failure.message.contains(part), "{declaration}: {failure}");
        assert_eq!(failure.line, 1);
    }
    let seen = inspect(
        &script("main", r#"webhook("open", #{ auth: "none", method: "GET" }, |q| ());"#),
        super::now(),
    )
    .expect("loads");
    assert_eq!((seen.webhooks[0].name.as_str(), seen.webhooks[0].line), ("open", 1));
    let without = ScriptUse {
        permissions: Permissions { webhooks: [].into(), ..permissions() },
        ..script("main", r#"webhook("open", #{ auth: "none" }, |q| ());"#)
    };
    let failure = inspect(&without, super::now()).expect_err("nothing is granted");
    assert!(failure.hint.is_some_and(|hint| hint.contains("webhooks: [open]")));
}

fn wait_for_hooks(rig: &Rig, bot: &Player, count: usize) {
    let names = ["deploy", "open"];
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while names.iter().filter(|name| rig.pool.hooks().find("helper", name).is_some()).count() != count {
        assert!(std::time::Instant::now() < deadline, "{:?}", bot.handle.scripts());
        std::thread::yield_now();
    }
}

fn call(rig: &Rig, bot: &str, name: &str, body: &str) -> Receiver<HookResponse> {
    let (send, answer) = channel();
    let request = HookRequest {
        method: "POST".to_owned(),
        query: vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        headers: vec![("x-h".to_owned(), "v".to_owned())],
        body: body.as_bytes().to_vec(),
        ip: "192.0.2.1".to_owned(),
        id: format!("id-{body}"),
    };
    rig.pool.hooks().call(bot, name, request, Box::new(move |a| drop(send.send(a)))).expect("there is room");
    answer
}
