//! Our two roles against each other, with the link cut at every byte.

use rhapsode::stream::fault::{Next, What};

use crate::support::pair::{Cut, Outcome, Owner, Pair};

const MESSAGES: usize = 4;

#[test]
fn everything_arrives_once_without_a_cut() {
    let outcome = Pair::new(Owner::Prompt, MESSAGES).run(MESSAGES);
    check(&outcome, "no cut");
    assert_eq!((outcome.bound, outcome.resumed), (1, 0));
    assert!(outcome.carried.0 > 1_000 && outcome.carried.1 > 1_000, "{:?}", outcome.carried);
}

/// XEP-0198 §5: after a resumption nothing is lost and nothing comes twice.
#[test]
fn a_cut_at_every_byte_to_the_server_loses_and_doubles_nothing() {
    for owner in [Owner::Prompt, Owner::Late, Owner::Restarted] {
        cut_everywhere(owner, true);
    }
}

#[test]
fn a_cut_at_every_byte_to_the_client_loses_and_doubles_nothing() {
    for owner in [Owner::Prompt, Owner::Late, Owner::Restarted] {
        cut_everywhere(owner, false);
    }
}

/// The resumption itself is cut as well.
#[test]
fn a_second_cut_in_the_resumption_loses_and_doubles_nothing() {
    let mut probe = Pair::new(Owner::Late, MESSAGES);
    let (up, down) = probe.run(MESSAGES).carried;
    for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
        let length = if first { up } else { down };
        for after in (0..length).rev().step_by(31).take(20) {
            for again in (1..2_400).step_by(61) {
                let cuts = [
                    Cut { connection: 1, to_server: first, after },
                    Cut { connection: 2, to_server: second, after: again },
                ];
                let outcome =
                    Pair::new(Owner::Late, MESSAGES).with_keys(probe.keys()).with_cuts(&cuts).run(MESSAGES);
                check(&outcome, &format!("{cuts:?}"));
            }
        }
    }
}

/// SM-6: what the server says it handled is not sent again; the rest is, once, on the same stream.
#[test]
fn a_denied_resumption_with_a_count_is_as_good_as_a_granted_one() {
    let mut probe = Pair::new(Owner::Prompt, MESSAGES);
    let (up, _) = probe.run(MESSAGES).carried;
    let mut lost = 0;
    for after in 1..up {
        let cut = Cut { connection: 1, to_server: true, after };
        // The server has handled what it received: count it by a run of its own.
        let handled = handled_before(&mut probe, cut);
        let mut pair = Pair::new(Owner::Prompt, MESSAGES).with_keys(probe.keys()).with_cuts(&[cut]);
        pair = pair.denying(Some(handled));
        let outcome = pair.run(MESSAGES);
        assert_eq!(sorted(&outcome.at_server), expected("c"), "{cut:?} {outcome:?}");
        assert!(outcome.lost.iter().all(|(known, _)| *known), "{cut:?} {outcome:?}");
        assert_eq!(outcome.resumed, 0);
        lost += outcome.lost.iter().map(|(_, count)| count).sum::<usize>();
        // Where all had arrived before the cut there is no second connection.
        assert!(pair.connections <= 2, "{cut:?} {outcome:?}");
    }
    assert!(lost > 0, "no cut hit an unacknowledged stanza");
}

/// Without a count nothing is silently dropped: the owner is told that it is not known.
#[test]
fn a_denied_resumption_without_a_count_says_so() {
    let mut probe = Pair::new(Owner::Prompt, MESSAGES);
    let (up, _) = probe.run(MESSAGES).carried;
    let mut unknown = 0;
    for after in (0..up).rev().take(700) {
        let cut = Cut { connection: 1, to_server: true, after };
        let outcome = Pair::new(Owner::Prompt, MESSAGES)
            .with_keys(probe.keys())
            .with_cuts(&[cut])
            .denying(None)
            .run(MESSAGES);
        unknown += outcome.lost.iter().filter(|(known, count)| !known && *count > 0).count();
        let mut at_server = sorted(&outcome.at_server);
        at_server.dedup();
        assert_eq!(at_server, expected("c"), "{cut:?} {outcome:?}");
    }
    assert!(unknown > 0, "no cut left anything unknown");
}

fn cut_everywhere(owner: Owner, to_server: bool) {
    let mut probe = Pair::new(owner, MESSAGES);
    let (up, down) = probe.run(MESSAGES).carried;
    let (mut resumed, mut bound) = (0, 0);
    for after in 1..if to_server { up } else { down } {
        let cut = Cut { connection: 1, to_server, after };
        let mut pair = Pair::new(owner, MESSAGES).with_keys(probe.keys()).with_cuts(&[cut]);
        let outcome = pair.run(MESSAGES);
        check(&outcome, &format!("{owner:?} {cut:?}"));
        let fault = outcome.faults.first().unwrap_or_else(|| panic!("{cut:?} went unnoticed"));
        assert!(matches!(fault.what, What::ConnectionLost { .. }), "{cut:?} {fault:?}");
        match fault.next {
            Next::Resume => resumed += 1,
            _ => bound += 1,
        }
        assert_eq!(outcome.resumed + outcome.bound, pair.connections - usize::from(bound_late(&outcome)));
    }
    assert!(resumed > 100 && bound > 100, "{resumed} resumed, {bound} bound anew");
}

/// Whether the first connection was cut before it was online.
fn bound_late(outcome: &Outcome) -> bool {
    outcome.faults.first().is_some_and(|fault| fault.next == Next::Reconnect)
}

fn handled_before(probe: &mut Pair, cut: Cut) -> u32 {
    let mut pair = Pair::new(Owner::Prompt, MESSAGES).with_keys(probe.keys()).with_cuts(&[cut]);
    pair.run_once(MESSAGES) as u32
}

fn check(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.at_client, expected("s"), "{what}: at the client, {outcome:?}");
    assert_eq!(outcome.at_server, expected("c"), "{what}: at the server, {outcome:?}");
    assert!(outcome.lost.iter().all(|(_, count)| *count == 0), "{what}: {outcome:?}");
}

fn expected(side: &str) -> Vec<String> {
    (1..=MESSAGES).map(|n| format!("{side}{n}")).collect()
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}
