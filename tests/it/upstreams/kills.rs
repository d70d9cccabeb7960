//! Servers that are killed at random under load: each request is answered once, clients of other
//! servers notice nothing, and nothing is left.
//!
//! `make test` has a few kills, `make kills` a thousand; `ERLMCP_KILLS=…` says how many, and
//! `ERLMCP_KILLS_SEED=…` begins with that seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::behind::{Behind, signal, unruly, unruly_with};
use crate::dice::Dice;
use crate::harness::{client, modern, modern_headers, send, until};

/// Kills where nothing else is said.
const KILLS: u64 = 20;
/// A server that was well for so long begins anew: when it ends it is started again at once. One in
/// so many is not given that time, and is killed while it starts, or rests.
const SETTLED: Duration = Duration::from_millis(1_100);
const HASTY_ONE_IN: usize = 10;
/// The servers that are killed, and one that is spared.
const SERVERS: [&str; 4] = ["a", "b", "c", "spared"];
const VICTIMS: usize = 3;
/// Clients of each server.
const CLIENTS: usize = 4;
/// An upstream that isn't there, and one that ended meanwhile.
const DOWN: i64 = -31007;
const LOST: i64 = -31008;
/// The node's memory may be larger by so much afterwards: that of its allocator.
const GROWTH: u64 = 24 * 1024 * 1024;

fn variable(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("it is a number"))
}

/// What a client got.
#[derive(Default)]
struct Tally {
    good: usize,
    /// Calls that were told that the server is down or lost, with their times.
    failed: Vec<(i64, Instant, Instant)>,
    /// What no client should be told.
    wrong: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.failed.extend(other.failed);
        self.wrong = self.wrong.take().or(other.wrong);
    }
}

/// When a server was not as it should be.
#[derive(Default)]
struct Outages {
    since: Option<Instant>,
    over: Vec<(Instant, Instant)>,
}

impl Outages {
    fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// It answers again; gives how long it did not.
    fn end(&mut self) -> Option<Duration> {
        let since = self.since.take()?;
        self.over.push((since, Instant::now()));
        Some(since.elapsed())
    }

    /// Whether a call may have met one.
    fn explain(&self, began: Instant, ended: Instant) -> bool {
        self.over.iter().any(|(from, to)| began <= *to && ended >= *from)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_cost_the_calls_of_the_killed_and_nothing_else() {
    let (kills, seed) = (variable("ERLMCP_KILLS", KILLS), variable("ERLMCP_KILLS_SEED", 1));
    println!("seed {seed}");
    // None of them is ever given up, and each is started again soon.
    let keys = json!({ "max_restarts": 10_000, "window_s": 1 });
    let victim = || unruly_with(&[], keys.clone());
    let servers = json!({ "a": victim(), "b": victim(), "c": victim(), "spared": unruly(&[]) });
    let node = Behind::start(servers);
    for server in SERVERS {
        node.ready(server).await;
    }
    let mut load = Load::start(&node);
    load.warm().await;
    let memory = node.process.memory();
    let began = Instant::now();
    let (outages, mut recoveries) = kill(&node, kills, seed).await;
    let took = began.elapsed();
    let tallies = load.stop().await;
    until(|| node.process.json(&["status", "--json"])["requests_in_flight"] == 0).await;
    let grown = node.process.memory().saturating_sub(memory);
    recoveries.sort_unstable();
    report(&tallies, &recoveries, kills, took, (memory, grown));
    check(&tallies, &outages);
    for server in SERVERS {
        assert_eq!(node.pids(server).len(), 1, "{server}");
    }
    until(|| node.zombies() == 0).await;
    assert!(grown < GROWTH, "the node grew by {grown} bytes");
    node.stop_whole();
}

/// Kills servers at random, now and then before they are well.
async fn kill(node: &Behind, kills: u64, seed: u64) -> (Vec<Outages>, Vec<Duration>) {
    let mut dice = Dice::new(seed);
    let mut outages: Vec<Outages> = SERVERS.iter().map(|_| Outages::default()).collect();
    let mut recoveries = Vec::new();
    let mut well = [Instant::now(); VICTIMS];
    for _ in 0..kills {
        let victim = dice.roll(VICTIMS);
        let is_hasty = dice.once_in(HASTY_ONE_IN);
        if !is_hasty {
            tokio::time::sleep_until((well[victim] + SETTLED).into()).await;
        }
        let mut pids = Vec::new();
        until(|| {
            pids = node.pids(SERVERS[victim]);
            !pids.is_empty()
        })
        .await;
        outages[victim].begin();
        pids.iter().for_each(|pid| signal(*pid, "KILL"));
        if !is_hasty {
            back(node, victim, &pids).await;
            recoveries.extend(outages[victim].end());
            well[victim] = Instant::now();
        }
    }
    for (victim, outages) in outages.iter_mut().enumerate().take(VICTIMS) {
        back(node, victim, &[]).await;
        recoveries.extend(outages.end());
    }
    (outages, recoveries)
}

/// Waits until a server answers by another process than these.
async fn back(node: &Behind, victim: usize, killed: &[u32]) {
    while killed.contains(&node.ready(SERVERS[victim]).await.0) {}
}

fn check(tallies: &BTreeMap<&str, Tally>, outages: &[Outages]) {
    for (server, outages) in SERVERS.iter().zip(outages) {
        let tally = &tallies[server];
        assert!(
            tally.wrong.is_none(),
            "a client of {server} got {}",
            tally.wrong.as_ref().unwrap()
        );
        for (code, began, ended) in &tally.failed {
            let explained = outages.explain(*began, *ended);
            assert!(explained, "a client of {server} got {code} while it was well");
        }
        assert!(tally.good > 0, "{server} answered nobody");
    }
}

fn report(
    tallies: &BTreeMap<&str, Tally>,
    recoveries: &[Duration],
    kills: u64,
    took: Duration,
    (memory, grown): (u64, u64),
) {
    let at = |part: usize| recoveries.get(recoveries.len() * part / 100).map(Duration::as_millis);
    let last = recoveries.last().map(Duration::as_millis);
    println!("{kills} kills within {:.1} s", took.as_secs_f64());
    println!("recovery: p50 {:?} ms, p99 {:?} ms, longest {last:?} ms", at(50), at(99));
    println!("the node's memory: {memory} bytes, and {grown} more afterwards");
    for (server, tally) in tallies {
        let of = |code| tally.failed.iter().filter(|failed| failed.0 == code).count();
        println!("{server}: {} answered, {} down, {} lost", tally.good, of(DOWN), of(LOST));
    }
}

/// Clients of all servers.
struct Load {
    over: Arc<AtomicBool>,
    clients: JoinSet<(&'static str, Tally)>,
}

impl Load {
    fn start(node: &Behind) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for (number, server) in SERVERS.iter().cycle().take(SERVERS.len() * CLIENTS).enumerate() {
            let (url, over) = (node.process.url(), Arc::clone(&over));
            clients.spawn(async move { (*server, calls(&url, server, number, &over).await) });
        }
        Self { over, clients }
    }

    /// Lets the node get what memory it needs for such a load.
    async fn warm(&mut self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    async fn stop(mut self) -> BTreeMap<&'static str, Tally> {
        self.over.store(true, Ordering::Relaxed);
        let mut tallies = BTreeMap::<_, Tally>::new();
        while let Some(ended) = self.clients.join_next().await {
            let (server, tally) = ended.unwrap();
            tallies.entry(server).or_default().add(tally);
        }
        tallies
    }
}

/// One client's calls, each with a text of its own.
async fn calls(url: &str, server: &str, number: usize, over: &AtomicBool) -> Tally {
    let (client, tool) = (client(), format!("{server}__echo"));
    let mut tally = Tally::default();
    for call in 1_u64.. {
        if over.load(Ordering::Relaxed) || tally.wrong.is_some() {
            break;
        }
        let text = format!("{number}-{call}");
        let began = Instant::now();
        match outcome(&client, url, &tool, call, &text).await {
            Ok(()) => tally.good += 1,
            Err((code @ (DOWN | LOST), _)) => {
                tally.failed.push((code, began, Instant::now()));
                // Nobody asks a dead server as fast as it is refused.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err((_, answer)) => tally.wrong = Some(answer),
        }
    }
    tally
}

/// One call: its own text back, or the code of its one error.
async fn outcome(
    client: &Client,
    url: &str,
    tool: &str,
    id: u64,
    text: &str,
) -> Result<(), (i64, String)> {
    let params = json!({ "name": tool, "arguments": { "text": text } });
    let (headers, body) = (modern_headers("tools/call", tool), modern(id, "tools/call", params));
    let answer = send(client, Method::POST, url, &headers, &body).await;
    let wrong = || (0, format!("{answer:?}"));
    // One message alone can be read as JSON.
    let message: Value = serde_json::from_str(&answer.text).map_err(|_| wrong())?;
    if message["id"] != id {
        return Err(wrong());
    }
    if let Some(code) = message["error"]["code"].as_i64() {
        return Err((code, message.to_string()));
    }
    let good = message["result"]["content"][0]["text"] == text && answer.status == StatusCode::OK;
    if good { Ok(()) } else { Err(wrong()) }
}
