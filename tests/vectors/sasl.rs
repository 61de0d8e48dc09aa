//! SASL exchanges and the functions below them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rhapsode::secret::Password;
use rhapsode::stream::sasl::channel::{Binding, Channel, Flag};
use rhapsode::stream::sasl::choose::{Choice, Offer};
use rhapsode::stream::sasl::client::{Bound, Client, Iterations, Login, Step, Terms};
use rhapsode::stream::sasl::error::SaslError;
use rhapsode::stream::sasl::hash::Hash;
use rhapsode::stream::sasl::message::Nonce;
use rhapsode::stream::sasl::token::{TOKENS, Token};
use rhapsode::stream::sasl::{Credentials, Mechanism};
use serde_json::Value;

use crate::folder::{cases, names, text};

#[test]
fn scram_exchanges_go_as_they_should() {
    for case in cases("scram.json").into_iter().flatten() {
        let id = text(&case, "id");
        // Names and passwords that skip SASLprep are against RFC 5802 §2.2: nothing here sends them.
        let plain = text(&case, "user").is_ascii() && text(&case, "pass").is_ascii();
        if case["saslprep"] == Value::Bool(false) && !plain {
            continue;
        }
        let outcome = exchange(&case);
        let accept = case["accept"].as_bool().expect("a verdict");
        assert_eq!(outcome.is_ok(), accept, "{id}: {outcome:?}");
    }
}

/// Runs the client's side; every message it sends is compared.
fn exchange(case: &Value) -> Result<(), SaslError> {
    let id = text(case, "id");
    let mechanism = Mechanism::parse(text(case, "mechanism")).expect("a mechanism of the table");
    let (flag, _) = text(case, "gs2").split_once(',').expect("a GS2 header");
    let binding = Bound { flag: flag.to_owned(), data: hex(text(case, "cb_hex")) };
    let terms = Terms {
        offer: Offer::new(&[], None),
        tls_version: None,
        // Vectors may use counts below the floor that RFC 7677 asks for.
        iterations: Iterations { floor: 1, ..Iterations::default() },
    };
    let nonce = Nonce::from_text(text(case, "client_nonce")).expect("a nonce");
    let (mut client, first) = Client::start_scram(mechanism, binding, login(case), terms, nonce)?;
    assert_eq!(String::from_utf8_lossy(&first), text(case, "client_first"), "{id}: client-first");
    let response = match client.on_challenge(text(case, "server_first").as_bytes())? {
        Step::Derive(request) => client.on_keys(request.derive())?,
        Step::Respond(response) => response,
    };
    assert_eq!(
        Some(&*String::from_utf8_lossy(&response)),
        case["client_final"].as_str(),
        "{id}: client-final"
    );
    client.on_success(case["server_final"].as_str().map(str::as_bytes)).map(drop)
}

#[test]
fn plain_responses_are_those_of_others() {
    for case in cases("sasl_other.json").into_iter().flatten() {
        let id = text(&case, "id");
        let name = text(&case, "mechanism");
        if let Some((_, tie)) = TOKENS.iter().find(|(known, _)| *known == name) {
            assert_eq!(STANDARD.encode(by_token(&case, *tie)), text(&case, "initial_response_b64"), "{id}");
            continue;
        }
        let mechanism = Mechanism::parse(name).unwrap_or_else(|| panic!("{id}: {name} is not spoken"));
        let choice = Choice { mechanism, flag: Flag::Unsupported, offer: Offer::new(&[], None) };
        let nonce = Nonce::from_text("unused").expect("letters");
        let started = Client::start(choice, login(&case), &Channel::default(), Iterations::default(), nonce);
        let (_, initial) = started.unwrap_or_else(|error| panic!("{id}: {error}"));
        let initial = initial.expect("PLAIN starts with the client");
        assert_eq!(STANDARD.encode(initial), text(&case, "initial_response_b64"), "{id}");
    }
}

/// The first message of a login by token; the token is the password of the case.
fn by_token(case: &Value, tie: Option<Binding>) -> Vec<u8> {
    let data = case["cb_hex"].as_str().map(hex);
    let channel = Channel { exporter: data.clone(), end_point: data, verified: true, version: None };
    let token = Token { tie, secret: Password::new(text(case, "pass").to_owned()), expiry: None };
    Client::start_token(&token, text(case, "user"), &channel).expect("a channel with the data").1
}

#[test]
fn pbkdf2_derives_what_others_derive() {
    for case in cases("pbkdf2.json").into_iter().flatten() {
        let iterations = case["iterations"].as_u64().and_then(|count| u32::try_from(count).ok());
        let key = hash(&case).salted(
            text(&case, "password").as_bytes(),
            text(&case, "salt").as_bytes(),
            iterations.expect("a count"),
        );
        assert_eq!(*key, hex(text(&case, "dk_hex")), "{}", case["id"]);
    }
}

#[test]
fn downgrades_are_noticed() {
    for case in cases("ssdp.json").into_iter().flatten() {
        let id = text(&case, "id");
        let expected = case["ok"].as_bool().expect("a verdict");
        let (server_first, terms, hash) =
            if case["server_first"].is_string() { by_version(&case) } else { by_offer(&case) };
        let (own, _) = server_first.trim_start_matches("r=").split_at(8);
        let nonce = Nonce::from_text(own).expect("a nonce");
        let binding = Bound { flag: "n".to_owned(), data: Vec::new() };
        let mechanism = Mechanism::Scram { hash, plus: false };
        let credentials = Credentials::Password(Password::new("pencil".to_owned()));
        let login = Login { username: "user".to_owned(), authzid: None, credentials, keys: None };
        let (mut client, _) =
            Client::start_scram(mechanism, binding, login, terms, nonce).expect("a plain password");
        match client.on_challenge(server_first.as_bytes()) {
            Ok(_) => assert!(expected, "{id} passed"),
            Err(error) => {
                assert!(!expected, "{id}: {error}");
                assert!(matches!(error, SaslError::Downgrade | SaslError::TlsVersion), "{id}: {error}");
            }
        }
    }
}

/// A case of XEP-0474: an offer as the client saw it, and the hash of it as the server made it.
fn by_offer(case: &Value) -> (String, Terms, Hash) {
    let bindings = case["channel_bindings"].is_array().then(|| names(case, "channel_bindings"));
    let offer = Offer::new(&names(case, "mechanisms"), bindings.as_deref());
    let terms = Terms { offer, tls_version: None, iterations: Iterations::default() };
    let server_first = format!("r=abcdefghserver,s=QSXCR+Q6sek8bf92,i=4096,h={}", text(case, "h"));
    (server_first, terms, hash(case))
}

/// A case of XEP-0515: the offer is that of the example in XEP-0474.
fn by_version(case: &Value) -> (String, Terms, Hash) {
    let owned = |names: [&str; 2]| names.map(str::to_owned);
    let offer = Offer::new(
        &owned(["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]),
        Some(&owned(["tls-server-end-point", "tls-exporter"])),
    );
    let tls_version = match text(case, "tls") {
        "1.3" => Some(0x0304),
        "1.2" => Some(0x0303),
        other => panic!("unknown TLS version {other}"),
    };
    let terms = Terms { offer, tls_version, iterations: Iterations::default() };
    (text(case, "server_first").to_owned(), terms, Hash::Sha1)
}

fn login(case: &Value) -> Login {
    Login {
        username: text(case, "user").to_owned(),
        authzid: case["authzid"].as_str().map(str::to_owned),
        credentials: Credentials::Password(Password::new(text(case, "pass").to_owned())),
        keys: None,
    }
}

fn hash(case: &Value) -> Hash {
    let name = text(case, "hash");
    Hash::ALL.into_iter().find(|hash| hash.name() == name).unwrap_or_else(|| panic!("unknown hash {name}"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal digits")
        })
        .collect()
}
