//! A node on free ports, a client that talks to it, and a server whose tools do as they are told.

use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use erlmcp::config::Config;
use erlmcp::node::{Listeners, Node};
use erlmcp::provider::{Hosted, demo};
use erlmcp::transport::control::{Place, Socket};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::events::Events;
pub(crate) use crate::held::{End, Held};
use crate::{held, talker::Talker};

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const MODERN: &str = "2026-07-28";

/// A running node.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    pub(crate) url: String,
    pub(crate) probes: String,
    pub(crate) held: Held,
    pub(crate) talker: Arc<Talker>,
    pub(crate) scratch: Scratch,
}

/// A directory of one test, gone afterwards.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("erlmcp-it-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Where the control socket lies.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// A file in it with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let scratch = Scratch::new();
        let control = Socket::bind(&Place { path: scratch.socket(), is_own: false }).unwrap();
        let listeners = Listeners { http: bind(), metrics: bind(), control: Some(control) };
        let (server, held) = held::server();
        let talker = Arc::new(Talker::default());
        let hosted: Vec<Arc<dyn Hosted>> =
            vec![Arc::new(demo::server().unwrap()), Arc::new(server), talker.clone()];
        let node = Node::start_with(config, listeners, hosted).await.unwrap();
        let url = format!("http://{}", node.http_address());
        let probes = format!("http://{}", node.metrics_address());
        Self { node, url, probes, held, talker, scratch }
    }

    /// One raw request to `path`.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        send(&client(), method, &format!("{}{path}", self.url), headers, body).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(Method::POST, path, headers, body).await
    }

    /// A new session on `/mcp`.
    pub(crate) async fn session(&self) -> Session {
        Session::open(client(), &format!("{}/mcp", self.url), "2025-11-25").await
    }

    /// What an operator sees at `path`.
    pub(crate) async fn probe(&self, path: &str) -> Answer {
        send(&client(), Method::GET, &format!("{}{path}", self.probes), &[], "").await
    }

    /// Stops the node without waiting for what runs.
    pub(crate) async fn stop_at_once(&self) {
        within(self.node.stop(Duration::ZERO)).await;
    }

    /// Stops the node; a test that forgets to leaves it to `Drop`, which kills it.
    pub(crate) async fn stop(&self) {
        within(self.node.stop(PATIENCE)).await;
    }
}

pub(crate) fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// Waits for something that has to happen.
pub(crate) async fn within<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happens).await.expect("it takes too long")
}

/// Waits until something that no event tells of is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) session: Option<String>,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let session = header("mcp-session-id");
        let content_type = header("content-type").unwrap_or_default();
        Self { status, session, content_type, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        let read = serde_json::from_str(&self.text);
        read.unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text))
    }

    /// The error's code; 0 for a result.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }
}

pub(crate) async fn send(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = client.request(method, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// A legacy client.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) id: String,
}

impl Session {
    pub(crate) async fn open(client: Client, url: &str, revision: &str) -> Self {
        Self::open_with(client, url, revision, json!({})).await
    }

    pub(crate) async fn open_with(
        client: Client,
        url: &str,
        revision: &str,
        capabilities: Value,
    ) -> Self {
        let body = initialize_with(revision, capabilities);
        let answer = send(&client, Method::POST, url, &[], &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let id = answer.session.expect("initialize gives an id");
        let session = Self { client, url: url.to_owned(), id };
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(session.post(ready).await.status, StatusCode::ACCEPTED);
        session
    }

    pub(crate) async fn post(&self, body: &str) -> Answer {
        let headers = [("mcp-session-id", self.id.as_str())];
        send(&self.client, Method::POST, &self.url, &headers, body).await
    }

    /// Posts a request that is answered by events.
    pub(crate) async fn events(&self, body: &str) -> Events {
        let headers = [("mcp-session-id", self.id.as_str())];
        Events::open(Method::POST, &self.url, &headers, body).await
    }

    /// The session's own stream, behind what primes it: 2025-11-25 alone has that.
    pub(crate) async fn own_stream(&self) -> Events {
        let mut own = self.stream(None).await;
        assert_eq!(own.next().await.unwrap().short(), "priming");
        own
    }

    /// The session's own stream, or what comes behind an event.
    pub(crate) async fn stream(&self, last: Option<&str>) -> Events {
        let mut headers = vec![("mcp-session-id", self.id.as_str())];
        headers.extend(last.map(|last| ("last-event-id", last)));
        Events::open(Method::GET, &self.url, &headers, "").await
    }

    pub(crate) async fn call(&self, id: impl Into<Value>, tool: &str, arguments: Value) -> Answer {
        self.post(&tool_call(id, tool, arguments)).await
    }
}

pub(crate) fn initialize(revision: &str) -> String {
    initialize_with(revision, json!({}))
}

pub(crate) fn initialize_with(revision: &str, capabilities: Value) -> String {
    let client = json!({ "name": "it", "version": "1" });
    let mut params = json!({ "protocolVersion": revision, "clientInfo": client });
    params["capabilities"] = capabilities;
    request(1, "initialize", params)
}

pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }).to_string()
}

pub(crate) fn tool_call(id: impl Into<Value>, tool: &str, arguments: Value) -> String {
    request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// Adds what a modern request says about itself.
pub(crate) fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> String {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    if params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_null() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    request(id, method, params)
}

/// The headers of a modern request.
pub(crate) fn modern_headers<'a>(method: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
    if !name.is_empty() {
        headers.push(("mcp-name", name));
    }
    headers
}
