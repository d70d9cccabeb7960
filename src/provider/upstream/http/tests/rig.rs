//! A server that asks the test for each answer, and a wire to it that tells all that comes.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, Response};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming as Received;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::super::{Limits, open};
use crate::protocol::{Incoming, Revision};
use crate::provider::upstream::spec::{HttpTarget, HttpTransport, UpstreamAuth};
use crate::provider::upstream::wire::{Closing, Failure, Inbox, Order, Outbound, Wire};

type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// Nothing in these tests takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn within<T>(happens: impl Future<Output = T>) -> T {
    timeout(PATIENCE, happens).await.expect("it hangs")
}

/// A server on a free port. Dropping it closes all connections.
pub(super) struct Server {
    pub(super) origin: String,
    asked: mpsc::Receiver<Asked>,
    _tasks: JoinSet<()>,
}

/// A request that waits for its answer.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The number of its connection.
    pub(super) connection: usize,
    answer: oneshot::Sender<Response<Body>>,
    kill: AbortHandle,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (sender, (own, owned)) = (sender.clone(), oneshot::channel());
                let handle = connections.spawn(async move {
                    let kill: AbortHandle = owned.await.unwrap();
                    let serve = service_fn(move |request| {
                        ask(request, connection, sender.clone(), kill.clone())
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), serve).await;
                });
                own.send(handle).unwrap();
            }
        });
        Self { origin, asked, _tasks: tasks }
    }

    /// The next request that comes.
    pub(super) async fn next(&mut self) -> Asked {
        within(self.asked.recv()).await.unwrap()
    }

    /// What a wire takes to come here.
    pub(super) fn target(&self, path: &str) -> HttpTarget {
        HttpTarget {
            url: format!("{}{path}", self.origin),
            transport: HttpTransport::Auto,
            headers: Default::default(),
            auth: None,
        }
    }
}

async fn ask(
    request: Request<Received>,
    connection: usize,
    asked: mpsc::Sender<Asked>,
    kill: AbortHandle,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let (answer, answered) = oneshot::channel();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let (method, headers) = (parts.method, parts.headers);
    let asked_now = Asked { method, path, headers, body, connection, answer, kill };
    // A test that is over takes no more requests, and leaves some unanswered.
    let _ = asked.send(asked_now).await;
    match answered.await {
        Ok(response) => Ok(response),
        Err(_) => std::future::pending().await,
    }
}

impl Asked {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Answers with a status, headers and a body.
    pub(super) fn answer(self, status: u16, headers: &[(&str, &str)], body: &str) {
        let body = Either::Left(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        let _ = self.answer.send(response(status, headers, body));
    }

    /// Answers with JSON.
    pub(super) fn reply(self, status: u16, body: Value) {
        self.answer(status, &[("content-type", "application/json")], &body.to_string());
    }

    /// Answers the request with a result.
    pub(super) fn result(self, result: Value) {
        let id = self.json()["id"].clone();
        self.reply(200, json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }

    /// Begins a body of this type.
    pub(super) fn begin(self, content_type: &str) -> Streaming {
        let (sender, body) = Channel::new(4);
        let headers = [(CONTENT_TYPE.as_str(), content_type)];
        let _ = self.answer.send(response(200, &headers, Either::Right(body)));
        Streaming { sender, kill: self.kill }
    }

    pub(super) fn stream(self) -> Streaming {
        self.begin("text/event-stream")
    }

    /// Closes the connection instead of answering.
    pub(super) fn hang_up(self) {
        self.kill.abort();
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body).unwrap()
}

/// A body that is sent piece by piece. Dropping it ends it in order.
pub(super) struct Streaming {
    sender: Sender<Bytes, io::Error>,
    kill: AbortHandle,
}

impl Streaming {
    pub(super) async fn send(&mut self, text: &str) {
        within(self.sender.send_data(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
    }

    /// Sends a message as an event, with an id where there is one.
    pub(super) async fn event(&mut self, id: &str, message: Value) {
        let id = if id.is_empty() { String::new() } else { format!("id: {id}\n") };
        self.send(&format!("{id}data: {message}\n\n")).await;
    }

    /// Closes the connection in the middle.
    pub(super) fn cut(self) {
        self.kill.abort();
        self.sender.abort(io::ErrorKind::ConnectionReset.into());
    }

    /// Waits until the client has gone.
    pub(super) async fn left(mut self) {
        let comment = Bytes::from_static(b":\n\n");
        within(async move { while self.sender.send_data(comment.clone()).await.is_ok() {} }).await;
    }
}

/// What comes over a wire.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// A message, in short, and the request that it belongs to.
    Message(String, Option<u64>),
    Failed(u64, Failure),
}

struct Letters(mpsc::Sender<Came>);

impl Inbox for Letters {
    fn message(&self, message: Incoming, of: Option<u64>) {
        self.0.try_send(Came::Message(short(&message), of)).unwrap();
    }

    fn failed(&self, id: u64, failure: Failure) {
        self.0.try_send(Came::Failed(id, failure)).unwrap();
    }
}

fn short(message: &Incoming) -> String {
    match message {
        Incoming::Request(request) => format!("{} {}", request.method, request.id),
        Incoming::Notification(notification) => notification.method.clone(),
        Incoming::Response { id, outcome } => {
            let id = id.as_ref().map(ToString::to_string).unwrap_or_default();
            match outcome {
                Ok(result) => format!("{id} {result}"),
                Err(error) => format!("{id} error {error}"),
            }
        }
    }
}

/// The end of a wire that gives orders.
pub(super) struct Rig {
    pub(super) orders: Option<mpsc::Sender<Order>>,
    came: mpsc::Receiver<Came>,
    work: JoinSet<Closing>,
}

fn limits() -> Limits {
    Limits {
        message_bytes: 10_000,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_secs(5),
        ..Limits::default()
    }
}

impl Rig {
    pub(super) fn open(target: &HttpTarget, transport: HttpTransport) -> Self {
        Self::within_limits(target, transport, limits())
    }

    pub(super) fn with_requests(server: &Server, requests: usize) -> Self {
        let limits = Limits { requests, ..limits() };
        Self::within_limits(&server.target("/mcp"), HttpTransport::Streamable, limits)
    }

    fn within_limits(target: &HttpTarget, transport: HttpTransport, limits: Limits) -> Self {
        let (sender, came) = mpsc::channel(256);
        let Wire { orders, work } =
            open(target, transport, limits, Arc::new(Letters(sender))).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        Self { orders: Some(orders), came, work: tasks }
    }

    pub(super) fn to(server: &Server) -> Self {
        Self::open(&server.target("/mcp"), HttpTransport::Streamable)
    }

    pub(super) fn with_auth(server: &Server, auth: UpstreamAuth) -> Self {
        let target = HttpTarget { auth: Some(auth), ..server.target("/mcp") };
        Self::open(&target, HttpTransport::Streamable)
    }

    /// A wire on which a session was opened, whose server has no stream of its own.
    pub(super) async fn in_session(server: &mut Server) -> Self {
        let (rig, stream) = Self::with_stream(server).await;
        stream.answer(405, &[], "");
        rig
    }

    /// A wire on which a session was opened, and the request for the server's own stream.
    pub(super) async fn with_stream(server: &mut Server) -> (Self, Asked) {
        let mut rig = Self::to(server);
        rig.request(0, "initialize").await;
        let asked = server.next().await;
        let headers = [("content-type", "application/json"), ("mcp-session-id", "s-1")];
        asked.answer(200, &headers, r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
        assert_eq!(rig.next().await, answer(0, "{}"));
        rig.order(Order::Speak(Revision::V2025_11_25)).await;
        rig.notify("notifications/initialized").await;
        server.next().await.answer(202, &[], "");
        let stream = server.next().await;
        assert_eq!(stream.method, Method::GET);
        (rig, stream)
    }

    pub(super) async fn order(&self, order: Order) {
        within(self.orders.as_ref().unwrap().send(order)).await.unwrap();
    }

    pub(super) async fn request(&self, id: u64, method: &'static str) {
        let text = json!({ "jsonrpc": "2.0", "id": id, "method": method }).to_string().into();
        let request = Outbound { id, text, method, name: None, mirrored: Vec::new() };
        self.order(Order::Request(request)).await;
    }

    pub(super) async fn notify(&self, method: &str) {
        let text = json!({ "jsonrpc": "2.0", "method": method }).to_string();
        self.order(Order::Message(text.into())).await;
    }

    /// The next that comes.
    pub(super) async fn next(&mut self) -> Came {
        within(self.came.recv()).await.unwrap()
    }

    /// The next that comes is that a request failed.
    pub(super) async fn failure(&mut self) -> Failure {
        match self.next().await {
            Came::Failed(_, failure) => failure,
            came @ Came::Message(..) => panic!("{came:?}"),
        }
    }

    /// How the wire ends, by itself.
    pub(super) async fn closing(&mut self) -> Closing {
        within(self.work.join_next()).await.unwrap().unwrap()
    }

    /// Closes the wire in order.
    pub(super) fn close(&mut self) {
        self.orders = None;
    }
}

/// The answer to a request, on its own stream.
pub(super) fn answer(id: u64, result: &str) -> Came {
    Came::Message(format!("{id} {result}"), Some(id))
}

pub(super) fn response_to(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": {} })
}

pub(super) fn notification(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": method })
}
