//! What happens in a storm, step by step, and what has to be true behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use erlmcp::catalogue::Scope;
use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use super::exchange::{Outcome, Plan, Reply, run};
use crate::dice::Dice;
use crate::events::Events;
use crate::harness::{Session, TestNode, client, modern, modern_headers, until, within};
use crate::hostile::counted;

/// Sessions at once.
const SESSIONS: usize = 6;
/// Tools, the long ones oftener.
const TOOLS: [&str; 7] = [
    "demo__fail",
    "test__hold",
    "test__hold",
    "test__panic",
    "talk__tell",
    "talk__ask",
    "talk__wait",
];

/// A request that goes on; whoever wants to leave aborts it.
struct Running {
    plan: Plan,
    task: JoinHandle<Outcome>,
}

pub(super) struct Weather {
    seed: u64,
    dice: Dice,
    node: TestNode,
    client: Client,
    next_id: usize,
    sessions: Vec<Session>,
    running: Vec<Running>,
    streams: Vec<Events>,
    told: JoinSet<()>,
    outcomes: Vec<i64>,
}

impl Weather {
    pub(super) async fn new(seed: u64) -> Self {
        let node = TestNode::start_with(|config| {
            config.requests.timeout_ms = 2_000;
            config.sessions.ask_timeout_ms = 500;
        })
        .await;
        Self {
            seed,
            dice: Dice::new(seed),
            node,
            client: client(),
            next_id: 1,
            sessions: Vec::new(),
            running: Vec::new(),
            streams: Vec::new(),
            told: JoinSet::new(),
            outcomes: Vec::new(),
        }
    }

    pub(super) async fn step(&mut self) {
        match self.dice.roll(20) {
            0 | 1 => self.open().await,
            2..=10 => self.call(),
            11 => self.cancel(),
            12 | 13 => self.disconnect(),
            14 => self.kill(),
            15 => self.delete().await,
            16 => self.listen().await,
            17 => drop(self.streams.pop()),
            18 => self.release(),
            _ => self.settle_one().await,
        }
        for _ in 0..self.dice.roll(4) {
            tokio::task::yield_now().await;
        }
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.node.url)
    }

    async fn open(&mut self) {
        if self.sessions.len() < SESSIONS {
            let capabilities = json!({ "elicitation": {} });
            let (client, url) = (self.client.clone(), self.url());
            let session = Session::open_with(client, &url, "2025-11-25", capabilities).await;
            self.sessions.push(session);
        }
    }

    fn call(&mut self) {
        let dice = &mut self.dice;
        let session = if dice.once_in(3) { None } else { dice.pick(&self.sessions).cloned() };
        let tool = *dice.pick(&TOOLS).unwrap();
        let events = tool == "talk__ask" || !dice.once_in(3);
        let resumes = events && session.is_some() && dice.once_in(3);
        let reply = *dice.pick(&[Reply::Accept, Reply::Refuse, Reply::Never]).unwrap();
        let (id, client) = (self.next_id, self.client.clone());
        self.next_id += 1;
        let (url, cancelled) = (self.url(), Arc::default());
        let plan = Plan { client, url, session, id, tool, events, resumes, reply, cancelled };
        let task = tokio::spawn(run(plan.clone()));
        self.running.push(Running { plan, task });
    }

    fn cancel(&mut self) {
        let Some(Running { plan, .. }) = self.dice.pick(&self.running) else { return };
        let Some(session) = plan.session.clone() else { return };
        plan.cancelled.store(true, Ordering::Relaxed);
        let params = json!({ "requestId": plan.id });
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        self.told.spawn(async move {
            session.post(&cancel.to_string()).await;
        });
    }

    /// The client goes away; nobody is there for the outcome.
    fn disconnect(&mut self) {
        if !self.running.is_empty() {
            let left = self.running.swap_remove(self.dice.roll(self.running.len()));
            left.task.abort();
        }
    }

    fn kill(&mut self) {
        let Some(session) = self.dice.pick(&self.sessions) else { return };
        let record = self.node.node.sessions().table.find(&session.id, &Scope::Federated).unwrap();
        if let Some(actor) = record.actor().borrow().as_ref() {
            actor.kill();
        }
    }

    async fn delete(&mut self) {
        if !self.sessions.is_empty() {
            let session = self.sessions.swap_remove(self.dice.roll(self.sessions.len()));
            self.end(&session).await;
        }
    }

    async fn end(&self, session: &Session) {
        let headers = [("mcp-session-id", session.id.as_str())];
        let ended = self.node.send(Method::DELETE, "/mcp", &headers, "").await;
        assert_eq!(ended.status.as_u16(), 204, "seed {}: {ended:?}", self.seed);
    }

    async fn listen(&mut self) {
        let stream = match self.dice.pick(&self.sessions) {
            Some(session) => session.stream(None).await,
            None => {
                let filter = json!({ "notifications": { "toolsListChanged": true } });
                let body = modern("listen", "subscriptions/listen", filter);
                let headers = modern_headers("subscriptions/listen", "");
                Events::open(Method::POST, &self.url(), &headers, &body).await
            }
        };
        self.streams.push(stream);
        self.node.talker.update("talk://nobody");
    }

    fn release(&mut self) {
        self.node.held.release.add_permits(self.dice.roll(4));
        self.node.talker.go.add_permits(self.dice.roll(4));
    }

    /// Waits for a request that may be long.
    async fn settle_one(&mut self) {
        if !self.running.is_empty() {
            let one = self.running.swap_remove(self.dice.roll(self.running.len()));
            self.settled(one).await;
        }
    }

    async fn settled(&mut self, running: Running) {
        let outcome = within(running.task).await.unwrap();
        let code = outcome.unwrap_or_else(|what| panic!("seed {}: {what}", self.seed));
        self.outcomes.push(code);
    }

    /// All requests get their outcome, all sessions end, and nothing is left of any of them.
    pub(super) async fn calm(mut self) {
        for running in std::mem::take(&mut self.running) {
            self.settled(running).await;
        }
        while let Some(told) = within(self.told.join_next()).await {
            told.unwrap();
        }
        self.streams.clear();
        for session in std::mem::take(&mut self.sessions) {
            self.end(&session).await;
        }
        let (seed, node) = (self.seed, &self.node);
        assert!(node.node.sessions().table.is_empty(), "seed {seed}");
        until(|| node.node.metrics().in_flight.get() == 0).await;
        until(|| {
            let text = node.node.metrics().encode().unwrap();
            let mut open = text.lines().filter(|line| line.starts_with("erlmcp_open_streams{"));
            open.all(|line| line.ends_with(" 0"))
        })
        .await;
        let supervisor = node.node.slots().sessions.get().unwrap();
        within(async { while supervisor.count_children().await.unwrap().active > 0 {} }).await;
        // Whatever was begun has ended, once.
        let (mut begun, mut ended) = (0, 0);
        until(|| {
            let more = counted(&node.held);
            (begun, ended) = (begun + more.0, ended + more.1);
            begun == ended
        })
        .await;
        println!("storm {seed}: {} outcomes, {begun} calls held", self.outcomes.len());
        self.node.stop().await;
    }
}
