//! The handshake: servers of both eras, slow ones, silent ones, and those that end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, discovered, everything, legacy, modern};
use crate::protocol::{Era, Revision};
use crate::provider::upstream::{Connection, Dispatch, Failure, OpenError, Over, Settings};

fn settings(over: Over) -> Settings {
    Settings::new(over, Duration::from_secs(20))
}

/// Opens a connection to a server that a test plays.
async fn open<F>(
    settings: Settings,
    play: impl FnOnce(Fake) -> F,
) -> Result<Arc<Connection>, OpenError>
where
    F: Future<Output = Fake>,
{
    let (orders, fake) = Fake::start();
    let open = Connection::open(orders, Arc::clone(&fake.inbox), settings);
    let (opened, _fake) = tokio::join!(open, play(fake));
    opened
}

fn initialized(revision: &str) -> String {
    json!({ "protocolVersion": revision, "capabilities": { "tools": {} } }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_is_found_by_what_it_discovers() {
    let (connection, mut fake) = modern(Over::Http, &everything()).await;
    let peer = connection.peer();
    assert_eq!((peer.era(), peer.revision), (Era::Modern, Revision::V2026_07_28));
    assert_eq!((peer.info.name.as_str(), peer.info.version.as_str()), ("fake", "2"));
    assert!(peer.capabilities.tools_changed && peer.capabilities.subscribe);
    assert!(fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_is_asked_first_and_then_greeted() {
    let (connection, _fake) = legacy(Over::Stdio, &everything()).await;
    let peer = connection.peer();
    assert_eq!(peer.revision, Revision::V2025_11_25);
    assert_eq!(peer.instructions.as_deref(), Some("Be kind."));
    assert!(peer.capabilities.logging && peer.capabilities.task_calls);
}

#[tokio::test(start_paused = true)]
async fn the_node_says_who_it_is_and_what_its_clients_can() {
    let opened = open(settings(Over::Stdio), |mut fake| async move {
        let probe = fake.request().await;
        let meta = &probe.params["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "erlmcp");
        assert_eq!(
            meta["io.modelcontextprotocol/clientCapabilities"]["roots"],
            json!({}),
            "{meta}"
        );
        fake.refuse(probe.id, -32000, "Not initialized");
        let initialize = fake.request().await;
        assert_eq!(initialize.params["protocolVersion"], "2025-11-25");
        let declared = json!({
            "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {},
        });
        assert_eq!(initialize.params["capabilities"], declared);
        assert_eq!(initialize.params["clientInfo"]["name"], "erlmcp");
        fake.answer(initialize.id, &initialized("2024-11-05"));
        assert_eq!(fake.revision().await, Revision::V2024_11_05);
        assert_eq!(
            fake.message().await,
            json!({
                "jsonrpc": "2.0", "method": "notifications/initialized",
            })
        );
        fake
    })
    .await;
    assert_eq!(opened.unwrap().peer().revision, Revision::V2024_11_05);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_legacy_server_makes_of_the_question_it_is_greeted() {
    type React = fn(&Fake, u64);
    let reactions: [(Over, React); 9] = [
        (Over::Stdio, |fake, id| fake.refuse(id, -32600, "No session")),
        (Over::Stdio, |fake, id| fake.refuse(id, -32022, "Unsupported protocol version")),
        (Over::Stdio, |fake, id| fake.refuse(id, -32021, "odd")),
        (Over::Stdio, |fake, id| fake.answer(id, "{}")),
        (Over::Stdio, |fake, id| fake.answer(id, r#"{"supportedVersions":["2025-11-25"]}"#)),
        (Over::Stdio, |_, _| {}),
        (Over::Http, |fake, id| {
            fake.fail(id, Failure::Status { status: 400, body: "Bad Request".into() });
        }),
        (Over::Http, |fake, id| fake.fail(id, Failure::Lost("reset".into()))),
        // What it can't read it answers without an id.
        (Over::Http, |fake, id| {
            let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}"#;
            fake.say(error, Some(id));
        }),
    ];
    for (over, react) in reactions {
        let opened = open(settings(over), |mut fake| async move {
            let probe = fake.request().await;
            react(&fake, probe.id);
            let mut initialize = fake.order().await;
            if matches!(initialize, crate::provider::upstream::Order::Abandon(_)) {
                initialize = fake.order().await;
            }
            let crate::provider::upstream::Order::Request(initialize) = initialize else {
                panic!("{initialize:?}")
            };
            assert_eq!(initialize.method, "initialize");
            fake.answer(initialize.id, &initialized("2025-06-18"));
            assert_eq!(fake.revision().await, Revision::V2025_06_18);
            fake
        })
        .await;
        assert_eq!(opened.unwrap().peer().era(), Era::Legacy);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_modern_server_refuses_over_http_is_final() {
    type React = fn(&Fake, u64);
    let reactions: [React; 4] = [
        |fake, id| fake.refuse(id, -32020, "Header mismatch"),
        |fake, id| fake.refuse(id, -32021, "Missing capability"),
        |fake, id| fake.fail(id, Failure::Status { status: 401, body: String::new() }),
        |fake, id| fake.fail(id, Failure::Unreachable("connection refused".into())),
    ];
    for react in reactions {
        let opened = open(settings(Over::Http), |mut fake| async move {
            let probe = fake.request().await;
            react(&fake, probe.id);
            fake
        })
        .await;
        let error = opened.err().unwrap();
        assert!(matches!(error, OpenError::Refused(_) | OpenError::Failed(_)), "{error:?}");
        assert!(!error.spoiled_by_probe() && !error.is_no_endpoint());
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_legacy_server_is_not_asked() {
    let known = Settings { era: Some(Era::Legacy), ..settings(Over::Stdio) };
    let opened = open(known, |mut fake| async move {
        let initialize = fake.request().await;
        assert_eq!(initialize.method, "initialize");
        fake.answer(initialize.id, &initialized("2025-11-25"));
        fake.revision().await;
        fake
    })
    .await;
    assert_eq!(opened.unwrap().peer().era(), Era::Legacy);
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_that_starts_slowly_is_still_found() {
    let opened = open(settings(Over::Stdio), |mut fake| async move {
        let probe = fake.request().await;
        let initialize = fake.request().await;
        assert_eq!(initialize.method, "initialize");
        fake.answer(probe.id, &discovered(&everything()));
        fake.refuse(initialize.id, -32601, "Method not found");
        assert_eq!(fake.revision().await, Revision::V2026_07_28);
        fake
    })
    .await;
    assert_eq!(opened.unwrap().peer().era(), Era::Modern);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_silent_takes_no_longer_than_it_may() {
    let begun = tokio::time::Instant::now();
    let opened = open(settings(Over::Stdio), |mut fake| async move {
        fake.request().await;
        fake.request().await;
        fake
    })
    .await;
    let error = opened.err().unwrap();
    assert!(matches!(error, OpenError::TimedOut { probed: true, .. }) && error.spoiled_by_probe());
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_end_says_whether_the_question_may_be_its_cause() {
    let (orders, mut fake) = Fake::start();
    let inbox = Arc::clone(&fake.inbox);
    let play = async {
        fake.request().await;
        inbox.close("exited with status 1");
    };
    let (opened, ()) =
        tokio::join!(Connection::open(orders, Arc::clone(&inbox), settings(Over::Stdio)), play);
    let error = opened.err().unwrap();
    assert!(error.spoiled_by_probe() && error.to_string().contains("exited with status 1"));

    let opened = open(settings(Over::Stdio), |mut fake| async move {
        let probe = fake.request().await;
        fake.refuse(probe.id, -32601, "Method not found");
        fake.request().await;
        fake.inbox.close("exited with status 1");
        fake
    })
    .await;
    assert!(!opened.err().unwrap().spoiled_by_probe());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_makes_no_sense_is_refused() {
    type Expected = fn(&OpenError) -> bool;
    let answers: [(Value, Expected); 4] = [
        (json!({ "protocolVersion": "2024-10-07" }), |e| matches!(e, OpenError::Revision(_))),
        (json!({ "protocolVersion": "2026-07-28" }), |e| matches!(e, OpenError::Revision(_))),
        (json!({}), |e| matches!(e, OpenError::Invalid(_))),
        (json!([]), |e| matches!(e, OpenError::Invalid(_))),
    ];
    for (answer, expected) in answers {
        let known = Settings { era: Some(Era::Legacy), ..settings(Over::Stdio) };
        let opened = open(known, |mut fake| async move {
            let initialize = fake.request().await;
            fake.answer(initialize.id, &answer.to_string());
            fake
        })
        .await;
        let error = opened.err().unwrap();
        assert!(expected(&error), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_endpoint_at_all_is_told_apart() {
    let opened = open(settings(Over::Http), |mut fake| async move {
        for _ in 0..2 {
            let request = fake.request().await;
            fake.fail(request.id, Failure::Status { status: 405, body: String::new() });
        }
        fake
    })
    .await;
    assert!(opened.err().unwrap().is_no_endpoint());
}

#[test]
fn an_inbox_without_a_wire_takes_everything() {
    let inbox = Dispatch::new("up".into());
    inbox.close("never begun");
}
