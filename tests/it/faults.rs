//! Parts are killed while fifty clients call: who was not touched notices nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use erlmcp::admission::Admission;
use erlmcp::catalogue::Scope;
use erlmcp::config::Config;
use erlmcp::node::{Doors, Ends, Node};
use erlmcp::protocol::Notification;
use erlmcp::tree::Slots;
use ractor::ActorCell;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::{
    Answer, PATIENCE, Session, TestNode, client, initialize, modern, request, until, within,
};

const CLIENTS: usize = 50;
/// Calls that each client makes after a kill, so that it would notice.
const CALLS_AFTER: u64 = 5;

/// What the clients and the test tell each other.
struct Calls {
    made: [AtomicU64; CLIENTS],
    one_more: Notify,
    stopped: AtomicBool,
}

impl Calls {
    fn made(&self) -> Vec<u64> {
        self.made.iter().map(|made| made.load(Ordering::Relaxed)).collect()
    }
}

/// Clients that call all the time, and check each answer.
struct Callers {
    sessions: Vec<Session>,
    calls: Arc<Calls>,
    tasks: JoinSet<Vec<(usize, Answer)>>,
}

impl Callers {
    async fn start(node: &TestNode) -> Self {
        let calls = Arc::new(Calls {
            made: std::array::from_fn(|_| AtomicU64::new(0)),
            one_more: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        let (mut sessions, mut tasks) = (Vec::new(), JoinSet::new());
        for number in 0..CLIENTS {
            let url = format!("{}/mcp", node.url);
            let session = Session::open(caller(number), &url, "2025-11-25").await;
            sessions.push(session.clone());
            tasks.spawn(call_on(number, session, calls.clone()));
        }
        Self { sessions, calls, tasks }
    }

    /// Waits until each client has made some more calls.
    async fn go_on(&self) {
        let before = self.calls.made();
        let enough = |now: Vec<u64>| now.iter().zip(&before).all(|(n, b)| *n >= b + CALLS_AFTER);
        within(async {
            while !enough(self.calls.made()) {
                self.calls.one_more.notified().await;
            }
        })
        .await;
    }

    /// Stops them; gives the calls that failed.
    async fn failed(mut self) -> Vec<(usize, Answer)> {
        self.calls.stopped.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        while let Some(client) = within(self.tasks.join_next()).await {
            failed.extend(client.unwrap());
        }
        let made: u64 = self.calls.made().iter().sum();
        println!("{made} calls by {CLIENTS} clients, {} of them failed", failed.len());
        failed
    }
}

/// Every second client opens a new connection for each call, so that it meets the listener.
fn caller(number: usize) -> reqwest::Client {
    if number.is_multiple_of(2) {
        return client();
    }
    let fresh = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
    fresh.timeout(PATIENCE).build().unwrap()
}

async fn call_on(number: usize, session: Session, calls: Arc<Calls>) -> Vec<(usize, Answer)> {
    let mut failed = Vec::new();
    while !calls.stopped.load(Ordering::Relaxed) {
        let call = calls.made[number].fetch_add(1, Ordering::Relaxed);
        let (id, text) = (format!("{number}/{call}"), format!("text {number}/{call}"));
        let answer = session.call(id.as_str(), "demo__echo", json!({ "text": text })).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        assert_eq!(answer.json()["id"], id, "an answer to somebody else's call");
        if answer.code() == 0 {
            assert_eq!(answer.json()["result"]["content"][0]["text"], text);
        } else {
            failed.push((number, answer));
        }
        calls.one_more.notify_one();
    }
    failed
}

/// Calls of `test__hold` in flight at one session.
async fn hold(node: &TestNode, session: &Session, count: usize) -> JoinSet<Answer> {
    let mut held = JoinSet::new();
    for number in 0..count {
        let session = session.clone();
        let id = format!("held {number}");
        held.spawn(async move { session.call(id, "test__hold", json!({})).await });
        node.held.started().await;
    }
    held
}

/// Kills an actor, and waits until another one is in its place.
async fn kill(find: impl Fn() -> Option<ActorCell>) {
    let victim = find().expect("it runs");
    victim.kill();
    until(|| find().is_some_and(|next| next.get_id() != victim.get_id())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_fails_its_own_requests_once_and_goes_on() {
    let node = TestNode::start().await;
    let callers = Callers::start(&node).await;
    callers.go_on().await;
    let session = callers.sessions[0].clone();
    let table = &node.node.sessions().table;
    let record = table.find(&session.id, &Scope::Federated).unwrap();
    let held = hold(&node, &session, 5).await;
    kill(|| record.actor().borrow().as_ref().map(|actor| actor.get_cell())).await;
    for answer in within(held.join_all()).await {
        assert_eq!(answer.code(), -32603, "{answer:?}");
        assert_eq!(answer.json()["error"]["data"]["part"], "session", "{answer:?}");
    }
    assert_eq!(record.generation(), 2);
    callers.go_on().await;
    let answer = session.call("after", "demo__echo", json!({ "text": "same id" })).await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], "same id");
    let failed = callers.failed().await;
    // The killed session's own caller may have had its one call in flight.
    assert!(failed.iter().all(|(number, _)| *number == 0), "{failed:?}");
    assert!(failed.len() <= 1, "{failed:?}");
    let metrics = node.probe("/metrics").await.text;
    let labels = r#"supervisor="erlmcp/sessions",child="session",exit="killed""#;
    let restarts = format!("erlmcp_child_restarts_total{{{labels}}} 1");
    assert!(metrics.contains(&restarts), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_tells_its_client_on_when_the_session_s_actor_was_killed() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let work = json!({ "name": "talk__work", "arguments": {}, "task": {} });
    let created = session.post(&request(1, "tools/call", work)).await.json();
    assert_eq!(created["result"]["task"]["status"], "working", "{created}");
    let record = node.node.sessions().table.find(&session.id, &Scope::Federated).unwrap();
    kill(|| record.actor().borrow().as_ref().map(|actor| actor.get_cell())).await;
    let mut own = session.own_stream().await;
    node.talker.go.add_permits(1);
    loop {
        let event = within(own.next()).await.unwrap();
        if event.short() == "notifications/message" {
            assert_eq!(event.json()["params"]["data"], "worked");
            break;
        }
    }
    node.stop().await;
}

/// Kills a part on which no request depends: no call fails, not even those in flight.
async fn nobody_notices(find: impl Fn(&Slots) -> Option<ActorCell>) {
    let node = TestNode::start().await;
    let callers = Callers::start(&node).await;
    callers.go_on().await;
    let held = hold(&node, &callers.sessions[1], 5).await;
    kill(|| find(node.node.slots())).await;
    callers.go_on().await;
    node.held.release.add_permits(5);
    for answer in within(held.join_all()).await {
        assert_eq!(answer.code(), 0, "{answer:?}");
    }
    let failed = callers.failed().await;
    assert!(failed.is_empty(), "{failed:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_registry_is_noticed_by_nobody() {
    nobody_notices(|slots| slots.registry.get().map(|actor| actor.get_cell())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_listener_breaks_no_connection_and_loses_none() {
    nobody_notices(|slots| slots.http.get().map(|actor| actor.get_cell())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_control_listener_is_noticed_by_no_client() {
    nobody_notices(|slots| slots.control.get().map(|actor| actor.get_cell())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_even_their_supervisor() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let root = node.node.root();
    root.terminate_child("sessions").await.unwrap();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.call(1, "demo__echo", json!({ "text": "x" })).await }
    });
    root.restart_child("sessions").await.unwrap();
    let answer = within(waiting).await.unwrap();
    assert_eq!(answer.code(), 0, "{answer:?}");
    assert_eq!(session.call(2, "demo__echo", json!({ "text": "x" })).await.code(), 0);
    node.stop().await;
}

/// A session is revived by the request that finds it dead. If that one goes away in the middle, the
/// session is revived all the same, and can be revived again.
#[tokio::test(flavor = "multi_thread")]
async fn a_revival_outlives_whoever_asked_for_it() {
    let node = TestNode::start().await;
    let sessions = node.node.sessions();
    let admission = Admission::new(&Default::default(), Default::default());
    for polls in 1..8 {
        let session = node.session().await;
        let record = sessions.table.find(&session.id, &Scope::Federated).unwrap();
        for _ in 0..2 {
            let root = node.node.root();
            root.terminate_child("sessions").await.unwrap();
            root.restart_child("sessions").await.unwrap();
            let method = "notifications/initialized".to_owned();
            let place = admission.admit().unwrap();
            let told = sessions.notify(&record, Notification { method, params: None }, place);
            let mut told = Box::pin(told);
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                let pending = told.as_mut().poll(context).is_pending();
                if pending && left > 0 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            drop(told);
            let answer = session.call("x", "demo__echo", json!({ "text": "x" })).await;
            assert_eq!(answer.code(), 0, "dropped after {polls} polls: {answer:?}");
        }
    }
    node.stop().await;
}

/// Whoever tells sessions what changed is not owed anything: the next one says "look again".
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_the_bulletin_is_down_is_told_by_the_next() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let mut stream = session.own_stream().await;
    let root = node.node.root();
    within(root.terminate_child("bulletin")).await.unwrap();
    node.talker.grow();
    within(root.restart_child("bulletin")).await.unwrap();
    let told = stream.next().await.unwrap();
    assert_eq!(told.short(), "notifications/tools/list_changed");
    for child in ["expiry", "task_expiry"] {
        within(root.terminate_child(child)).await.unwrap();
        assert_eq!(session.call(1, "demo__echo", json!({ "text": "x" })).await.code(), 0);
        within(root.restart_child(child)).await.unwrap();
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_standard_input_may_die() {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(server);
    let ends = Ends { reader: Box::new(reader), writer: Box::new(writer) };
    let doors = Doors { stdio: Some(ends), ..Doors::default() };
    let node = within(Box::pin(Node::start(Config::default(), doors))).await.unwrap();
    let (output, mut input) = tokio::io::split(client);
    let mut output = BufReader::new(output).lines();
    let mut read = async || -> serde_json::Value {
        let line = within(output.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let mut write = async |line: String| {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    };
    write(initialize("2025-11-25")).await;
    assert_eq!(read().await["id"], 1);
    let slow = json!({ "name": "demo__slow", "arguments": { "seconds": 0.5 } });
    write(request("legacy", "tools/call", slow.clone())).await;
    write(modern("modern", "tools/call", slow)).await;
    until(|| node.metrics().in_flight.get() == 2).await;
    let transports = within(node.slots().transports.wait()).await;
    within(transports.terminate_child("stdio")).await.unwrap();
    let died = read().await;
    assert_eq!((&died["id"], &died["error"]["code"]), (&json!("modern"), &json!(-32603)));
    within(transports.restart_child("stdio")).await.unwrap();
    write(request("next", "ping", json!({}))).await;
    let (one, two) = (read().await, read().await);
    assert_eq!((&one["id"], &one["result"]), (&json!("next"), &json!({})));
    assert_eq!((&two["id"], &two["error"]), (&json!("legacy"), &json!(null)), "{two}");
    within(node.stop(PATIENCE)).await;
}
