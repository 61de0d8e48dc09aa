//! Scripts that mean harm: each is stopped, says where, and leaves its neighbour alone.

use std::time::{Duration, Instant};

use super::{Rig, message, script};
use crate::script::error::Kind;
use crate::script::{Limits, ScriptUse};

/// Runs an attack on a pool with one worker and tells how it failed; a neighbour answers before and after.
fn attack(body: &str) -> crate::script::error::ScriptError {
    attack_with("", body)
}

fn attack_with(functions: &str, body: &str) -> crate::script::error::ScriptError {
    let rig = Rig::with(1, |clock| std::sync::Arc::new(crate::script::data::Memory::new(clock)));
    let limits = Limits { turn: Duration::from_millis(300), operations: 50_000_000, ..Limits::DEFAULT };
    let source = format!("on(\"message\", |m| {{\n{body}\n}});\n{functions}");
    let mut hostile = rig.add("hostile", vec![ScriptUse { limits, ..script("main", &source) }]);
    let mut neighbour = rig.add("neighbour", vec![script("main", r#"on("message", |m| m.reply("here"));"#)]);
    assert_eq!(neighbour.ask("there?"), ["here"]);
    let started = Instant::now();
    let failure = hostile.fail(message("ann@example.org", "x"));
    assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}: {failure}", started.elapsed());
    assert_eq!(neighbour.ask("there?"), ["here"]);
    failure
}

fn check(body: &str, kinds: &[Kind]) {
    let failure = attack(body);
    assert!(kinds.contains(&failure.kind), "{body}\n{:?}: {failure}", failure.kind);
    assert!(failure.line >= 1, "{failure:?}");
}

#[test]
fn an_endless_loop_is_stopped_and_placed() {
    let failure = attack("    let n = 0;\n    loop { n += 1; }");
    assert_eq!(failure.kind, Kind::Deadline);
    assert_eq!((failure.file.as_str(), failure.line, failure.column), ("scripts/main.rhai", 3, 12));
    assert_eq!(failure.hint.as_deref(), Some("raise `limits.turn`, or do less in one turn"));
    // Neither can it be caught, nor hidden in a built-in function.
    check("while true { try { loop { } } catch { } }", &[Kind::Deadline]);
    check("let a = []; a.pad(4000, 1); loop { a.map(|x| x + 1); }", &[Kind::Deadline]);
}

#[test]
fn what_uses_up_a_budget_is_placed_where_it_did() {
    let memory = "let all = #{}; let s = \"\"; s.pad(60000, 'x'); let n = 0;";
    for (functions, body, kind, line) in [
        ("", "let n = 0;\nn += 1;\nwhile n > 0 {\n  n += 1;\n}", Kind::Deadline, 4..=5),
        ("", "m.typing();\nloop {\n  rand::int(1, 2);\n}", Kind::Deadline, 4..=4),
        ("fn spin(n) {\n  loop { n += 1; }\n}", "m.typing();\nspin(1);", Kind::Deadline, 6..=6),
        ("", &format!("{memory}\nloop {{\n  n += 1;\n  all[\"k\" + n] = s + n;\n}}"), Kind::Memory, 4..=5),
        ("fn down(n) {\n  1 + down(n + 1)\n}", "m.typing();\ndown(1);", Kind::Stack, 6..=6),
        ("", "let text = m.text;\nloop {\n  matches(text, \"x+\");\n}", Kind::Deadline, 4..=4),
    ] {
        let failure = attack_with(functions, body);
        assert_eq!(failure.kind, kind, "{body}: {failure}");
        assert!(line.contains(&failure.line) && failure.column > 0, "{body}: {failure}");
        let hint = failure.hint.as_deref().unwrap_or_default();
        assert!(!hint.contains("where the handler begins"), "{body}: {failure}");
    }
    // Where a script names nothing at all, nobody knows a nearer place, and that is said.
    let failure = attack("m.typing();\nloop { }");
    assert_eq!((failure.kind, failure.line), (Kind::Deadline, 1));
    assert!(failure.to_string().ends_with("the place is where the handler begins"), "{failure}");
}

#[test]
fn calls_that_nest_too_deeply_are_told_in_few_lines() {
    let failure = attack_with("fn down(n) {\n  1 + down(n + 1)\n}", "down(1);");
    assert_eq!(failure.chain.len(), 33);
    let told = failure.to_string();
    let down = "in down (scripts/main.rhai:5:7), 31 times\n  in down (scripts/main.rhai:2:1)";
    assert!(told.contains(down) && told.lines().count() == 5, "{told}");
}

#[test]
fn what_ends_a_turn_cannot_be_caught_for_long() {
    for body in [
        "try {\nlet n = 0; loop { n += 1; }\n} catch (e) { m.reply(\"caught\"); }",
        "try {\nlet n = 0; loop { n += 1; }\n} catch (e) { throw \"mine\"; }",
        "try {\nlet n = 0; loop { n += 1; }\n} catch { loop { } }",
        "try {\nlet n = 0; loop { n += 1; }\n} catch { }",
    ] {
        let failure = attack(body);
        assert_eq!(failure.kind, Kind::Deadline, "{body}: {failure}");
        assert_eq!(failure.message, "the turn took longer than 300 ms", "{body}");
    }
    for body in ["try { down(1); } catch { }", "try { down(1); } catch { m.reply(\"caught\"); }"] {
        let failure = attack_with("fn down(n) { 1 + down(n + 1) }", body);
        assert_eq!(failure.kind, Kind::Stack, "{body}: {failure}");
    }
}

#[test]
fn operations_run_out_even_inside_of_built_in_functions() {
    let rig = Rig::new();
    let limits = Limits { turn: Duration::from_secs(20), operations: 10_000, ..Limits::DEFAULT };
    let source =
        r#"on("message", |m| { let a = []; a.pad(4000, 1); for i in 0..100 { a.map(|x| x + 1); } });"#;
    let mut bot = rig.add("hostile", vec![ScriptUse { limits, ..script("main", source) }]);
    assert_eq!(bot.fail(message("ann@example.org", "x")).kind, Kind::Operations);
}

#[test]
fn a_panic_in_a_host_function_fails_the_turn_only() {
    let failure = attack("    m.typing();\n    __panic();");
    assert_eq!(failure.kind, Kind::Panic);
    assert!(failure.message.contains("on purpose"), "{failure}");
}

#[test]
fn strings_and_containers_cannot_grow_without_end() {
    let kinds = [Kind::Size, Kind::Memory, Kind::Deadline];
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let a = [1]; loop { a += a; }",
        "let a = [1]; loop { a = [a, a, a]; }",
        "let a = []; a.pad(1000000000, 1);",
        "let b = blob(9000000000);",
        "let s = \"x\"; s.pad(1000000000, 'y');",
        "let s = \"xy\"; s.pad(60000, 'y'); let m = #{}; for i in 0..100000 { m[\"k\" + i] = s + i; }",
        "let s = \"\"; s.pad(6000, 'y'); let a = []; a.pad(4000, 1); let b = a.map(|x| s + x);",
        "let s = \"\"; s.pad(20000, 'x'); let t = \"\"; t.pad(60000, 'y'); s.replace(\"x\", t);",
        "let s = \"\"; s.pad(20000, 'x'); let t = \"\"; t.pad(60000, 'y'); s.replace('x', t);",
        "let s = \"\"; s.pad(60000, 'x'); let a = []; loop { a.push(s + a.len()); }",
        "let fs = []; for i in 0..4000 { let a = []; a.pad(4000, i); fs.push(|| a); }",
    ] {
        check(body, &kinds);
    }
}

#[test]
fn chains_that_are_freed_recursively_do_not_end_the_process() {
    let kinds = [Kind::Size, Kind::Memory, Kind::Deadline, Kind::Operations, Kind::Runtime];
    for body in [
        "let f = || 1; loop { let g = f; f = || g; }",
        "let f = |x| x; loop { f = f.curry(f); }",
        "let f = |x| x; loop { f = f.curry(1); }",
        "let a = []; loop { a = [a]; }",
        "let m = #{}; loop { let n = #{}; n[\"k\"] = m; m = n; }",
    ] {
        let failure = attack(body);
        assert!(kinds.contains(&failure.kind), "{body}\n{failure}");
    }
    assert_eq!(attack_with("fn down(n) { 1 + down(n + 1) }", "down(0);").kind, Kind::Stack);
}

#[test]
fn cycles_that_leak_are_charged_until_the_script_is_parked() {
    let rig = Rig::new();
    let source = r#"on("message", |m| {
        for i in 0..20 { let keep = []; keep.pad(4000, i); let m = #{}; let f = || [m, keep]; m.f = f; }
    });"#;
    let mut bot = rig.add(
        "hostile",
        vec![ScriptUse { limits: Limits { array: 10_000, ..super::patient() }, ..script("main", source) }],
    );
    for _ in 0..40 {
        bot.try_event(message("ann@example.org", "x"));
        if !bot.handle.scripts()[0].running {
            break;
        }
    }
    let state = bot.handle.scripts().remove(0);
    assert!(!state.running, "it still runs");
    assert_eq!(state.trouble.map(|trouble| trouble.kind), Some(Kind::Memory));
}

#[test]
fn what_a_script_keeps_is_bounded_and_given_back() {
    let rig = Rig::new();
    let source = r#"let kept = []; on("message", |m| { let s = ""; s.pad(50000, 'x'); kept.push(s + kept.len()); m.reply(kept.len()); });"#;
    let mut bot = rig.add(
        "keeper",
        vec![ScriptUse {
            limits: Limits { string: 1_000_000, ..super::patient() },
            ..script("main", source)
        }],
    );
    let mut failed = false;
    for _ in 0..200 {
        let turned = bot.try_event(message("ann@example.org", "x"));
        if let Some(failure) = turned.failures.first() {
            assert!(matches!(failure.kind, Kind::Memory | Kind::Size), "{failure}");
            failed = true;
            break;
        }
    }
    assert!(failed, "it kept everything");
}

#[test]
fn overwriting_a_stored_value_buys_no_memory() {
    let rig = Rig::new();
    let source = r#"let kept = []; on("message", |m| {
        let s = ""; s.pad(5000, 'x');
        for i in 0..60 { store::set("k", s); }
        let id = timer::at("1h", "t", s); timer::cancel(id);
        let t = ""; t.pad(50000, 'y'); kept.push(t + kept.len());
        m.reply(kept.len());
    });"#;
    // The limit on strings would stop it at 20 turns.
    let limits = Limits { memory: 512 * 1024, string: 1024 * 1024, ..super::patient() };
    let mut bot = rig.add("hoarder", vec![ScriptUse { limits, ..script("main", source) }]);
    for n in 0..40 {
        let turned = bot.try_event(message("ann@example.org", "x"));
        if let Some(failure) = turned.failures.first() {
            assert_eq!(failure.kind, Kind::Memory, "after {n} turns: {failure}");
            return;
        }
    }
    panic!("it kept everything");
}

#[test]
fn ten_thousand_plain_turns_retain_nothing() {
    let rig = Rig::new();
    let limits = Limits { memory: 64 * 1024, ..super::patient() };
    let source = r#"on("message", |m| { store::set("k", m.text); store::get("k"); bot::send("ann@example.org", m.text, #{ subject: "s" }); m.reply([1, 2, 3]); if m.text == "x7" { throw "no"; } });"#;
    let mut bot = rig.add("steady", vec![ScriptUse { limits, ..script("main", source) }]);
    for n in 0..3_000 {
        let turned = bot.try_event(message("ann@example.org", &format!("x{}", n % 10)));
        for failure in turned.failures {
            assert_eq!(failure.message, "no", "after {n} turns");
        }
    }
}

#[test]
fn what_blocks_or_reaches_outside_is_refused() {
    for (body, kind) in [
        ("sleep(1);", Kind::Forbidden),
        ("sleep(0.5);", Kind::Forbidden),
        ("Fn(\"sleep\").call(1);", Kind::Forbidden),
        ("exit();", Kind::Forbidden),
        ("exit(1);", Kind::Forbidden),
        ("let name = \"lib/\" + m.text; import name as x;", Kind::Import),
        ("m.reply(\"\\u0007\");", Kind::Runtime),
        ("bot::send(\"not an address@@\", \"x\");", Kind::Runtime),
        ("for i in 0..1000 { m.reply(\"x\"); }", Kind::Operations),
        ("for i in 0..2000 { store::set(\"k\" + i, i); }", Kind::Operations),
        ("store::set(\"k\", |x| x);", Kind::Runtime),
        (
            "let x = xml::element(\"a\", \"b\"); for i in 0..100 { x = xml::element(\"a\", \"b\").with_child(x); }",
            Kind::Size,
        ),
        (
            "let s = \"\"; s.pad(60000, 'x'); let c = xml::element(\"a\", \"b\").with_text(s); let x = c; for i in 0..6 { x = x.with_child(c); }",
            Kind::Size,
        ),
        (
            "let s = \"\"; s.pad(60000, 'x'); let x = xml::element(\"a\", \"b\"); for i in 0..6 { x = x.with_text(s); } bot::iq(\"set\", m.from, x, |a| ());",
            Kind::Size,
        ),
    ] {
        check(body, &[kind]);
    }
}
