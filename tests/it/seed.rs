//! The seed row by row: which test shows that what it promised holds here, and which issue owns the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use Proof::{Later, Test, Transcript};

/// What shows that a row holds.
enum Proof {
    /// A part that a later issue owns, by its subject.
    Later(&'static str),
    /// A test function in a file.
    Test(&'static str, &'static str),
    /// A conversation that `transcripts.rs` plays.
    Transcript(&'static str),
}

#[test]
fn every_row_of_the_seed_has_a_proof_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for (row, proofs) in ROWS {
        for proof in *proofs {
            match proof {
                Later(subject) => assert!(!subject.is_empty(), "{row} waits for an issue with a subject"),
                Test(file, name) => {
                    let source = fs::read_to_string(root.join(file)).unwrap_or_default();
                    if !source.contains(&format!("fn {name}(")) {
                        missing.push(format!("{row}: {file}::{name}"));
                    }
                }
                Transcript(name) => {
                    let file = format!("tests/transcripts/{name}.xmpp");
                    if !root.join(&file).is_file() {
                        missing.push(format!("{row}: {file}"));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "proofs that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn the_table_has_every_row_and_no_row_waits_as_a_whole() {
    let promised =
        (1..=49).map(|number| format!("P{number}")).chain((1..=13).map(|number| format!("N{number}")));
    let rows: Vec<&str> = ROWS.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, promised.collect::<Vec<_>>());
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len());
    for (row, proofs) in ROWS {
        assert!(proofs.iter().any(|proof| !matches!(proof, Later(_))), "{row} is not shown by anything");
    }
}

/// Rows of the seed and what shows them.
const ROWS: &[(&str, &[Proof])] = &[
    ("P1", &[Test("tests/it/steps.rs", "p1_the_six_steps_happen_in_their_order")]),
    (
        "P2",
        &[
            Test("tests/it/pair.rs", "everything_arrives_once_without_a_cut"),
            Test("tests/it/server.rs", "a_client_logs_in_with_channel_binding_and_talks_to_another"),
        ],
    ),
    (
        "P3",
        &[
            Test("src/session/roster.rs", "p3_all_of_an_item_is_read"),
            Test("src/session/roster.rs", "p3_an_empty_result_leaves_the_roster_as_it_is"),
            Test("src/session/roster.rs", "p3_the_roster_survives_the_store"),
            Test("src/store/tests.rs", "keeps_values_timers_outbox_roster_keys_and_meta_over_a_restart"),
        ],
    ),
    ("P4", &[Test("tests/it/transcripts.rs", "every_conversation_is_the_same_at_every_split_point")]),
    (
        "P5",
        &[
            Test("tests/it/cli.rs", "no_password_and_no_body_is_ever_logged"),
            Test("src/stream/sasl/keys.rs", "debug_shows_no_key"),
            Test("src/config/secrets.rs", "no_message_holds_the_secret"),
        ],
    ),
    (
        "P6",
        &[
            Test("src/xml/tests/round_trip.rs", "any_element_survives_alone"),
            Test("src/xml/tests/round_trip.rs", "any_text_is_written_or_refused_whole"),
            Test("src/xml/tests/round_trip.rs", "what_cannot_be_xml_is_refused_and_nothing_stays"),
        ],
    ),
    ("P7", &[Test("src/script/tests/examples.rs", "every_example_runs_and_uses_what_it_shows")]),
    (
        "P8",
        &[
            Test("src/xml/tests/well_formed.rs", "namespaces_are_resolved_and_left_again"),
            Test("src/xml/tests/well_formed.rs", "the_header_lends_its_namespaces_to_every_frame"),
        ],
    ),
    (
        "P9",
        &[
            Test("src/xml/tests/well_formed.rs", "sections_references_and_text_join"),
            Test("src/xml/tests/round_trip.rs", "texts_stay_joined_when_a_child_between_them_goes"),
        ],
    ),
    (
        "P10",
        &[
            Transcript("hostile-nested"),
            Transcript("hostile-success-online"),
            Transcript("hostile-proceed-online"),
            Transcript("hostile-features-online"),
        ],
    ),
    ("P11", &[Transcript("login")]),
    (
        "P12",
        &[
            Test("src/xml/tests/framing.rs", "every_split_gives_the_same_frames"),
            Test("src/xml/tests/framing.rs", "the_limit_holds_before_the_end_arrives"),
            Test("src/xml/tests/framing.rs", "depth_and_attributes_are_counted"),
            Test("src/xml/tests/well_formed.rs", "comments_instructions_and_document_types"),
        ],
    ),
    (
        "P13",
        &[
            Transcript("window"),
            Test("src/net/tests/mod.rs", "a_peer_that_does_not_read_fills_the_queue_and_no_more"),
            Test("tests/it/steps.rs", "n10_what_is_written_and_what_has_arrived_are_told_apart"),
        ],
    ),
    (
        "P14",
        &[
            Transcript("refuses-injection"),
            Transcript("server-refuses-injection"),
            Test("src/net/tests/mod.rs", "data_before_the_handshake_is_a_failure"),
        ],
    ),
    ("P15", &[Transcript("login"), Test("src/xml/tests/round_trip.rs", "the_header_is_one_open_tag")]),
    (
        "P16",
        &[
            Test("src/jid/mod.rs", "splits_at_the_first_slash_then_at_the_first_at"),
            Test("src/jid/mod.rs", "spellings_of_one_address_are_equal"),
            Test("src/jid/mod.rs", "refuses_what_rfc_7622_forbids"),
            Test("src/jid/mod.rs", "bare_full_and_domain_share_their_parts"),
        ],
    ),
    (
        "P17",
        &[
            Transcript("login-plain"),
            Transcript("login-scram-plus"),
            Transcript("login-scram-sha-1"),
            Transcript("login-external"),
            Transcript("login-anonymous"),
            Transcript("refuses-plain-after-scram"),
            Transcript("login-failure-not-authorized"),
            Transcript("login-failure-temporary-auth-failure"),
            Test("tests/it/outage.rs", "a_wrong_password_is_tried_once_and_waits_for_the_operator"),
        ],
    ),
    (
        "P18",
        &[
            Test("src/session/tests/requests.rs", "p18_an_error_is_no_result"),
            Test("src/session/tests/requests.rs", "p18_every_unknown_request_is_answered_once"),
            Test("src/session/tests/requests.rs", "p18_ids_cannot_be_guessed"),
            Test("src/session/tests/requests.rs", "p18_iq_answers_are_matched_on_sender_and_id"),
            Test("src/session/tests/requests.rs", "p18_open_requests_are_bounded"),
            Test("src/session/tests/requests.rs", "p18_requests_end_at_their_deadline"),
            Test("src/session/tests/requests.rs", "p18_results_and_errors_are_never_answered"),
        ],
    ),
    ("P19", &[Test("src/stream/features.rs", "each_standing_has_its_own_steps"), Transcript("login")]),
    ("P20", &[Test("src/session/tests/requests.rs", "p18_ids_cannot_be_guessed")]),
    (
        "P21",
        &[
            Transcript("login-direct-tls"),
            Test(
                "src/net/tests/mod.rs",
                "starttls_secures_the_connection_and_both_sides_get_the_same_binding",
            ),
            Test("tests/it/server.rs", "direct_tls_is_offered_beside_starttls"),
        ],
    ),
    ("P22", &[Test("src/session/tests/messages.rs", "p22_a_message_is_built_and_sent_as_it_is_encoded")]),
    ("P23", &[Test("src/session/tests/subscriptions.rs", "p23_subscribe_and_approve")]),
    ("P24", &[Test("src/session/tests/subscriptions.rs", "p24_unsubscribe_ends_our_own_subscription")]),
    ("P25", &[Test("src/session/tests/subscriptions.rs", "p25_deny_and_revoke_are_unsubscribed")]),
    (
        "P26",
        &[
            Test("src/stanza/presence.rs", "p26_own_presence_says_nothing_in_empty_elements"),
            Test("src/session/tests/messages.rs", "p26_presence_is_sent_to_all_to_one_and_taken_back"),
        ],
    ),
    (
        "P27",
        &[
            Transcript("close-waits-for-an-ack"),
            Transcript("close-without-an-answer"),
            Transcript("closed-by-peer"),
        ],
    ),
    (
        "P28",
        &[
            Test("src/session/tests/messages.rs", "p28_a_link_is_a_file"),
            Test("src/session/tests/subscriptions.rs", "p28_all_four_verbs_reach_the_scripts"),
            Test("src/script/tests/examples.rs", "every_example_runs_and_uses_what_it_shows"),
            Later("file transfer: `transfer_request` of Jingle"),
        ],
    ),
    (
        "P29",
        &[
            Test("src/session/roster.rs", "p3_all_of_an_item_is_read"),
            Test("src/session/presence.rs", "p47_resources_come_and_go_one_by_one"),
            Test("src/session/tests/roster.rs", "p32_a_pending_request_shows_as_ask"),
        ],
    ),
    (
        "P30",
        &[
            Test("src/session/tests/messages.rs", "p30_a_message_has_all_its_parts"),
            Test("src/stanza/message.rs", "p30_a_message_survives_being_written_and_read"),
            Test("src/session/tests/rooms/talk.rs", "the_speaker_is_who_the_room_says_in_presence"),
        ],
    ),
    (
        "P31",
        &[
            Test("src/session/roster.rs", "p3_the_roster_survives_the_store"),
            Test("src/session/roster.rs", "p3_all_of_an_item_is_read"),
        ],
    ),
    (
        "P32",
        &[
            Test("src/session/tests/roster.rs", "p32_a_pending_request_shows_as_ask"),
            Test("src/session/tests/roster.rs", "p32_a_push_is_answered_with_an_empty_result"),
            Test(
                "src/session/tests/roster.rs",
                "p32_a_roster_that_does_not_exist_is_an_error_and_changes_nothing",
            ),
            Test("src/session/tests/roster.rs", "p32_an_empty_result_means_unchanged"),
            Test("src/session/tests/roster.rs", "p32_get_and_result_with_a_version"),
            Test("src/session/tests/roster.rs", "p32_many_pushes_are_stored_once_each_input"),
            Test("src/session/tests/roster.rs", "p32_set_and_remove"),
            Test("src/session/tests/security.rs", "s2_a_forged_roster_push_changes_nothing"),
        ],
    ),
    (
        "P33",
        &[
            Transcript("header-without-id"),
            Transcript("header-version"),
            Transcript("header-of-a-server-stream"),
            Test("src/stream/header.rs", "each_rule_of_the_header_is_checked"),
        ],
    ),
    ("P34", &[Transcript("bind-missing"), Transcript("refuses-stripped-starttls")]),
    (
        "P35",
        &[
            Test("src/xep/disco.rs", "p35_features_without_a_name_are_left_out"),
            Test("src/xep/disco.rs", "p35_what_is_written_is_read"),
        ],
    ),
    ("P36", &[Transcript("refuses-stripped-starttls"), Transcript("login")]),
    (
        "P37",
        &[
            Test("src/stream/sasl/choose.rs", "prefers_the_better_mechanism_in_any_order_of_arrival"),
            Test("src/stream/sasl/choose.rs", "binds_by_the_best_type_that_both_ends_have"),
            Transcript("sasl2-login"),
            Transcript("sasl2-plus-without-a-list"),
            Transcript("bind2-login"),
            Transcript("fast-login"),
            Test("src/stream/bind2.rs", "only_what_is_offered_in_the_right_place_counts"),
        ],
    ),
    (
        "P38",
        &[
            Transcript("server-login"),
            Transcript("server-refuses-wrong-password"),
            Test("src/stream/sasl/server/tests.rs", "every_mechanism_lets_its_own_client_in"),
        ],
    ),
    (
        "P39",
        &[
            Transcript("refuses-wrong-signature"),
            Test("src/stream/auth.rs", "an_empty_response_differs_from_none"),
            Test("src/stream/sasl/client/tests.rs", "plain_external_and_anonymous_say_everything_at_once"),
        ],
    ),
    (
        "P40",
        &[
            Transcript("refuses-success-before-proof"),
            Transcript("refuses-success-without-signature"),
            Transcript("hostile-success-online"),
        ],
    ),
    (
        "P41",
        &[
            Transcript("bind-conflict"),
            Transcript("server-bind-conflict"),
            Test("tests/it/outage.rs", "stream_errors_lead_to_the_pauses_of_the_table"),
        ],
    ),
    ("P42", &[Transcript("login-scram-sha-1")]),
    (
        "P43",
        &[
            Test("src/stanza/iq.rs", "p43_a_request_has_exactly_one_child"),
            Test("src/stanza/iq.rs", "p43_an_unknown_type_is_a_bad_request"),
            Test("src/session/tests/requests.rs", "p18_every_unknown_request_is_answered_once"),
        ],
    ),
    (
        "P44",
        &[
            Test("src/xep/nickname.rs", "p44_a_nickname_is_one_bounded_line"),
            Test("src/session/tests/messages.rs", "p44_a_sender_without_a_roster_name_names_himself"),
            Test("src/session/tests/messages.rs", "p44_kinds_are_told_apart"),
            Test("src/stanza/message.rs", "p44_of_several_bodies_one_is_chosen_by_language"),
            Test("src/stanza/message.rs", "p44_the_five_types_are_told_apart"),
            Test("src/stanza/mod.rs", "p44_the_nearest_language_is_chosen"),
            Test("src/session/tests/messages.rs", "p44_the_text_is_in_the_account_s_language"),
        ],
    ),
    ("P45", &[Test("tests/it/steps.rs", "p45_formatting_in_html_changes_nothing_about_the_text")]),
    ("P46", &[Test("src/session/tests/messages.rs", "p46_chat_states_come_and_go")]),
    (
        "P47",
        &[
            Test("src/session/tests/messages.rs", "p47_presence_is_told_with_all_it_says"),
            Test("src/stanza/presence.rs", "p47_presence_is_typed"),
            Test("src/session/presence.rs", "p47_resources_come_and_go_one_by_one"),
        ],
    ),
    (
        "P48",
        &[
            Transcript("server-registration"),
            Test(
                "src/server/domain_tests.rs",
                "accounts_are_registered_once_and_removed_with_their_sessions",
            ),
            Test("tests/it/server.rs", "a_changed_password_counts_from_the_next_login_on"),
            Later("messaging: an account of ours registers or changes its password"),
        ],
    ),
    (
        "P49",
        &[
            Transcript("stream-error-conflict"),
            Transcript("stream-error-policy-violation"),
            Transcript("stream-error-system-shutdown"),
            Transcript("see-other-host"),
            Test("src/stream/fault.rs", "every_stream_error_has_its_consequence"),
            Test("tests/it/outage.rs", "stream_errors_lead_to_the_pauses_of_the_table"),
        ],
    ),
    (
        "N1",
        &[
            Test("src/config/resolve/tests.rs", "the_smallest_file_is_one_line"),
            Test("tests/it/outage.rs", "a_server_that_is_not_there_is_tried_again_until_it_is"),
            Test("src/net/resolve.rs", "dns_answers_become_services_and_failures_are_told_from_absence"),
        ],
    ),
    (
        "N2",
        &[
            Test("tests/it/lifecycle.rs", "sigterm_lets_the_turn_under_way_end_and_leaves_the_session"),
            Test("tests/it/reload.rs", "bots_are_added_and_removed_while_the_others_stay"),
        ],
    ),
    (
        "N3",
        &[
            Test("src/session/tests/login.rs", "n3_the_first_presence_is_the_configured_one"),
            Test("src/stanza/presence.rs", "p26_own_presence_says_nothing_in_empty_elements"),
        ],
    ),
    (
        "N4",
        &[Test("src/session/tests/login.rs", "n4_roster_discovery_and_capabilities_are_really_asked_for")],
    ),
    (
        "N5",
        &[
            Test("tests/it/steps.rs", "p1_the_six_steps_happen_in_their_order"),
            Test("src/script/tests/examples.rs", "every_example_runs_and_uses_what_it_shows"),
        ],
    ),
    ("N6", &[Test("tests/it/steps.rs", "n6_requests_rosters_and_presence_reach_the_script")]),
    (
        "N7",
        &[
            Test("src/net/tests/mod.rs", "certificates_are_refused_with_a_reason"),
            Test("src/config/resolve/tests.rs", "everything_of_the_contract_is_understood"),
        ],
    ),
    (
        "N8",
        &[
            Test("src/net/srv.rs", "weights_are_running_sums_as_in_rfc_2782"),
            Test("src/net/srv.rs", "lower_priorities_come_first_whatever_is_drawn"),
            Test("src/net/srv.rs", "direct_and_starttls_records_are_mixed_by_priority"),
            Test("src/net/srv.rs", "a_refused_service_is_not_looked_for_at_the_domain_itself"),
            Test("src/net/dial.rs", "goes_on_to_the_next_host_and_says_what_was_tried"),
            Test("src/net/dial.rs", "an_address_that_does_not_answer_is_overtaken"),
        ],
    ),
    (
        "N9",
        &[
            Test("tests/it/steps.rs", "n9_whether_an_account_is_connected_can_be_asked_at_any_time"),
            Test("tests/it/cli.rs", "status_as_json_has_what_is_promised"),
        ],
    ),
    ("N10", &[Test("tests/it/steps.rs", "n10_what_is_written_and_what_has_arrived_are_told_apart")]),
    (
        "N11",
        &[
            Test("tests/it/outage.rs", "cuts_lose_nothing_and_repeat_nothing_in_either_direction"),
            Test("tests/it/outage.rs", "a_server_that_comes_back_finds_its_bots_again"),
        ],
    ),
    (
        "N12",
        &[
            Test("tests/it/server.rs", "a_client_logs_in_with_channel_binding_and_talks_to_another"),
            Test("src/server/domain_tests.rs", "the_server_answers_every_request_once"),
        ],
    ),
    (
        "N13",
        &[
            Test("src/script/tests/examples.rs", "the_shipped_scripts_do_what_they_say"),
            Test("tests/it/demo.rs", "demo_serves_and_says_how_to_connect"),
            Test("tests/it/cli.rs", "send_goes_through_the_running_process"),
            Test("tests/it/cli.rs", "send_logs_in_by_itself_where_no_process_runs"),
        ],
    ),
];
