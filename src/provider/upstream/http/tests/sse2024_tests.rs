//! HTTP+SSE of 2024-11-05.

use http::Method;
use serde_json::json;

use super::rig::{Asked, Came, Rig, Server, Streaming, notification, response_to};
use crate::protocol::Revision;
use crate::provider::upstream::spec::HttpTransport;
use crate::provider::upstream::wire::{Failure, Order, Why};

async fn opened(server: &mut Server, endpoint: &str) -> (Rig, Streaming) {
    let rig = Rig::open(&server.target("/sse"), HttpTransport::Sse);
    let asked = server.next().await;
    assert_eq!((&asked.method, asked.path.as_str()), (&Method::GET, "/sse"));
    let mut stream = asked.stream();
    stream.send(&format!("event: endpoint\ndata: {endpoint}\n\n")).await;
    (rig, stream)
}

fn posted(asked: &Asked) -> (String, String) {
    assert_eq!(asked.method, Method::POST);
    (asked.path.clone(), asked.json()["method"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn messages_are_posted_where_the_server_says() {
    let mut server = Server::start().await;
    let (mut rig, mut stream) = opened(&mut server, "/messages?sessionId=4").await;
    rig.request(0, "initialize").await;
    let asked = server.next().await;
    assert_eq!(posted(&asked), ("/messages?sessionId=4".to_owned(), "initialize".to_owned()));
    asked.answer(202, &[], "Accepted");
    stream.send(&format!("event: message\ndata: {}\n\n", response_to(0))).await;
    assert_eq!(rig.next().await, Came::Message("0 {}".to_owned(), None));
    rig.order(Order::Speak(Revision::V2024_11_05)).await;
    rig.notify("notifications/initialized").await;
    rig.request(1, "tools/list").await;
    for method in ["notifications/initialized", "tools/list"] {
        let asked = server.next().await;
        assert_eq!(posted(&asked).1, method);
        asked.answer(202, &[], "Accepted");
    }
    stream.event("", notification("notifications/message")).await;
    assert_eq!(rig.next().await, Came::Message("notifications/message".to_owned(), None));
    rig.request(2, "tools/call").await;
    server.next().await.answer(400, &[], "what?");
    let refused = Failure::Status { status: 400, body: "what?".to_owned() };
    assert_eq!(rig.next().await, Came::Failed(2, refused), "it alone");
    rig.close();
    assert_eq!(rig.closing().await.why, Why::Told);
    stream.left().await;
}

#[tokio::test]
async fn the_end_of_the_stream_ends_the_wire() {
    let mut server = Server::start().await;
    let (mut rig, stream) = opened(&mut server, "messages").await;
    rig.request(0, "initialize").await;
    assert_eq!(posted(&server.next().await).0, "/messages");
    drop(stream);
    assert_eq!(rig.closing().await.why, Why::Crashed);

    let (mut rig, stream) = opened(&mut server, "/messages").await;
    rig.request(0, "initialize").await;
    server.next().await.answer(404, &[], "no such session");
    assert_eq!(rig.closing().await.why, Why::SessionLost);
    drop(stream);
}

#[tokio::test]
async fn nothing_is_posted_to_another_origin() {
    let mut server = Server::start().await;
    for endpoint in ["http://127.0.0.1:1/messages", "//elsewhere.example/messages", "http://"] {
        let (mut rig, _stream) = opened(&mut server, endpoint).await;
        rig.request(0, "initialize").await;
        assert_eq!(rig.closing().await.why, Why::Garbled, "{endpoint}");
    }
}

#[tokio::test]
async fn a_server_that_has_no_such_stream_says_so() {
    let mut server = Server::start().await;
    for status in [404, 500] {
        let mut rig = Rig::open(&server.target("/sse"), HttpTransport::Sse);
        server.next().await.reply(status, json!({}));
        let closing = rig.closing().await;
        assert_eq!(closing.why, Why::Crashed);
        assert!(closing.cause.contains(&status.to_string()), "{}", closing.cause);
    }
}
