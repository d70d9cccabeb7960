//! A client of each era that calls all the time, and has to notice nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::harness::{Answer, PATIENCE, TestNode, modern, modern_headers, send, until, within};

/// How often each calls: often enough to meet whatever goes wrong, and no load by itself.
const PACE: Duration = Duration::from_millis(5);
/// Far more than a call takes, even where the machine has other things to do.
const SLOW: Duration = Duration::from_secs(30);

/// The clients.
pub(crate) struct Bystander {
    stopped: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    clients: JoinSet<Vec<String>>,
}

impl Bystander {
    pub(crate) async fn of(node: &TestNode) -> Self {
        let clients = JoinSet::new();
        let mut all = Self { stopped: Arc::default(), calls: Arc::default(), clients };
        let mut session = node.session().await;
        // The nodes of these tests close what is idle for a moment: no connection is kept.
        session.client = fresh();
        all.calls_on(move |number| {
            let session = session.clone();
            async move { session.call(number, "demo__echo", text(number)).await }
        });
        let (url, client) = (format!("{}/mcp", node.url), fresh());
        all.calls_on(move |number| {
            let (url, client) = (url.clone(), client.clone());
            async move {
                let params = json!({ "name": "demo__echo", "arguments": text(number) });
                let body = modern(number, "tools/call", params);
                let headers = modern_headers("tools/call", "demo__echo");
                send(&client, Method::POST, &url, &headers, &body).await
            }
        });
        all.went_on().await;
        all
    }

    fn calls_on<F: Future<Output = Answer> + Send>(
        &mut self,
        call: impl Fn(usize) -> F + Send + 'static,
    ) {
        let (stopped, calls) = (self.stopped.clone(), self.calls.clone());
        self.clients.spawn(async move {
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                pace.tick().await;
                let (number, start) = (calls.fetch_add(1, Ordering::Relaxed), Instant::now());
                let answer = call(number).await;
                let is_right = answer.code() == 0
                    && answer.json()["result"]["content"][0] == content(number)
                    && answer.json()["id"] == number;
                if !is_right || start.elapsed() > SLOW {
                    failed.push(format!("{number} after {:?}: {answer:?}", start.elapsed()));
                }
            }
            failed
        });
    }

    /// Waits until both have called some more.
    pub(crate) async fn went_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        until(|| self.calls.load(Ordering::Relaxed) > before + 10).await;
    }

    /// Both go on, and none of their calls failed.
    pub(crate) async fn noticed_nothing(mut self) {
        self.went_on().await;
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(failed) = within(self.clients.join_next()).await {
            let failed = failed.unwrap();
            assert!(failed.is_empty(), "{} calls failed: {failed:#?}", failed.len());
        }
    }
}

/// A client that connects anew for each request.
fn fresh() -> Client {
    let builder = Client::builder().no_proxy().timeout(PATIENCE);
    builder.pool_max_idle_per_host(0).build().unwrap()
}

fn text(number: usize) -> serde_json::Value {
    json!({ "text": format!("number {number}") })
}

fn content(number: usize) -> serde_json::Value {
    json!({ "type": "text", "text": format!("number {number}") })
}
