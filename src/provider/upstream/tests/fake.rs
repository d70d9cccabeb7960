//! A server without a process: the test reads what it is sent, and says what it likes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::protocol::envelope::{Limits, decode};
use crate::protocol::{Revision, RpcError};
use crate::provider::upstream::wire::{Inbox, Order, Outbound, WAITING_ORDERS};
use crate::provider::upstream::{Connection, Dispatch, Failure, Over, Settings};

/// All that a server can have.
pub(super) fn everything() -> Value {
    json!({
        "tools": { "listChanged": true },
        "prompts": { "listChanged": true },
        "resources": { "listChanged": true, "subscribe": true },
        "logging": {},
        "completions": {},
        "tasks": { "requests": { "tools": { "call": {} } } },
    })
}

/// The server.
pub(super) struct Fake {
    orders: mpsc::Receiver<Order>,
    pub(super) inbox: Arc<Dispatch>,
}

/// A request that it was sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) outbound: Outbound,
}

impl Fake {
    /// A server, and the way to it.
    pub(super) fn start() -> (mpsc::Sender<Order>, Self) {
        let (sender, orders) = mpsc::channel(WAITING_ORDERS);
        (sender, Self { orders, inbox: Arc::new(Dispatch::new("up".into())) })
    }

    /// What it is told next.
    pub(super) async fn order(&mut self) -> Order {
        let order = timeout(Duration::from_secs(3_600), self.orders.recv()).await;
        order.expect("nothing is said").expect("nobody is there")
    }

    /// Waits until nobody can tell it anything any more.
    pub(super) async fn closed(&mut self) {
        let closed = async { while self.orders.recv().await.is_some() {} };
        timeout(Duration::from_secs(3_600), closed).await.expect("somebody is still there");
    }

    /// Whether it is told nothing now.
    pub(super) fn is_idle(&mut self) -> bool {
        self.orders.try_recv().is_err()
    }

    /// The next request.
    pub(super) async fn request(&mut self) -> Asked {
        match self.order().await {
            Order::Request(outbound) => {
                let message: Value = serde_json::from_slice(&outbound.text).unwrap();
                assert_eq!(message["jsonrpc"], "2.0");
                assert_eq!(message["id"], outbound.id);
                assert_eq!(message["method"], outbound.method);
                let (method, params) = (outbound.method.to_owned(), message["params"].clone());
                Asked { id: outbound.id, method, params, outbound }
            }
            other => panic!("no request: {other:?}"),
        }
    }

    /// The next notification, or answer to what it asked.
    pub(super) async fn message(&mut self) -> Value {
        match self.order().await {
            Order::Message(text) => serde_json::from_slice(&text).unwrap(),
            other => panic!("no message: {other:?}"),
        }
    }

    /// What it is told to speak.
    pub(super) async fn revision(&mut self) -> Revision {
        match self.order().await {
            Order::Speak(revision) => revision,
            other => panic!("not told: {other:?}"),
        }
    }

    /// It says this, on the stream of a request where there is one.
    pub(super) fn say(&self, text: &str, of: Option<u64>) {
        let message = decode(text.as_bytes(), Limits::default()).unwrap();
        self.inbox.message(message, of);
    }

    /// It answers with a result, as it is written.
    pub(super) fn answer(&self, id: u64, result: &str) {
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#), Some(id));
    }

    /// It answers with an error.
    pub(super) fn refuse(&self, id: u64, code: i64, message: &str) {
        self.refuse_with(id, &json!({ "code": code, "message": message }));
    }

    /// It answers with this error.
    pub(super) fn refuse_with(&self, id: u64, error: &Value) {
        let whole = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        self.say(&whole.to_string(), Some(id));
    }

    /// A request gets no answer.
    pub(super) fn fail(&self, id: u64, failure: Failure) {
        self.inbox.failed(id, failure);
    }

    /// It tells something that is on no request's stream.
    pub(super) fn tell(&self, method: &str, params: &str) {
        self.say(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#), None);
    }

    /// It asks something.
    pub(super) fn ask(&self, id: i64, method: &str, params: &Value, of: Option<u64>) {
        let whole = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.say(&whole.to_string(), of);
    }

    /// It answers the handshake as a server of the session era.
    pub(super) async fn greet_legacy(&mut self, capabilities: &Value) {
        let probe = self.request().await;
        assert_eq!(probe.method, "server/discover");
        self.refuse(probe.id, -32601, "Method not found");
        let initialize = self.request().await;
        assert_eq!(initialize.method, "initialize");
        let result = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "serverInfo": { "name": "fake", "version": "1" },
            "instructions": "Be kind.",
        });
        self.answer(initialize.id, &result.to_string());
        assert_eq!(self.revision().await, Revision::V2025_11_25);
        assert_eq!(self.message().await["method"], "notifications/initialized");
    }

    /// It answers the handshake as a modern server.
    pub(super) async fn greet_modern(&mut self, capabilities: &Value) {
        let probe = self.request().await;
        self.answer(probe.id, &discovered(capabilities));
        assert_eq!(self.revision().await, Revision::V2026_07_28);
    }
}

/// What a modern server says of itself.
pub(super) fn discovered(capabilities: &Value) -> String {
    let result = json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28", "2025-11-25"],
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "public",
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "fake", "version": "2" } },
    });
    result.to_string()
}

fn settings(over: Over) -> Settings {
    Settings::new(over, Duration::from_secs(60))
}

/// A connection to a server of the session era.
pub(super) async fn legacy(over: Over, capabilities: &Value) -> (Arc<Connection>, Fake) {
    let (orders, mut fake) = Fake::start();
    let open = Connection::open(orders, Arc::clone(&fake.inbox), settings(over));
    let (connection, ()) = tokio::join!(open, fake.greet_legacy(capabilities));
    (connection.unwrap(), fake)
}

/// A connection to a modern server.
pub(super) async fn modern(over: Over, capabilities: &Value) -> (Arc<Connection>, Fake) {
    let (orders, mut fake) = Fake::start();
    let open = Connection::open(orders, Arc::clone(&fake.inbox), settings(over));
    let (connection, ()) = tokio::join!(open, fake.greet_modern(capabilities));
    (connection.unwrap(), fake)
}

/// The reason that the node gives in an error of its own.
pub(super) fn reason(error: &RpcError) -> &str {
    error.data.as_ref().and_then(|data| data["reason"].as_str()).unwrap_or_default()
}
