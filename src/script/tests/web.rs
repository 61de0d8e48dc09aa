//! Asking the web, and using secrets for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Rig, compiled, script};
use crate::script::ScriptUse;
use crate::script::error::{Kind, ScriptError};
use crate::script::outside::{HttpOutcome, HttpResponse};

pub(super) const API: &str = "https://api.example.net/x";

#[test]
fn an_answer_is_a_turn_of_its_own() {
    let rig = Rig::new();
    rig.web.answer("GET", API, answer(200, r#"{"name":"Ann","list":[1,2]}"#));
    let mut bot = rig.bot(
        r#"on("message", |m| http::get("https://api.example.net/x?q=1", #{ headers: #{ "X-A": 5 }, timeout: "20s" }, |res| {
            m.reply(`${res.ok} ${res.status} ${res.json.name} ${res.json.list.len()} ${res.url} ${res.error}`);
        }));"#,
    );
    assert!(bot.ask("go").is_empty());
    bot.told.wait_texts(|said| said == ["true 200 Ann 2 https://api.example.net/x?q=1 "]);
    let asked = rig.web.take_asked();
    assert_eq!(asked[0].headers, [("x-a".to_owned(), "5".to_owned())]);
    assert_eq!((asked[0].timeout, asked[0].limit), (Duration::from_secs(20), 262_144));
    assert_eq!((asked[0].bot.as_str(), asked[0].script.as_str()), ("helper", "main"));
}

#[test]
fn a_failure_is_told_in_words() {
    let rig = Rig::new();
    rig.web.answer("GET", API, Err("timeout".to_owned()));
    let source = r#"on("message", |m| http::get("https://api.example.net/" + m.text, |res| {
        m.reply(`${res.ok} ${res.status} ${res.error} "${res.body}" ${res.json} ${res.etag}`);
    }));"#;
    let mut bot = rig.bot(source);
    bot.ask("x");
    bot.told.wait_texts(|said| said == [r#"false 0 timeout ""  "#]);
    rig.web.answer("GET", API, answer(404, "gone"));
    bot.ask("x");
    bot.told.wait_texts(|said| said.last().is_some_and(|text| text == r#"false 404 status 404 "gone"  "#));
}

#[test]
fn a_turn_that_fails_asks_nothing() {
    let rig = Rig::new();
    let mut bot =
        rig.bot(r#"on("message", |m| { http::get("https://api.example.net/x", |res| ()); throw "no"; });"#);
    bot.fail(super::message("ann@example.org", "go"));
    assert!(rig.web.take_asked().is_empty());
}

#[test]
fn what_is_not_granted_fails_with_its_place_and_asks_nothing() {
    let rig = Rig::new();
    for (url, part) in [
        ("https://evil.example/", "may not ask `evil.example`"),
        ("http://api.example.net/", "without encryption"),
        ("https://127.0.0.1:8443/", "may not ask `127.0.0.1:8443`"),
        ("https://ann:pw@api.example.net/", "name or password"),
        ("file:///etc/passwd", "neither `https:` nor `http:`"),
        ("api.example.net", "no URL"),
    ] {
        let failure = failure(&rig, &format!("http::get(\"{url}\", |res| ());"));
        assert!(failure.message.contains(part), "{failure}");
        assert_eq!((failure.kind, failure.line), (Kind::Forbidden, 1), "{failure}");
    }
    assert!(rig.web.take_asked().is_empty());
}

#[test]
fn requests_are_checked_before_they_are_made() {
    let rig = Rig::new();
    let call = |opts: &str| format!("http::get(\"{API}\", {opts}, |res| ());");
    for (opts, part) in [
        ("#{ headerz: #{} }", "no option `headerz`"),
        ("#{ headers: #{ \"a b\": 1 } }", "no name of a header"),
        ("#{ headers: #{ Host: \"x\" } }", "not the script's to set"),
        ("#{ headers: #{ a: \"x\\r\\ny: z\" } }", "cannot be sent"),
        ("#{ etag: \"a\\nb\" }", "cannot be sent"),
        ("#{ timeout: \"2m\" }", "at most 60 s"),
        ("#{ timeout: 0 }", "at most 60 s"),
        ("#{ limit: 9999999 }", "at most 1048576"),
        ("#{ limit: -1 }", "at most 1048576"),
        ("#{ body: 5 }", "a body is a string"),
        ("#{ secret: #{} }", "names no secret"),
        ("#{ secret: #{ name: \"db\" } }", "may not use the secret `db`"),
    ] {
        let failure = failure(&rig, &call(opts));
        assert!(failure.message.contains(part), "{opts}: {failure}");
    }
    let large = r#"let t = "x"; t.pad(60000, 'x'); http::json("https://api.example.net/x", [t, t, t, t, t], #{}, |res| ());"#;
    assert_eq!(failure(&rig, large).kind, Kind::Size);
    assert!(
        failure(&rig, "http::request(\"get\", \"https://api.example.net/x\", #{}, |res| ());")
            .message
            .contains("no method")
    );
    let many = "for n in 0..5 { http::get(\"https://api.example.net/x\", |res| ()); }";
    assert!(failure(&rig, many).message.contains("more than 4 requests"));
    assert!(rig.web.take_asked().is_empty());
}

#[test]
fn bodies_go_as_forms_text_and_json_and_a_secret_is_used_unread() {
    let rig = Rig::new();
    rig.web.answer("POST", API, answer(204, ""));
    let mut bot = rig.bot(
        r#"const URL = "https://api.example.net/x";
        on("message", |m| {
            http::post(URL, #{ a: "b c", n: 1 }, #{ secret: #{ name: "api_key" } }, |res| ());
            http::post(URL, "text", #{ secret: #{ name: "api_key", header: "X-Key" } }, |res| ());
            http::json(URL, #{ a: [1, ()] }, #{ headers: #{ "Content-Type": "application/x+json" } }, |res| m.reply("done"));
        });"#,
    );
    bot.ask("go");
    bot.told.wait_texts(|said| said == ["done"]);
    let asked = rig.web.take_asked();
    let header = |at: usize, name: &str| {
        asked[at]
            .headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    assert_eq!(asked[0].body, b"a=b+c&n=1");
    assert_eq!(header(0, "content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header(0, "authorization"), "Bearer key of the api");
    assert_eq!(
        (header(1, "x-key").as_str(), header(1, "content-type").as_str()),
        ("key of the api", "text/plain; charset=utf-8")
    );
    assert_eq!(
        (asked[2].body.as_slice(), header(2, "content-type").as_str()),
        (br#"{"a":[1,null]}"#.as_slice(), "application/x+json")
    );
    assert!(!format!("{asked:?}").contains("key of"), "{asked:?}");
}

#[test]
fn a_named_answer_finds_the_new_version_and_a_function_does_not() {
    let held = Arc::new(Held::default());
    let rig = Rig::outside(held.clone());
    let old = r#"on("message", |m| {
        http::get("https://api.example.net/x", #{}, "page", #{ to: m.place });
        http::get("https://api.example.net/y", |res| m.reply("old"));
    });"#;
    let mut bot = rig.bot(old);
    bot.ask("go");
    held.wait(2);
    let new = r#"on("answer:page", |res| bot::send(res.data.to, `new: ${res.body}`));"#;
    bot.handle.swap(vec![ScriptUse { compiled: compiled(new), ..script("main", "") }]);
    held.answer_all(answer(200, "hello"));
    bot.told.wait_texts(|said| said == ["new: hello"]);
    bot.give(super::message("ann@example.org", "nothing more"));
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["new: hello"]);
}

#[test]
fn a_named_request_that_never_came_back_is_interrupted_once() {
    let rig = Rig::outside(Arc::new(Held::default()));
    let source = r#"on("message", |m| {
        if m.text == "timers" { return m.reply(`${timer::list().len()}`); }
        if m.text == "go" { http::get("https://api.example.net/x", #{}, "page", m.place); }
    });
    on("answer:page", |res| bot::send(res.data, `${res.ok} ${res.error}`));"#;
    let mut bot = rig.bot(source);
    bot.ask("go");
    assert_eq!(bot.ask("timers"), ["0"], "the guard is none of the script's timers");
    rig.advance(Duration::from_secs(69));
    bot.ask("nothing yet");
    rig.advance(Duration::from_secs(2));
    bot.told.wait_texts(|said| said.iter().any(|text| text == "false interrupted"));
    rig.advance(Duration::from_secs(600));
    bot.ask("x");
    let said = bot.told.wait_texts(|_| true);
    assert_eq!(said.iter().filter(|text| text.contains("interrupted")).count(), 1, "{said:?}");
}

#[test]
fn a_late_answer_after_the_interruption_is_dropped() {
    let held = Arc::new(Held::default());
    let rig = Rig::outside(held.clone());
    let source = r#"on("message", |m| { if m.text == "go" { http::get("https://api.example.net/x", #{}, "page", m.place); } else { m.reply("here"); } });
    on("answer:page", |res| bot::send(res.data, `${res.error}`));"#;
    let mut bot = rig.bot(source);
    bot.ask("go");
    held.wait(1);
    rig.advance(Duration::from_secs(80));
    bot.told.wait_texts(|said| said == ["interrupted"]);
    held.answer_all(answer(200, "late"));
    assert_eq!(bot.ask("well"), ["here"]);
    assert_eq!(bot.told.wait_texts(|said| said.len() > 1), ["interrupted", "here"]);
}

#[test]
fn sixteen_requests_of_a_bot_may_be_under_way() {
    let held = Arc::new(Held::default());
    let rig = Rig::outside(held.clone());
    let source = r#"on("message", |m| for n in 0..4 { http::get("https://api.example.net/x", |res| m.reply(res.error ?? "ok")); });"#;
    let mut bot = rig.bot(source);
    for _ in 0..5 {
        bot.ask("go");
    }
    let said = bot.told.wait_texts(|said| said.len() == 4);
    assert!(said.iter().all(|text| text.starts_with("busy: 16 requests")), "{said:?}");
    held.wait(16);
    held.answer_all(answer(200, ""));
    bot.told.wait_texts(|said| said.iter().filter(|text| *text == "ok").count() == 16);
    bot.ask("go");
    held.wait(4);
}

#[test]
fn large_and_binary_bodies_do_not_break_the_limits_of_the_script() {
    let rig = Rig::new();
    let source = r#"on("message", |m| http::get("https://api.example.net/" + m.text, |res| {
        let b = res.body;
        m.reply(if type_of(b) == "Bytes" { `${b} ${b.size} ${b.head(3)}` } else { b });
    }));"#;
    let mut bot = rig.bot(source);
    rig.web.answer("GET", "https://api.example.net/large", answer(200, &"x".repeat(100_000)));
    let binary = HttpResponse { status: 200, body: vec![0xff, b'a'], ..HttpResponse::default() };
    rig.web.answer("GET", "https://api.example.net/binary", Ok(binary));
    bot.ask("large");
    bot.told.wait_texts(|said| said == ["(100000 bytes) 100000 xxx"]);
    bot.ask("binary");
    bot.told.wait_texts(|said| said.last().is_some_and(|text| text == "(2 bytes) 2 \u{fffd}a"));
}

#[test]
fn hostile_json_ends_in_an_error_or_in_nothing() {
    let rig = Rig::new();
    let source = r#"on("message", |m| http::get("https://api.example.net/" + m.text, |res| {
        try {
            m.reply(if res.json == () { "nothing" } else { "something" });
        } catch (why) { m.reply(why.message); }
    }));"#;
    let mut bot = rig.bot(source);
    let many = format!("[{}1]", "[],".repeat(300_000));
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let deeper = "[".repeat(5_000);
    for (name, body, said) in [
        ("a", "{ not json".to_owned(), "nothing"),
        ("b", many, "this JSON takes more memory than the turn has left"),
        ("c", deep, "this JSON nests more than 32 levels deep"),
        ("d", deeper, "nothing"),
        ("e", "7".to_owned(), "something"),
    ] {
        rig.web.answer("GET", &format!("https://api.example.net/{name}"), answer(200, &body));
        bot.ask(name);
        bot.told.wait_texts(|all| all.last().is_some_and(|text| text == said));
    }
}

#[test]
fn secrets_are_used_and_never_read() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            m.reply(secret::hmac("api_key", "hello"));
            m.reply(secret::hmac("api_key", "hello", "base64"));
            m.reply(`${secret::matches("api_key", m.text)}`);
        });"#,
    );
    // printf hello | openssl dgst -sha256 -hmac 'key of the api'
    let hash = "f41aca55c0af9ddfbd4b1fc7dc158a9f237e3074bf3180fb7ed3723ca5723988";
    let said = bot.ask("key of the api");
    assert_eq!((said[0].as_str(), said[2].as_str()), (hash, "true"));
    assert_eq!(said[1].len(), 44);
    assert_eq!(bot.ask("key of the ap")[2], "false");
    let failure = failure(&rig, r#"secret::hmac("api_kee", "x");"#);
    assert_eq!(failure.hint.as_deref(), Some("did you mean `api_key`?"));
    assert!(!format!("{:?}", script("main", "").permissions).contains("key of"));
}

pub(super) fn answer(status: u16, body: &str) -> HttpOutcome {
    Ok(HttpResponse { status, body: body.as_bytes().to_vec(), ..HttpResponse::default() })
}

/// The failure of a handler with that body.
fn failure(rig: &Rig, body: &str) -> ScriptError {
    let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {body} }});"));
    let failure = bot.fail(super::message("ann@example.org", "go"));
    bot.handle.remove();
    failure
}

/// A web that answers when it is told to.
#[derive(Default)]
struct Held {
    waiting: std::sync::Mutex<Vec<crate::script::outside::Done>>,
    more: std::sync::Condvar,
}

impl Held {
    fn wait(&self, count: usize) {
        let waiting = self.waiting.lock().unwrap();
        let patience = Duration::from_secs(30);
        let (waiting, _) =
            self.more.wait_timeout_while(waiting, patience, |waiting| waiting.len() < count).unwrap();
        assert_eq!(waiting.len(), count);
    }

    fn answer_all(&self, outcome: HttpOutcome) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        for done in waiting {
            done(outcome.clone());
        }
    }
}

impl crate::script::outside::Outside for Held {
    fn fetch(&self, _: crate::script::outside::HttpRequest, done: crate::script::outside::Done) {
        self.waiting.lock().unwrap().push(done);
        self.more.notify_all();
    }
}
