//! Tokens: from a file, and from an issuer.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::rig::{Asked, Came, Rig, Server, answer};
use crate::provider::upstream::spec::UpstreamAuth;
use crate::provider::upstream::wire::Failure;

/// A file of one test, gone afterwards.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again() {
    let name = format!("erlmcp-upstream-token-{}", uuid::Uuid::new_v4());
    let file = Scratch(std::env::temp_dir().join(name));
    std::fs::write(&file.0, "old\n").unwrap();
    let mut server = Server::start().await;
    let mut rig = Rig::with_auth(&server, UpstreamAuth::TokenFile(file.0.clone()));
    rig.request(1, "tools/list").await;
    let asked = server.next().await;
    assert_eq!(asked.header("authorization"), Some("Bearer old"));
    std::fs::write(&file.0, "new\n").unwrap();
    asked.answer(401, &[("www-authenticate", "Bearer")], "");
    let asked = server.next().await;
    assert_eq!(asked.header("authorization"), Some("Bearer new"));
    // Once more is enough: the file holds nothing else.
    asked.answer(401, &[], "no");
    let refused = Failure::Status { status: 401, body: "no".to_owned() };
    assert_eq!(rig.next().await, Came::Failed(1, refused));
}

fn client_credentials(scopes: &[&str]) -> UpstreamAuth {
    UpstreamAuth::ClientCredentials {
        client_id: "node".to_owned(),
        client_secret: "hunter2".into(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}

/// What an issuer was asked for.
fn form(asked: &Asked) -> Vec<(String, String)> {
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    url::form_urlencoded::parse(&asked.body).into_owned().collect()
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The server beside its issuer: answers all that is asked to find one, until something is asked
/// that only the test can answer.
async fn found(server: &mut Server) -> Asked {
    let origin = server.origin.clone();
    loop {
        let asked = server.next().await;
        let path = asked.path.clone();
        match path.as_str() {
            "/.well-known/oauth-protected-resource/mcp" => {
                asked.reply(
                    200,
                    json!({
                        "resource": format!("{origin}/mcp"),
                        "authorization_servers": [format!("{origin}/issuer")],
                        "scopes_supported": ["tools", "offline_access"],
                    }),
                );
            }
            // An issuer without users has no authorization endpoint.
            "/.well-known/oauth-authorization-server/issuer" => {
                asked.reply(
                    200,
                    json!({
                        "issuer": format!("{origin}/issuer"),
                        "token_endpoint": format!("{origin}/token"),
                        "response_types_supported": [],
                        "grant_types_supported": ["client_credentials"],
                    }),
                );
            }
            "/token" | "/mcp" if asked.method == Method::POST => return asked,
            _ => asked.answer(404, &[], ""),
        }
    }
}

fn challenge(server: &Server) -> String {
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", server.origin);
    format!("Bearer resource_metadata=\"{metadata}\"")
}

fn granted(token: &str, expires_in: u64) -> Value {
    json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "id_token": "not for us",
    })
}

#[tokio::test]
async fn a_token_is_asked_for_when_the_server_wants_one() {
    let mut server = Server::start().await;
    let mut rig = Rig::with_auth(&server, client_credentials(&[]));
    rig.request(1, "initialize").await;
    rig.request(2, "initialize").await;
    for _ in 0..2 {
        let asked = server.next().await;
        assert_eq!(asked.header("authorization"), None);
        let challenge = challenge(&server);
        asked.answer(401, &[("www-authenticate", &challenge)], "");
    }
    let asked = found(&mut server).await;
    let form = form(&asked);
    let resource = format!("{}/mcp", server.origin);
    let expected = [
        ("grant_type", Some("client_credentials")),
        ("resource", Some(resource.as_str())),
        ("scope", Some("tools")),
        ("client_id", Some("node")),
        ("client_secret", Some("hunter2")),
    ];
    for (name, value) in expected {
        assert_eq!(field(&form, name), value, "{name}");
    }
    asked.reply(200, granted("one", 3_600));
    // Both go on with the same token: the second found it renewed.
    for _ in 0..2 {
        let asked = server.next().await;
        assert_eq!(
            (asked.path.as_str(), asked.header("authorization")),
            ("/mcp", Some("Bearer one"))
        );
        asked.result(json!({}));
        rig.next().await;
    }
    rig.request(3, "tools/list").await;
    let asked = server.next().await;
    assert_eq!(asked.header("authorization"), Some("Bearer one"), "it is kept");
    // A token that was refused right after it was given isn't asked for again.
    asked.answer(401, &[("www-authenticate", &challenge(&server))], "");
    assert!(matches!(rig.failure().await, Failure::Status { status: 401, .. }));
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    let mut server = Server::start().await;
    let mut rig = Rig::with_auth(&server, client_credentials(&["a", "b"]));
    rig.request(1, "initialize").await;
    let asked = server.next().await;
    asked.answer(401, &[("www-authenticate", &challenge(&server))], "");
    let asked = found(&mut server).await;
    assert_eq!(field(&form(&asked), "scope"), Some("a b"), "as configured");
    asked.reply(200, granted("one", 0));
    server.next().await.result(json!({}));
    assert_eq!(rig.next().await, answer(1, "{}"));
    rig.request(2, "tools/list").await;
    let asked = server.next().await;
    assert_eq!(asked.path, "/token", "the issuer is known");
    asked.reply(200, granted("two", 3_600));
    let asked = server.next().await;
    assert_eq!(asked.header("authorization"), Some("Bearer two"));
    asked.result(json!({}));
    assert_eq!(rig.next().await, answer(2, "{}"));
}

#[tokio::test]
async fn an_issuer_that_gives_no_token_is_left_alone_for_a_while() {
    let mut server = Server::start().await;
    let mut rig = Rig::with_auth(&server, client_credentials(&[]));
    for id in 1..=2 {
        rig.request(id, "initialize").await;
        let asked = server.next().await;
        asked.answer(401, &[("www-authenticate", &challenge(&server))], "");
        if id == 1 {
            let refusal = json!({ "error": "invalid_client", "error_description": "who?" });
            found(&mut server).await.reply(401, refusal);
        }
        let failure = rig.failure().await;
        let Failure::Unreachable(reason) = &failure else { panic!("{failure:?}") };
        assert!(reason.contains("access token") && !reason.contains("hunter2"), "{reason}");
    }
}

#[tokio::test]
async fn a_server_that_names_no_issuer_gets_no_secret() {
    let mut server = Server::start().await;
    let mut rig = Rig::with_auth(&server, client_credentials(&[]));
    rig.request(1, "initialize").await;
    server.next().await.answer(401, &[("www-authenticate", "Bearer")], "");
    let deaf = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let asked = server.next().await;
            assert!(asked.body.is_empty(), "{} {}", asked.method, asked.path);
            asked.answer(404, &[], "");
        }
    });
    tokio::select! {
        _ = deaf => panic!("no end of questions"),
        failure = rig.failure() => {
            assert!(failure.to_string().contains("names no issuer"), "{failure}");
        }
    }
}
