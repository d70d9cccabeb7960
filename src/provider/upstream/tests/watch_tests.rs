//! What a server is asked to tell of itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fake::{Fake, everything, legacy, modern};
use crate::protocol::Kind;
use crate::provider::upstream::{News, Order, Over};

fn uris(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|uri| (*uri).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_is_told_the_difference() {
    let (connection, mut fake) = legacy(Over::Stdio, &everything()).await;
    let errands = connection.clone().errands();
    let play = async {
        let mut told = Vec::new();
        for (wanted, requests) in [(&["a", "b"][..], 2), (&["b", "c"], 2), (&[], 2)] {
            connection.subscribe(&uris(wanted));
            for _ in 0..requests {
                let request = fake.request().await;
                told.push(format!("{} {}", request.method, request.params["uri"]));
                // What it thinks of that changes nothing.
                fake.refuse(request.id, -32603, "no");
            }
        }
        connection.subscribe(&uris(&[]));
        told
    };
    let told = tokio::select! {
        () = errands => panic!("errands never end"),
        told = play => told,
    };
    let expected = [
        r#"resources/subscribe "a""#,
        r#"resources/subscribe "b""#,
        r#"resources/unsubscribe "a""#,
        r#"resources/subscribe "c""#,
        r#"resources/unsubscribe "b""#,
        r#"resources/unsubscribe "c""#,
    ];
    assert_eq!(told, expected);
    assert!(fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_a_server_tells_of_itself_is_news() {
    let (connection, fake) = legacy(Over::Stdio, &everything()).await;
    let mut news = connection.news();
    fake.tell("notifications/tools/list_changed", "{}");
    fake.tell("notifications/resources/list_changed", "{}");
    fake.tell("notifications/prompts/list_changed", "{}");
    fake.tell("notifications/resources/updated", r#"{"uri":"u:1","title":"t"}"#);
    fake.tell("notifications/resources/updated", r#"{"uri":7}"#);
    fake.tell("notifications/never/heard/of", "{}");
    let expected = [
        News::ListChanged(Kind::Tools),
        News::ListChanged(Kind::Resources),
        News::ListChanged(Kind::Templates),
        News::ListChanged(Kind::Prompts),
        News::ResourceUpdated("u:1".into()),
    ];
    for one in expected {
        assert_eq!(news.try_recv().unwrap(), one);
    }
    assert!(news.try_recv().is_err());
}

/// The stream that is opened next, acknowledged.
async fn opened(fake: &mut Fake) -> (u64, Value) {
    let listen = fake.request().await;
    assert_eq!(listen.method, "subscriptions/listen");
    let meta = json!({ "_meta": { "io.modelcontextprotocol/subscriptionId": listen.id } });
    fake.tell("notifications/subscriptions/acknowledged", &meta.to_string());
    (listen.id, listen.params["notifications"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_has_one_stream_which_is_renewed() {
    let (connection, mut fake) = modern(Over::Stdio, &everything()).await;
    let mut news = connection.news();
    let errands = connection.clone().errands();
    let play = async {
        let lists = json!({
            "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        });
        let (first, filter) = opened(&mut fake).await;
        assert_eq!(filter, lists);
        connection.subscribe(&uris(&["u:1"]));
        let (second, filter) = opened(&mut fake).await;
        assert_eq!(filter["resourceSubscriptions"], json!(["u:1"]));
        // The old one is left when the new one is there, so nothing is lost, or told twice.
        let left = fake.message().await;
        assert_eq!(
            (&left["method"], &left["params"]["requestId"]),
            (&json!("notifications/cancelled"), &json!(first))
        );
        assert!(matches!(fake.order().await, Order::Abandon(id) if id == first));
        assert!(news.try_recv().is_err());

        // It breaks: another is opened, and whatever was not heard may have changed.
        fake.answer(second, r#"{"resultType":"complete"}"#);
        let (third, _) = opened(&mut fake).await;
        let mut told = Vec::new();
        while told.len() < 5 {
            told.push(news.recv().await.unwrap());
        }
        assert!(told.contains(&News::ListChanged(Kind::Tools)));
        assert!(told.contains(&News::ResourceUpdated("u:1".into())));

        // One that breaks again and again is opened with pauses that grow.
        let begun = Instant::now();
        let mut last = third;
        for _ in 0..12 {
            fake.refuse(last, -32603, "no");
            last = fake.request().await.id;
        }
        assert!(begun.elapsed().as_secs() > 60, "{:?}", begun.elapsed());
    };
    tokio::select! {
        () = errands => panic!("errands never end"),
        () = play => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_that_tells_nothing_is_not_listened_to() {
    let (connection, mut fake) = modern(Over::Http, &json!({ "tools": {} })).await;
    connection.subscribe(&uris(&["u:1"]));
    let errands = connection.clone().errands();
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), errands).await;
    assert!(waited.is_err() && fake.is_idle());
}
