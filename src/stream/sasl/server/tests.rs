//! The server against our own client and against scripted ones.

use super::*;
use crate::stream::sasl::channel::Flag;
use crate::stream::sasl::choose::{Policy, Preference, choose};
use crate::stream::sasl::client::{Client, Done, Iterations, Login, Step};
use crate::stream::sasl::{Credentials, MECHANISMS};

#[test]
fn every_mechanism_lets_its_own_client_in() {
    for (name, mechanism) in MECHANISMS {
        for initial in [true, false] {
            let credentials = match mechanism {
                Mechanism::External => Credentials::External,
                Mechanism::Anonymous => Credentials::Anonymous,
                Mechanism::Plain | Mechanism::Scram { .. } => password("pencil"),
                Mechanism::Token(_) => unreachable!("not in the table"),
            };
            let context = context(name);
            let (accepted, done) =
                run(&context, &context, &context.channel, credentials, initial).expect(name);
            assert_eq!(accepted.mechanism, *mechanism);
            assert_eq!(done.mechanism, *mechanism);
            assert_eq!(done.keys.is_some(), mechanism.is_scram());
            let expected = (*mechanism != Mechanism::Anonymous).then_some("user");
            assert_eq!(accepted.username.as_deref(), expected);
        }
    }
}

#[test]
fn a_wrong_password_and_an_unknown_account_fail_alike() {
    for name in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS"] {
        let context = context(name);
        let wrong = run(&context, &context, &context.channel, password("pencils"), true);
        assert_eq!(wrong.err(), Some(SaslError::NotAuthorized), "{name}");
        assert_eq!(run_as("nobody", &context).err(), Some(SaslError::NotAuthorized), "{name}");
    }
}

#[test]
fn an_unknown_account_has_a_salt_that_stays() {
    let challenge = |name: &str, secret: u8| {
        let context = Context { secret: [secret; 32], ..context("SCRAM-SHA-256") };
        let first = format!("n,,n={name},r=abc");
        let (mut server, step) = start(&context, Some(first.as_bytes())).expect("a good start");
        assert_eq!(step, ServerStep::NeedAccount { username: name.to_owned() });
        match server.on_account(None) {
            Ok(ServerStep::Challenge(challenge)) => String::from_utf8(challenge).expect("text"),
            other => panic!("no challenge but {other:?}"),
        }
    };
    assert_eq!(challenge("nobody", 1), challenge("nobody", 1));
    assert_ne!(challenge("nobody", 1), challenge("anybody", 1));
    assert_ne!(challenge("nobody", 1), challenge("nobody", 2));
    assert!(challenge("nobody", 1).contains(",i=4096,"));
}

#[test]
fn s11_a_y_flag_where_plus_was_offered_is_a_downgrade() {
    let full = Context {
        offered: ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"].map(str::to_owned).to_vec(),
        ..context("SCRAM-SHA-256")
    };
    // What is left of the offer after somebody took out -PLUS and the list.
    let seen = Context { offered: full.offered[..1].to_vec(), bindings: None, ..full.clone() };
    let outcome = run(&full, &seen, &full.channel, password("pencil"), true);
    assert_eq!(outcome.err(), Some(SaslError::Downgrade));
}

#[test]
fn s11_the_client_notices_a_mechanism_that_was_taken_away() {
    let offered = ["SCRAM-SHA-1", "SCRAM-SHA-512"].map(str::to_owned).to_vec();
    let full = Context { offered, bindings: None, ..context("SCRAM-SHA-1") };
    let seen = Context { offered: full.offered[..1].to_vec(), ..full.clone() };
    let outcome = run(&full, &seen, &full.channel, password("pencil"), true);
    assert_eq!(outcome.err(), Some(SaslError::Downgrade));
}

#[test]
fn s11_two_tls_channels_do_not_bind() {
    let context = context("SCRAM-SHA-256-PLUS");
    let other = Channel { exporter: Some(vec![9; 32]), ..context.channel.clone() };
    let outcome = run(&context, &context, &other, password("pencil"), true);
    assert_eq!(outcome.err(), Some(SaslError::Binding));
}

#[test]
fn s11_the_client_notices_another_tls_version() {
    let context = context("SCRAM-SHA-256");
    let other = Channel { version: Some(0x0303), ..context.channel.clone() };
    let outcome = run(&context, &context, &other, password("pencil"), true);
    assert_eq!(outcome.err(), Some(SaslError::TlsVersion));
}

#[test]
fn the_binding_has_to_fit_the_mechanism_and_the_announcement() {
    for (name, first, expected) in [
        ("SCRAM-SHA-256-PLUS", "n,,n=user,r=abc", "malformed-request"),
        ("SCRAM-SHA-256-PLUS", "y,,n=user,r=abc", "malformed-request"),
        ("SCRAM-SHA-256", "p=tls-exporter,,n=user,r=abc", "malformed-request"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=user,r=abc", "not-authorized"),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=user,r=abc", "not-authorized"),
    ] {
        let error = start(&context(name), Some(first.as_bytes())).expect_err(first);
        assert_eq!(error.condition(), expected, "{name} {first}");
    }
}

#[test]
fn nobody_acts_for_another_account() {
    for (name, first) in [
        ("SCRAM-SHA-256", "n,a=other@example.org,n=user,r=abc"),
        ("SCRAM-SHA-256", "n,a=user,n=user,r=abc"),
        ("PLAIN", "other@example.org\0user\0pencil"),
        ("EXTERNAL", "other@example.org"),
    ] {
        let error = start(&context(name), Some(first.as_bytes())).expect_err(first);
        assert_eq!(error.condition(), "invalid-authzid", "{name}");
    }
    for (name, first) in [
        ("SCRAM-SHA-256", "n,a=user@example.org,n=user,r=abc"),
        ("PLAIN", "user@example.org\0user\0pencil"),
        ("EXTERNAL", "user@example.org"),
    ] {
        assert!(start(&context(name), Some(first.as_bytes())).is_ok(), "{name}");
    }
}

#[test]
fn malformed_responses_end_the_exchange() {
    for (name, first) in [
        ("PLAIN", &b""[..]),
        ("PLAIN", b"user\0pencil"),
        ("PLAIN", b"\0\0pencil"),
        ("PLAIN", b"\0user\0"),
        ("PLAIN", b"\0user\0pen\0cil"),
        ("PLAIN", b"\0user\0\xff"),
        ("SCRAM-SHA-1", b""),
        ("SCRAM-SHA-1", b"n,,n=user,r="),
    ] {
        let error = start(&context(name), Some(first)).expect_err(name);
        assert_eq!(error.condition(), "malformed-request", "{name} {first:?}");
    }
    let long = vec![b'a'; 100_000];
    assert_eq!(start(&context("PLAIN"), Some(&long)).err(), Some(SaslError::TooLong { octets: 100_000 }));
}

#[test]
fn a_changed_nonce_is_refused() {
    let context = context("SCRAM-SHA-256");
    let (mut server, _) = start(&context, Some(b"n,,n=user,r=abc")).expect("a good start");
    server.on_account(Some(&account())).expect("a challenge");
    assert_eq!(server.on_response(b"c=biws,r=abc,p=AAAA"), Err(SaslError::Nonce));
    assert_eq!(server.on_response(b"c=biws,r=abc,p=AAAA"), Err(SaslError::Unexpected));
}

#[test]
fn only_offered_mechanisms_start() {
    let context = context("SCRAM-SHA-256");
    for name in ["PLAIN", "X-OAUTH2", ""] {
        let outcome = Server::start(name, None, context.clone(), nonce("s"));
        assert_eq!(outcome.err(), Some(SaslError::Mechanism));
    }
}

#[test]
fn external_needs_a_certificate() {
    let context = Context { certified: None, ..context("EXTERNAL") };
    assert_eq!(start(&context, Some(b"")).err(), Some(SaslError::NotAuthorized));
}

/// One login of `user`: the server knows `offer`, the client sees `seen`.
fn run(
    offer: &Context,
    seen: &Context,
    channel: &Channel,
    credentials: Credentials,
    initial: bool,
) -> Result<(Accepted, Done), SaslError> {
    exchange("user", offer, seen, channel, credentials, initial)
}

fn run_as(username: &str, context: &Context) -> Result<(Accepted, Done), SaslError> {
    exchange(username, context, context, &context.channel, password("pencil"), true)
}

fn exchange(
    username: &str,
    offer: &Context,
    seen: &Context,
    channel: &Channel,
    credentials: Credentials,
    with_initial: bool,
) -> Result<(Accepted, Done), SaslError> {
    let policy = Policy {
        credentials: &credentials,
        channel,
        binding: Preference::Prefer,
        sasl2: false,
        used_scram: false,
        used_plus: false,
        allow_plain: true,
    };
    let choice = choose(&seen.offered, seen.bindings.as_deref(), &policy).expect("a mechanism");
    assert!(choice.flag != Flag::Unoffered || seen.bindings.is_none());
    let name = choice.mechanism.name();
    let login =
        Login { username: username.to_owned(), authzid: None, credentials: credentials.clone(), keys: None };
    let (mut client, first) = Client::start(choice, login, channel, Iterations::default(), nonce("c"))?;
    let first = first.expect("every mechanism here starts with the client");
    let (mut server, mut step) = if with_initial {
        Server::start(name, Some(&first), offer.clone(), nonce("s"))?
    } else {
        let (mut server, step) = Server::start(name, None, offer.clone(), nonce("s"))?;
        assert_eq!(step, ServerStep::Challenge(Vec::new()));
        let step = server.on_response(&first)?;
        (server, step)
    };
    loop {
        step = match step {
            ServerStep::Accept(accepted) => {
                let done = client.on_success(accepted.additional.as_deref())?;
                return Ok((accepted, done));
            }
            ServerStep::NeedAccount { username } => {
                server.on_account(Some(&account()).filter(|_| username == "user"))?
            }
            ServerStep::Challenge(challenge) => {
                let response = match client.on_challenge(&challenge)? {
                    Step::Derive(request) => client.on_keys(request.derive())?,
                    Step::Respond(response) => response,
                };
                server.on_response(&response)?
            }
        };
    }
}

fn start(context: &Context, initial: Option<&[u8]>) -> Result<(Server, ServerStep), SaslError> {
    Server::start(&context.offered[0], initial, context.clone(), nonce("s"))
}

/// A server that offers one mechanism over TLS 1.3.
fn context(mechanism: &str) -> Context {
    let channel =
        Channel { exporter: Some(vec![1; 32]), end_point: None, verified: true, version: Some(0x0304) };
    Context {
        domain: "example.org".to_owned(),
        channel,
        offered: vec![mechanism.to_owned()],
        bindings: mechanism.ends_with("-PLUS").then(|| vec!["tls-exporter".to_owned()]),
        certified: Some("user".to_owned()),
        secret: [5; 32],
        iterations: 4096,
    }
}

fn account() -> AccountKeys {
    let secret = Password::new("pencil".to_owned());
    AccountKeys::derive(&secret, b"NaCl", 4096, &Hash::ALL).expect("a plain password")
}

fn password(text: &str) -> Credentials {
    Credentials::Password(Password::new(text.to_owned()))
}

fn nonce(text: &str) -> Nonce {
    Nonce::from_text(text).expect("letters")
}
