//! Many servers, and how fast things go: starting, failing, coming back, reloading.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::behind::{Behind, signal, unruly};
use crate::conformance::example;
use crate::harness::{client, initialize, modern, modern_headers, send};

/// Servers of one node.
const SERVERS: usize = 200;
/// A call of a dead server fails within this time.
const FAILS_WITHIN: Duration = Duration::from_millis(5);
/// A killed server is back within this time and what it takes itself.
const BACK_WITHIN: Duration = Duration::from_millis(100);
/// How often that is tried. Other tests run meanwhile, so half of them count.
const TRIES: usize = 9;
const RELOADS: usize = 100;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn many_servers_start_at_once_and_the_node_answers_meanwhile() {
    let names: Vec<String> = (0..SERVERS).map(|number| format!("s{number}")).collect();
    let servers: Map<String, Value> =
        names.iter().map(|name| (name.clone(), unruly(&["--slow-start", "500"]))).collect();
    let began = Instant::now();
    let node = Behind::start(servers.into());
    let serves = began.elapsed();
    let over = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn({
        let (url, over) = (node.process.url(), Arc::clone(&over));
        async move {
            let (client, mut longest) = (client(), Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let headers = modern_headers("server/discover", "");
                let body = modern(1, "server/discover", json!({}));
                assert_eq!(send(&client, Method::POST, &url, &headers, &body).await.code(), 0);
                longest = longest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            longest
        }
    });
    for name in &names {
        node.ready(name).await;
    }
    let all = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let longest = other.await.unwrap();
    println!("the node serves after {serves:?}, all {SERVERS} servers after {all:?}");
    println!("the longest answer meanwhile took {longest:?}");
    // One after the other they would take this long by their pauses alone.
    assert!(all < Duration::from_millis(500) * 100, "{all:?}");
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_fails_its_calls_at_once() {
    let node = Behind::start(json!({ "dead": unruly(&["--exit-at-start", "1"]) }));
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let began = Instant::now();
        let answer = node.call("dead__echo", json!({})).await;
        times.push(began.elapsed());
        assert_eq!(answer["error"]["code"], -31007, "{answer}");
    }
    let median = median(times);
    println!("a call of a dead server fails after {median:?}");
    assert!(median < FAILS_WITHIN, "{median:?}");
    node.stop_whole();
}

/// How long the server itself takes from its start to its first answer.
async fn own_start() -> Duration {
    let began = Instant::now();
    let mut server = Command::new(example("unruly"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let line = format!("{}\n", initialize("2025-11-25"));
    server.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().unwrap();
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_back_at_once() {
    let mut starts = Vec::new();
    for _ in 0..TRIES {
        starts.push(own_start().await);
    }
    let names: Vec<String> = (0..TRIES).map(|number| format!("s{number}")).collect();
    let servers: Map<String, Value> =
        names.iter().map(|name| (name.clone(), unruly(&[]))).collect();
    let node = Behind::start(servers.into());
    for name in &names {
        node.ready(name).await;
    }
    let mut times = Vec::new();
    for name in &names {
        let pid = node.pids(name)[0];
        let began = Instant::now();
        signal(pid, "KILL");
        // It may still answer what came before the signal.
        while node.ready(name).await.0 == pid {}
        times.push(began.elapsed());
    }
    let (start, back) = (median(starts), median(times));
    println!("a server starts within {start:?}, and is back after a kill within {back:?}");
    assert!(back < start + BACK_WITHIN, "{back:?}, and {start:?} of its own");
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_fail_no_call() {
    let file = |extra: bool| {
        let mut servers = json!({ "steady": unruly(&[]) });
        servers["ruled"] = unruly(&[]);
        servers["ruled"]["max_restarts"] = json!(if extra { 7 } else { 5 });
        if extra {
            servers["extra"] = unruly(&[]);
        }
        servers
    };
    let node = Behind::start(file(false));
    let (steady, _) = node.ready("steady").await;
    let (ruled, _) = node.ready("ruled").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for tool in ["steady__echo", "ruled__echo"] {
        let (session, over) = (node.session(json!({})).await, Arc::clone(&over));
        clients.spawn(async move {
            let mut calls = 0;
            while !over.load(Ordering::Relaxed) {
                calls += 1;
                let answer = session.call(calls, tool, json!({ "text": "x" })).await;
                assert_eq!(answer.code(), 0, "{tool}: {answer:?}");
            }
            calls
        });
    }
    let began = Instant::now();
    for number in 0..RELOADS {
        node.rewrite(file(number % 2 == 0));
        node.process.run(&["reload"], 0);
    }
    let took = began.elapsed();
    // A file that can't be read changes nothing, and says why.
    node.process.scratch.file("mcp.json", r#"{ "mcpServers": { "steady": { "comand": "x" } } }"#);
    let told = node.process.run(&["reload"], 1);
    assert!(told.contains("comand"), "{told}");
    over.store(true, Ordering::Relaxed);
    let calls: i32 = clients.join_all().await.into_iter().sum();
    println!("{RELOADS} reloads within {took:?}, {calls} calls meanwhile");
    assert_eq!(node.ready("steady").await.0, steady, "it was not touched");
    assert_eq!(node.ready("ruled").await.0, ruled, "it goes on under other rules");
    node.stop_whole();
}
