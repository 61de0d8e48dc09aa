//! `limits` of scripts and bots: what goes beyond fails, names the key, and fits once the key says so.

use rhapsode::script::error::Kind;
use rhapsode::script::loader::compile;

use crate::support::process::{Process, until};
use crate::support::world::{World, scratch};

/// Does as often as it is told, and says how it stands.
const GREEDY: &str = r#"
on("message", |m| {
    let words = m.text.split(" ");
    let count = if words.len() > 1 { parse_int(words[1]) } else { 0 };
    switch words[0] {
        "timers" => for n in 0..count { timer::at("1h", "later", #{ n: n }); },
        "values" => for n in 0..count { store::set(`k${n}`, n); },
        "bytes" => { let s = "x"; s.pad(count, "x"); store::set(`big${count}`, s); },
        "sends" => for n in 0..count { bot::send("bob@world.localhost", `${n}`); },
        _ => {}
    }
    m.reply(`done ${timer::list("later").len()}`);
});
on("timer:later", |t| { });
"#;

/// Modules may not hold more than the documented budget of compiling, neither as values nor as text.
#[test]
fn what_imports_hold_is_bounded_while_a_script_compiles() {
    let folder = scratch();
    std::fs::create_dir_all(folder.join("lib")).expect("a folder");
    let main = folder.join("main.rhai");
    let values = "let kept = #{}; for i in 0..900 { let s = \"\"; s.pad(60000, 'x'); kept[`k${i}`] = s; }";
    std::fs::write(folder.join("lib/values.rhai"), values).expect("a file");
    let body = format!("fn f() {{ {} }}", "x(1);".repeat(25_000));
    let mut many = String::new();
    for n in 0..30 {
        std::fs::write(folder.join(format!("lib/m{n}.rhai")), &body).expect("a file");
        many.push_str(&format!("import \"lib/m{n}\" as m{n};\n"));
    }
    for source in ["import \"lib/values\" as x;", &many] {
        let failure = compile("main", &main, source).expect_err("too much");
        assert_eq!(failure.kind, Kind::Memory, "{failure}");
        assert!(failure.message.contains("take more than 16 MiB"), "{failure}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn what_goes_beyond_a_limit_names_its_key_and_fits_when_it_is_raised() {
    let (mut world, process) = greedy("limits: { turn: 2s, actions: 3, writes: 4, timers: 5, store: 64KiB }");
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("greedy", "timers 4"), "done 4");
    // Only five may wait, however many turns set them; those of a turn that fails are none.
    refused(&process, &mut ann, "timers 2", "would have more than 5 timers waiting", "`limits.timers`");
    assert_eq!(ann.ask("greedy", "timers 1"), "done 5");
    refused(&process, &mut ann, "values 5", "more than 4 writes in one turn", "`limits.writes`");
    refused(&process, &mut ann, "sends 4", "more than 3 actions in one turn", "`limits.actions`");
    assert_eq!(ann.ask("greedy", "values 4"), "done 5");
    assert_eq!(ann.ask("greedy", "bytes 60000"), "done 5");
    refused(&process, &mut ann, "bytes 50000", "65536 are allowed", "`limits.store`");
    // Each was tried three times; none must fit later, when there is more room.
    process.until("all are given up", |status| status["dead"]["letters"] == 4);
    // A script's own limits come before those of the bot.
    world.head(
        "login: { pace: none, jitter: 0s }\nscripts: { greedy: { file: scripts/greedy.rhai, \
         limits: { timers: 9, actions: 9, writes: 9, store: 1MiB } } }",
    );
    world.write();
    process.reloaded();
    assert_eq!(ann.ask("greedy", "timers 4"), "done 9");
    assert_eq!(ann.ask("greedy", "values 8"), "done 9");
    assert_eq!(ann.ask("greedy", "bytes 50000"), "done 9");
    // So many failures are not all put into words, but a refused commit is.
    ann.say("greedy", "timers 1");
    process.until_stderr("would have more than 9 timers waiting");
}

#[test]
fn a_script_declares_no_more_than_it_may() {
    let (world, process) = greedy("");
    let many = "for n in 0..101 { every(\"1h\", || { }); }";
    for (script, said) in [
        (many, "more than 100 lines with `every`"),
        ("for n in 0..501 { command(`c${n}`, \"\", |m, a| { }); }", "more than 500 commands"),
        ("for n in 0..1001 { on(\"message\", |m| { }); }", "more than 1000 handlers"),
    ] {
        world.script("greedy", script);
        let output = process.reload(&[]);
        let stderr = crate::support::process::text(&output.stderr);
        assert!(stderr.contains(said) && output.status.code() == Some(1), "{said}\n{stderr}");
    }
}

fn greedy(limits: &str) -> (World, Process) {
    let mut world = World::new();
    world.script("greedy", GREEDY);
    world.head("login: { pace: none, jitter: 0s }\nscripts: { greedy: scripts/greedy.rhai }");
    world.bot("greedy", &format!("scripts: [greedy]\n{limits}"));
    let process = world.online();
    (world, process)
}

/// Says something that goes beyond a limit, and finds the words and the key in the log.
fn refused(process: &Process, ann: &mut crate::support::person::Person, said: &str, why: &str, key: &str) {
    ann.say("greedy", said);
    until(&format!("`{why}` with {key}"), || {
        process.stderr().lines().any(|line| line.contains(why) && line.contains(key)).then_some(())
    });
}
