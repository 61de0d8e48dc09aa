//! Feeds, and the script that polls them.

use super::web::{API, answer};
use super::{Player, Rig};
use crate::script::outside::HttpResponse;

const RSS: &str = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>
<item><title>Two &amp; more</title><link>https://a.example/2</link><guid>g2</guid><description>&lt;p&gt;The &lt;b&gt;second&lt;/b&gt;&lt;/p&gt;</description><pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate></item>
<item><title>One</title><link>https://a.example/1</link><pubDate>Mon, 02 Mar 2026 10:00:00 GMT</pubDate></item>
</channel></rss>"#;

#[test]
fn feeds_of_all_kinds_come_out_alike_and_the_oldest_first() {
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><id>f</id><updated>2026-03-03T10:00:00Z</updated>
      <entry><id>urn:2</id><title>Two</title><link href="https://a.example/2"/><updated>2026-03-03T10:00:00Z</updated><author><name>Ann</name></author></entry>
      <entry><id>urn:1</id><title>One</title><link href="https://a.example/1"/><updated>2026-03-02T10:00:00Z</updated></entry></feed>"#;
    let rdf = r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel rdf:about="x"><title>t</title><link>https://a.example/</link><description>d</description></channel>
      <item rdf:about="https://a.example/1"><title>One</title><link>https://a.example/1</link></item></rdf:RDF>"#;
    let json = r#"{"version":"https://jsonfeed.org/version/1.1","title":"t","items":[{"id":"j1","url":"https://a.example/1","title":"One","content_text":"text"}]}"#;
    for (feed, said) in [
        (
            RSS,
            vec![
                "https://a.example/1|One|https://a.example/1||",
                "g2|Two & more|https://a.example/2|The second|",
            ],
        ),
        (atom, vec!["urn:1|One|https://a.example/1||", "urn:2|Two|https://a.example/2||Ann"]),
        (rdf, vec!["https://a.example/1|One|https://a.example/1||"]),
        (json, vec!["j1|One|https://a.example/1|text|"]),
    ] {
        assert_eq!(items(feed), said);
    }
}

#[test]
fn hostile_feeds_are_errors_that_a_script_can_catch_or_come_cut_short() {
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><rss version="2.0"><channel><title>&b;</title></channel></rss>"#;
    for feed in ["", "no feed", "<html><body>404</body></html>", "{\"a\":1}", "<rss", &"<a>".repeat(50_000)] {
        assert_eq!(items(feed), ["caught"], "{feed:.40}");
    }
    assert!(items(bomb).len() <= 1);
    let item = |n: usize| {
        format!(
            "<item><title>{0}</title><guid>g{n}</guid><description>{0}</description></item>",
            "word ".repeat(300)
        )
    };
    let long: String = (0..60).map(item).collect();
    let said = items(&format!("<rss version=\"2.0\"><channel>{long}</channel></rss>"));
    assert!((20..60).contains(&said.len()), "{}", said.len());
    assert!(said.last().is_some_and(|text| text.starts_with("g0|word")), "the newest is kept");
}

/// What a script sees of a feed.
fn items(feed: &str) -> Vec<String> {
    let rig = Rig::new();
    rig.web.answer("GET", API, answer(200, feed));
    let mut bot = rig.bot(
        r#"on("message", |m| http::get("https://api.example.net/x", |res| {
            try {
                let all = feed::parse(res.body);
                for i in all { m.reply(`${i.id}|${text::cut(i.title ?? "", 20)}|${i.link}|${text::cut(i.summary ?? "", 20)}|${i.author}`); }
            } catch (why) { m.reply("caught"); }
            m.reply("end");
        }));"#,
    );
    bot.ask("go");
    let mut said = bot.told.wait_texts(|said| said.last().is_some_and(|text| text == "end"));
    said.pop();
    said
}

#[test]
fn the_feed_poller_tells_what_is_new_once() {
    let rig = Rig::new();
    let source = r#"
const FEEDS = option("feeds", ["https://blog.feeds.example/feed.xml"], "addresses to poll");
option("room", "news@rooms.example", "where news is told");

fn poll(url) {
    http::get(url, #{ etag: store::get("etag/" + url), timeout: "20s" }, |res| {
        if res.status == 304 { return; }
        if !res.ok { return log::warn(`${url}: ${res.error}`); }
        let first = store::once("known/" + url, "3650d");   // first poll only marks
        for item in feed::parse(res.body) {                 // oldest first
            if store::once(`item/${url}/${item.id}`, "60d") && !first {
                room(config.room).say(`${item.title}\n${item.link}`);
            }
        }
        store::set("etag/" + url, res.etag);
    });
}

every("15m", || { for url in FEEDS { poll(url); } });
command("poll", #{ help: "Poll now", allow: ["admin"] }, |m, a| {
    for url in FEEDS { poll(url); }
    m.reply("Polling.");
});
on("message", |m| m.reply("here"));
"#;
    let feed = "https://blog.feeds.example/feed.xml";
    let with_tag = |tag: &str, body: String| {
        let headers = vec![("etag".to_owned(), tag.to_owned())];
        Ok(HttpResponse { status: 200, headers, body: body.into_bytes(), ..HttpResponse::default() })
    };
    rig.web.answer("GET", feed, with_tag("\"1\"", RSS.to_owned()));
    let mut bot = rig.bot(source);
    let boss = |bot: &mut Player| bot.give(super::message("boss@example.org/x", "!poll"));
    assert_eq!(boss(&mut bot), ["Polling."]);
    assert_eq!(bot.ask("x"), ["here"]);
    let newer = RSS.replacen(
        "<item>",
        "<item><title>Three</title><link>https://a.example/3</link><guid>g3</guid></item><item>",
        1,
    );
    rig.web.answer("GET", feed, with_tag("\"2\"", newer));
    boss(&mut bot);
    bot.told.wait_texts(|said| said.iter().any(|text| text == "Three\\nhttps://a.example/3"));
    rig.web.answer("GET", feed, answer(304, ""));
    boss(&mut bot);
    bot.ask("y");
    let said = bot.told.wait_texts(|said| said.iter().filter(|text| *text == "here").count() >= 2);
    assert_eq!(said.iter().filter(|text| text.contains("https://")).count(), 1, "{said:?}");
    let tags: Vec<String> = rig
        .web
        .take_asked()
        .into_iter()
        .map(|asked| asked.headers.first().map(|h| h.1.clone()).unwrap_or_default())
        .collect();
    assert_eq!(tags, ["", "\"1\"", "\"2\""]);
}
