//! What a server offers: all pages, as they are written.

use serde_json::json;

use super::fake::{Fake, legacy};
use crate::catalogue::Definition;
use crate::protocol::Kind;
use crate::provider::upstream::{OfferError, Over};

fn texts(list: &[Definition]) -> Vec<(String, String)> {
    let text = |one: &Definition| (one.name.clone(), serde_json::to_string(&one.members).unwrap());
    list.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn all_pages_come_together_byte_by_byte() {
    let (connection, mut fake) =
        legacy(Over::Stdio, &json!({ "tools": {}, "resources": {} })).await;
    let play = async {
        for _ in 0..3 {
            let request = fake.request().await;
            match request.method.as_str() {
                "tools/list" => {
                    assert_eq!(request.params, json!({}));
                    // An empty cursor is one.
                    fake.answer(
                        request.id,
                        r#"{"tools":[{"x":1.10, "name":"a"}],"nextCursor":""}"#,
                    );
                }
                "resources/list" => {
                    let list = r#"{"resources":[{"uri":"u:1","name":"n"}],"nextCursor":null}"#;
                    fake.answer(request.id, list);
                }
                "resources/templates/list" => fake.refuse(request.id, -32601, "none"),
                other => panic!("{other}"),
            }
        }
        let second = fake.request().await;
        assert_eq!(second.params, json!({ "cursor": "" }));
        fake.answer(second.id, r#"{"tools":[{"name":"b"},{"title":"no name"},7]}"#);
    };
    let (offer, ()) = tokio::join!(connection.offer(), play);
    let offer = offer.unwrap();
    let tools = [
        ("a", r#"{"x":1.10, "name":"a"}"#),
        ("b", r#"{"name":"b"}"#),
        ("", r#"{"title":"no name"}"#),
        ("", "{}"),
    ];
    assert_eq!(texts(&offer.tools), tools.map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert_eq!(texts(&offer.resources)[0].0, "u:1");
    assert!(offer.prompts.is_empty() && offer.templates.is_empty());
    assert_eq!(offer.instructions.as_deref(), Some("Be kind."));
}

async fn refused(play: impl AsyncFn(&Fake, u64, usize)) -> OfferError {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let script = async {
        for number in 0.. {
            let request = fake.request().await;
            play(&fake, request.id, number).await;
        }
    };
    tokio::select! {
        offer = connection.offer() => offer.unwrap_err(),
        () = script => panic!("the script never ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_lead_nowhere_are_given_up() {
    let circle = refused(async |fake, id, number| {
        let page = format!(r#"{{"tools":[],"nextCursor":"{}"}}"#, number % 3);
        fake.answer(id, &page);
    });
    assert_eq!(circle.await, OfferError::Endless(Kind::Tools));
    let endless = refused(async |fake, id, number| {
        fake.answer(id, &format!(r#"{{"tools":[],"nextCursor":"{number}"}}"#));
    });
    assert!(matches!(endless.await, OfferError::TooLong { .. }));
    let page = format!(r#"{{"tools":[{}7]}}"#, "{},".repeat(20_000));
    let long = refused(async |fake, id, _| fake.answer(id, &page));
    assert!(matches!(long.await, OfferError::TooLong { .. }));
    assert_eq!(refused(async |_, _, _| {}).await, OfferError::TimedOut(Kind::Tools));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_list_is_said_to_be_none() {
    for page in ["[]", "{}", r#"{"tools":{}}"#, r#"{"tools":[],"nextCursor":7}"#] {
        let error = refused(async |fake, id, _| fake.answer(id, page)).await;
        assert!(matches!(error, OfferError::Invalid { .. }), "{page}: {error:?}");
    }
    let error = refused(async |fake, id, _| fake.refuse(id, -32603, "broken")).await;
    assert!(error.to_string().contains("broken"), "{error}");
    let error = refused(async |fake, _, _| fake.inbox.close("it crashed")).await;
    assert!(error.to_string().contains("it crashed"), "{error}");
}
