//! Servers that are not there, or don't answer as they should.

use std::net::TcpListener;

use http::Method;
use serde_json::json;

use super::rig::{Came, Rig, Server, answer, notification, response_to};
use crate::provider::upstream::spec::HttpTransport;
use crate::provider::upstream::wire::{Failure, Order, Why};

/// What the wire makes of an answer.
async fn made_of(status: u16, content_type: &str, body: &str) -> Came {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    server.next().await.answer(status, &[("content-type", content_type)], body);
    rig.next().await
}

#[tokio::test]
async fn answers_are_what_their_bodies_are() {
    let json = "application/json";
    let ok = response_to(1).to_string();
    assert_eq!(made_of(200, json, &ok).await, answer(1, "{}"));
    assert_eq!(made_of(200, "Application/JSON; charset=utf-8", &ok).await, answer(1, "{}"));
    assert_eq!(made_of(200, "text/plain", &ok).await, answer(1, "{}"), "some call it text");
    assert_eq!(made_of(200, json, &format!("[{ok}]")).await, answer(1, "{}"), "a batch");

    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020}}"#;
    let told = answer(1, r#"error {"code":-32020}"#);
    assert_eq!(made_of(400, json, error).await, told);
    let nameless = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020}}"#;
    assert_eq!(made_of(400, json, nameless).await, told, "it can be about nothing else");
}

#[tokio::test]
async fn what_is_no_answer_fails_the_request() {
    let status = |status, body: &str| {
        let body = body.to_owned();
        Came::Failed(1, Failure::Status { status, body })
    };
    assert_eq!(made_of(404, "text/html", "<b>no\nway</b>").await, status(404, "<b>no way</b>"));
    assert_eq!(made_of(503, "text/plain", "").await, status(503, ""));
    assert_eq!(made_of(401, "text/plain", "who?").await, status(401, "who?"));
    let lost = |came: &Came| matches!(came, Came::Failed(1, Failure::Lost(_)));
    let login = made_of(200, "text/html", "<form>").await;
    assert!(lost(&login), "{login:?}");
    let accepted = made_of(202, "text/plain", "").await;
    assert!(lost(&accepted), "{accepted:?}");
}

#[tokio::test]
async fn an_answer_to_something_else_is_told_and_is_none() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    server.next().await.reply(200, response_to(99));
    assert_eq!(rig.next().await, Came::Message("99 {}".to_owned(), Some(1)));
    assert!(matches!(rig.failure().await, Failure::Lost(_)));
}

#[tokio::test]
async fn what_is_too_large_is_not_kept() {
    let too_large = Came::Failed(1, Failure::TooLarge { limit_bytes: 10_000 });
    let body = format!("\"{}\"", "x".repeat(20_000));
    assert_eq!(made_of(200, "application/json", &body).await, too_large, "announced");
    let event = format!("data: {}\n\n", "x".repeat(20_000));
    assert_eq!(made_of(200, "text/event-stream", &event).await, too_large, "an event");
    let refusal = made_of(500, "text/plain", &body).await;
    let status = Came::Failed(1, Failure::Status { status: 500, body: String::new() });
    assert_eq!(refusal, status, "the status tells more");

    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    let mut chunks = server.next().await.begin("application/json");
    chunks.send(&"x".repeat(6_000)).await;
    chunks.send(&"x".repeat(6_000)).await;
    assert_eq!(rig.next().await, too_large, "in pieces");
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails_the_request() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    server.next().await.hang_up();
    assert!(matches!(rig.failure().await, Failure::Lost(_)), "nothing is sent twice");
    rig.request(2, "tools/call").await;
    let mut body = server.next().await.begin("application/json");
    body.send("{\"jsonrpc\":").await;
    body.cut();
    assert!(matches!(rig.failure().await, Failure::Lost(_)));
    rig.request(3, "tools/call").await;
    let mut stream = server.next().await.stream();
    stream.send("data: no message\n\n").await;
    stream.event("", notification("notifications/progress")).await;
    assert_eq!(rig.next().await, Came::Message("notifications/progress".to_owned(), Some(3)));
    drop(stream);
    assert!(matches!(rig.failure().await, Failure::Lost(_)));
}

#[tokio::test]
async fn who_is_never_there_ends_the_wire() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut target = Server::start().await.target("/mcp");
    target.url = format!("http://{free}/mcp");
    let mut rig = Rig::open(&target, HttpTransport::Auto);
    for id in 1..=3 {
        rig.request(id, "ping").await;
        let failure = rig.failure().await;
        assert!(
            matches!(&failure, Failure::Unreachable(why) if why.contains("refused")),
            "{failure}"
        );
    }
    assert_eq!(rig.closing().await.why, Why::Crashed);
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_reached_by_it() {
    let server = Server::start().await;
    let mut target = server.target("/mcp");
    target.url = target.url.replace("http:", "https:");
    let mut rig = Rig::open(&target, HttpTransport::Auto);
    rig.request(1, "ping").await;
    let failure = rig.failure().await;
    assert!(matches!(&failure, Failure::Unreachable(_)), "{failure}");
}

#[tokio::test]
async fn a_stream_of_its_own_that_cannot_be_opened_again_ends_the_wire() {
    let mut server = Server::start().await;
    let (mut rig, asked) = Rig::with_stream(&mut server).await;
    drop(asked.stream());
    for _ in 0..4 {
        server.next().await.answer(500, &[], "");
    }
    let closing = rig.closing().await;
    assert_eq!(closing.why, Why::Crashed);
    assert!(closing.cause.contains("500"), "{}", closing.cause);
}

#[tokio::test]
async fn a_stream_of_its_own_that_never_was_is_done_without() {
    let mut server = Server::start().await;
    let (mut rig, asked) = Rig::with_stream(&mut server).await;
    asked.answer(500, &[], "");
    for _ in 0..4 {
        server.next().await.answer(500, &[], "");
    }
    for id in 1..10 {
        rig.request(id, "ping").await;
        let asked = server.next().await;
        assert_eq!(asked.method, Method::POST);
        asked.result(json!({}));
        assert_eq!(rig.next().await, answer(id, "{}"));
    }
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin() {
    let mut server = Server::start().await;
    let other = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    server.next().await.answer(307, &[("location", "/mcp/")], "");
    let asked = server.next().await;
    assert_eq!((asked.path.as_str(), asked.json()["id"].as_u64()), ("/mcp/", Some(1)));
    asked.result(json!({}));
    assert_eq!(rig.next().await, answer(1, "{}"));

    rig.request(2, "tools/call").await;
    let elsewhere = format!("{}/mcp", other.origin);
    server.next().await.answer(307, &[("location", &elsewhere)], "");
    let Failure::Status { status: 307, body } = rig.failure().await else { panic!() };
    assert!(body.contains(&other.origin), "{body}");

    rig.request(3, "tools/call").await;
    for _ in 0..4 {
        server.next().await.answer(308, &[("location", "/mcp")], "");
    }
    assert!(matches!(rig.failure().await, Failure::Lost(_)), "in circles");
}

#[tokio::test]
async fn dropping_the_work_ends_everything() {
    let mut server = Server::start().await;
    let (rig, asked) = Rig::with_stream(&mut server).await;
    let own = asked.stream();
    rig.request(1, "tools/call").await;
    let stream = server.next().await.stream();
    drop(rig);
    own.left().await;
    stream.left().await;
}

#[tokio::test]
async fn one_request_too_many_fails_at_once() {
    let mut server = Server::start().await;
    let mut rig = Rig::with_requests(&server, 1);
    rig.request(1, "tools/call").await;
    let first = server.next().await;
    rig.request(2, "tools/call").await;
    assert!(matches!(rig.next().await, Came::Failed(2, Failure::Unreachable(_))));
    first.result(json!({}));
    assert_eq!(rig.next().await, answer(1, "{}"));
    rig.request(3, "tools/call").await;
    let third = server.next().await;
    rig.order(Order::Abandon(3)).await;
    rig.request(4, "tools/call").await;
    server.next().await.result(json!({}));
    assert_eq!(rig.next().await, answer(4, "{}"));
    drop(third);
}
