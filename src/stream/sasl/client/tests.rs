//! The client against scripted servers, honest and other ones.

use super::*;
use crate::stream::sasl::channel::Binding;

#[test]
fn agrees_with_the_example_of_rfc_5802_section_5() {
    check(
        Hash::Sha1,
        "fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    );
}

#[test]
fn agrees_with_the_example_of_rfc_7677_section_3() {
    check(Hash::Sha256, NONCE, SERVER_FIRST, CLIENT_FINAL, SERVER_FINAL);
}

#[test]
fn accepts_the_signature_in_a_last_challenge() {
    let mut client = proved();
    let step = client.on_challenge(SERVER_FINAL.as_bytes());
    assert!(matches!(step, Ok(Step::Respond(response)) if response.is_empty()));
    assert!(client.on_success(None).is_ok());

    let mut client = proved();
    client.on_challenge(SERVER_FINAL.as_bytes()).expect("the right signature");
    assert!(matches!(client.on_challenge(b""), Err(SaslError::Unexpected)), "a third challenge");
}

#[test]
fn cached_keys_that_fit_save_the_derivation() {
    let keys = proved().on_success(Some(SERVER_FINAL.as_bytes())).expect("the right signature").keys;
    assert!(keys.is_some());
    let mut client = started(keys.clone());
    assert!(!client.used_cache());
    let step = client.on_challenge(SERVER_FIRST.as_bytes());
    assert!(matches!(step, Ok(Step::Respond(response)) if response == CLIENT_FINAL.as_bytes()));
    assert!(client.used_cache());

    let mut client = started(keys);
    let other_salt = SERVER_FIRST.replace("W22Z", "W33Z");
    assert!(matches!(client.on_challenge(other_salt.as_bytes()), Ok(Step::Derive(_))));
    assert!(!client.used_cache());
}

#[test]
fn s09_refuses_hostile_iteration_counts_before_any_work() {
    for count in ["0", "1", "999", "4095", "1000001", "2147483647", "9223372036854775808", "+4096", "0x1000"]
    {
        let first = SERVER_FIRST.replace("i=4096", &format!("i={count}"));
        let error = refused(&first);
        assert!(matches!(error, SaslError::Iterations { .. }), "{count}: {error:?}");
    }
}

#[test]
fn s09_refuses_a_nonce_that_does_not_extend_ours() {
    for nonce in ["rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkq", "XrOprNGfwEbeRWgbNEkqO", "different"] {
        assert_eq!(refused(&format!("r={nonce},s=c2FsdA==,i=4096")), SaslError::Nonce);
    }
}

#[test]
fn s09_every_scram_mechanism_sends_its_nonce() {
    let channel = Channel { exporter: Some(vec![7; 32]), ..Channel::default() };
    for hash in Hash::ALL {
        for flag in [Flag::Unsupported, Flag::Unoffered, Flag::Bound(Binding::Exporter)] {
            let nonce = Nonce::from_bytes(&[9; 32]);
            let plus = matches!(flag, Flag::Bound(_));
            let choice = Choice { mechanism: Mechanism::Scram { hash, plus }, flag, offer: offer() };
            let login = login(None);
            let start = Client::start(choice, login, &channel, Iterations::default(), nonce.clone());
            let first = String::from_utf8(start.expect("a password").1.expect("SCRAM starts")).expect("text");
            assert_eq!(first, format!("{},,n=user,r={}", flag.text(), nonce.as_str()));
            assert!(nonce.as_str().len() >= 24);
        }
    }
}

#[test]
fn s10_success_without_the_signature_is_no_login() {
    assert_eq!(proved().on_success(None).err(), Some(SaslError::SignatureMissing));
}

#[test]
fn s10_a_wrong_signature_is_no_login() {
    let wrong = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(proved().on_success(Some(wrong.as_bytes())).err(), Some(SaslError::Signature));
    assert_eq!(proved().on_challenge(wrong.as_bytes()).err(), Some(SaslError::Signature));
    for short in ["v=", "v=AAAA", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="] {
        assert_eq!(proved().on_success(Some(short.as_bytes())).err(), Some(SaslError::Signature));
    }
    for malformed in ["", "x=AAAA", "v", "V=AAAA"] {
        let error = proved().on_success(Some(malformed.as_bytes())).err();
        assert!(matches!(error, Some(SaslError::Malformed { .. })), "{malformed:?}: {error:?}");
    }
}

#[test]
fn s10_success_before_the_proof_is_no_login() {
    let missing = Some(SaslError::SignatureMissing);
    assert_eq!(started(None).on_success(Some(SERVER_FINAL.as_bytes())).err(), missing);
    assert_eq!(started(None).on_success(None).err(), missing);
    let mut client = started(None);
    client.on_challenge(SERVER_FIRST.as_bytes()).expect("a good challenge");
    assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), missing);
}

#[test]
fn s10_nothing_follows_an_error() {
    let mut client = started(None);
    client.on_challenge(b"nonsense").expect_err("no SCRAM message");
    assert_eq!(client.on_challenge(SERVER_FIRST.as_bytes()).err(), Some(SaslError::Unexpected));
    assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), Some(SaslError::Unexpected));

    let mut client = proved();
    client.on_challenge(b"v=AAAA").expect_err("a wrong signature");
    assert_eq!(client.on_success(Some(SERVER_FINAL.as_bytes())).err(), Some(SaslError::Unexpected));
}

#[test]
fn s11_a_wrong_hash_of_the_offer_ends_the_login() {
    let right = message::encode(&Hash::Sha256.digest(offer().as_bytes()));
    let mut client = started(None);
    let step = client.on_challenge(format!("{SERVER_FIRST},h={right}").as_bytes());
    assert!(matches!(step, Ok(Step::Derive(_))));
    let wrong = message::encode(&Hash::Sha256.digest(b"PLAIN\x1eSCRAM-SHA-256\x1eSCRAM-SHA-512"));
    assert_eq!(refused(&format!("{SERVER_FIRST},h={wrong}")), SaslError::Downgrade);
    assert_eq!(refused(&format!("{SERVER_FIRST},h=AAAA")), SaslError::Downgrade);
}

#[test]
fn s11_another_tls_version_at_the_server_ends_the_login() {
    assert_eq!(refused(&format!("{SERVER_FIRST},t=0303")), SaslError::TlsVersion);
    let mut client = started(None);
    assert!(client.on_challenge(format!("{SERVER_FIRST},t=0304").as_bytes()).is_ok());
}

#[test]
fn optional_attributes_enter_the_signatures() {
    let mut client = started(None);
    let response = answer(&mut client, &format!("{SERVER_FIRST},x=unknown"));
    assert!(response.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
    assert_ne!(response, CLIENT_FINAL);
}

#[test]
fn messages_that_are_too_long_or_no_text_are_refused() {
    let long = format!("{SERVER_FIRST},x={}", "y".repeat(LONGEST));
    assert_eq!(refused(&long), SaslError::TooLong { octets: long.len() });
    let error = started(None).on_challenge(b"r=\xff").err();
    assert!(matches!(error, Some(SaslError::Malformed { .. })));
}

#[test]
fn keys_for_another_request_are_refused() {
    let mut client = started(None);
    let Ok(Step::Derive(mut request)) = client.on_challenge(SERVER_FIRST.as_bytes()) else {
        panic!("no derivation asked for");
    };
    request.iterations = 1;
    assert_eq!(client.on_keys(request.derive()), Err(SaslError::Keys));
}

#[test]
fn plain_external_and_anonymous_say_everything_at_once() {
    let external = Login { credentials: Credentials::External, ..login(None) };
    let anonymous = Login { credentials: Credentials::Anonymous, ..login(None) };
    let acting = Login { authzid: Some("user@example.org".to_owned()), ..external.clone() };
    for (mechanism, login, expected) in [
        (Mechanism::Plain, login(None), &b"\0user\0pencil"[..]),
        (Mechanism::External, external, b""),
        (Mechanism::External, acting, b"user@example.org"),
        (Mechanism::Anonymous, anonymous, b""),
    ] {
        let (mut client, initial) = start(mechanism, login).expect("fitting credentials");
        assert_eq!(initial.as_deref(), Some(expected));
        assert_eq!(client.on_challenge(b"").err(), Some(SaslError::Unexpected));
    }
    let (client, _) = start(Mechanism::Plain, login(None)).expect("fitting credentials");
    assert!(client.on_success(None).expect("nothing to check").keys.is_none());
}

#[test]
fn passwords_that_no_server_takes_are_our_fault() {
    for text in ["", "a\0b", "bell\u{7}"] {
        let credentials = Credentials::Password(Password::new(text.to_owned()));
        for mechanism in [Mechanism::Plain, SCRAM] {
            let login = Login { credentials: credentials.clone(), ..login(None) };
            assert_eq!(start(mechanism, login).err(), Some(SaslError::Password));
        }
    }
    assert_eq!(SaslError::Password.blame(), super::super::error::Blame::Ours);
}

#[test]
fn credentials_that_do_not_fit_the_mechanism_are_refused() {
    let login = Login { credentials: Credentials::External, ..login(None) };
    for mechanism in [Mechanism::Plain, Mechanism::Anonymous, SCRAM] {
        assert_eq!(start(mechanism, login.clone()).err(), Some(SaslError::Mechanism));
    }
}

/// Runs an exchange without channel binding and compares every message.
#[track_caller]
fn check(hash: Hash, nonce: &str, server_first: &str, client_final: &str, server_final: &str) {
    let mechanism = Mechanism::Scram { hash, plus: false };
    let choice = Choice { mechanism, flag: Flag::Unsupported, offer: offer() };
    let nonce = Nonce::from_text(nonce).expect("a nonce");
    let started =
        Client::start(choice, login(None), &Channel::default(), Iterations::default(), nonce.clone());
    let (mut client, initial) = started.expect("a password");
    assert_eq!(initial, Some(format!("n,,n=user,r={}", nonce.as_str()).into_bytes()));
    assert_eq!(answer(&mut client, server_first), client_final);
    let done = client.on_success(Some(server_final.as_bytes())).expect("the right signature");
    assert_eq!(done.mechanism, mechanism);
}

/// The error with which a fresh client meets a first message.
#[track_caller]
fn refused(server_first: &str) -> SaslError {
    started(None).on_challenge(server_first.as_bytes()).expect_err("refused")
}

#[track_caller]
fn answer(client: &mut Client, server_first: &str) -> String {
    let response = match client.on_challenge(server_first.as_bytes()).expect("a good challenge") {
        Step::Derive(request) => client.on_keys(request.derive()).expect("keys of this request"),
        Step::Respond(response) => response,
    };
    String::from_utf8(response).expect("SCRAM is text")
}

/// A client of RFC 7677 that has sent its proof.
fn proved() -> Client {
    let mut client = started(None);
    assert_eq!(answer(&mut client, SERVER_FIRST), CLIENT_FINAL);
    client
}

fn started(keys: Option<ScramKeys>) -> Client {
    start(SCRAM, login(keys)).expect("a password").0
}

fn start(mechanism: Mechanism, login: Login) -> Result<(Client, Option<Vec<u8>>), SaslError> {
    let choice = Choice { mechanism, flag: Flag::Unsupported, offer: offer() };
    let channel = Channel { version: Some(0x0304), ..Channel::default() };
    let nonce = Nonce::from_text(NONCE).expect("a nonce");
    Client::start(choice, login, &channel, Iterations::default(), nonce)
}

fn login(keys: Option<ScramKeys>) -> Login {
    let credentials = Credentials::Password(Password::new("pencil".to_owned()));
    Login { username: "user".to_owned(), authzid: None, credentials, keys }
}

fn offer() -> Offer {
    Offer::new(&["SCRAM-SHA-256".to_owned(), "PLAIN".to_owned()], None)
}

const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
