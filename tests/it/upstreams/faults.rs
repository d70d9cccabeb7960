//! What servers do wrong, one by one: who is told what, how long it takes until then and until the
//! server is back, and that nobody else notices and nothing is left.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::behind::{Behind, signal, unruly, unruly_with};
use crate::events::Events;
use crate::harness::{modern, modern_headers, send, until};

/// An upstream that isn't there; one that ended meanwhile; one that took too long.
const DOWN: i64 = -31007;
const LOST: i64 = -31008;
const TIMED_OUT: i64 = -31001;
/// What it says can't be passed on.
const INVALID: i64 = -31009;

/// The node's memory may grow by so much while a server floods it.
const GROWTH: u64 = 64 * 1024 * 1024;

/// Within this time it is known why a server doesn't come up.
const CAUSE_KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Within this time a silent server is noticed: it is asked after 30 s, and has 10 s to answer.
const SILENCE_NOTICED_WITHIN: Duration = Duration::from_secs(55);
/// Between two calls of one that asks again and again.
const PAUSE: Duration = Duration::from_millis(2);

struct Fault {
    name: &'static str,
    server: Value,
    does: Does,
    /// The code of the error, or 0 for a result.
    code: i64,
    /// What the answer has to say.
    says: &'static str,
    /// Whether the server answers again afterwards.
    recovers: bool,
}

/// How the fault comes about.
enum Does {
    /// By a call.
    Call(&'static str, Value),
    /// By a signal to its process while a call runs.
    Signal(&'static str),
    /// By a signal to the node's own process that holds it.
    HolderSignal(&'static str),
    /// By itself.
    Nothing,
}

fn call(tool: &'static str, arguments: Value) -> Does {
    Does::Call(tool, arguments)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<Fault> {
    let fault = |name, server, does, code, says, recovers| Fault {
        name,
        server,
        does,
        code,
        says,
        recovers,
    };
    let plain = || unruly(&[]);
    let hasty = || unruly_with(&[], json!({ "timeout_ms": 500 }));
    vec![
        fault("is killed", plain(), Does::Signal("KILL"), LOST, "SIGKILL", true),
        fault("its holder is killed", plain(), Does::HolderSignal("KILL"), LOST, "", true),
        fault("aborts", plain(), call("abort", json!({})), LOST, "SIGABRT", true),
        fault(
            "exits in a call",
            plain(),
            call("exit", json!({ "code": 3 })),
            LOST,
            "status 3",
            true,
        ),
        fault("exits with 0", plain(), call("exit", json!({})), LOST, "status 0", true),
        fault("dies in mid-message", plain(), call("half", json!({})), LOST, "status 1", true),
        fault("answers twice", plain(), call("twice", json!({})), 0, "first", true),
        fault("wrong ids", hasty(), call("wrong_id", json!({})), TIMED_OUT, "", true),
        fault("never answers", hasty(), call("hang", json!({})), TIMED_OUT, "", true),
        fault(
            "floods stdout",
            plain(),
            call("flood_stdout", json!({ "lines": 200_000 })),
            0,
            "flooded",
            true,
        ),
        fault(
            "floods stderr",
            plain(),
            call("flood_stderr", json!({ "lines": 200_000 })),
            0,
            "flooded",
            true,
        ),
        fault(
            "message without an end",
            plain(),
            call("endless", json!({ "mb": 128 })),
            INVALID,
            "larger than",
            true,
        ),
        fault("eats memory", plain(), call("eat_memory", json!({ "mb": 256 })), 0, "eaten", true),
        fault(
            "noise before all",
            unruly(&["--noise"]),
            call("echo", json!({ "text": "x" })),
            0,
            "x",
            true,
        ),
        fault(
            "exits, its child holds the pipe",
            unruly(&["--forks-grandchild"]),
            call("exit", json!({ "code": 4 })),
            LOST,
            "status 4",
            true,
        ),
        fault(
            "ignores every hint to go",
            unruly_with(
                &["--ignores-sigterm", "--ignores-stdin-end"],
                json!({ "shutdown_ms": 300 }),
            ),
            call("fork", json!({})),
            0,
            "",
            true,
        ),
        fault(
            "exits with 0 in a loop",
            unruly(&["--exit-at-start", "0"]),
            Does::Nothing,
            DOWN,
            "status 0",
            false,
        ),
        fault("prints usage", unruly(&["--usage"]), Does::Nothing, DOWN, "how it is used", false),
        fault(
            "never answers initialize",
            unruly_with(&["--never-answers-initialize"], json!({ "start_timeout_ms": 200 })),
            Does::Nothing,
            DOWN,
            "initialize",
            false,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_and_mended_and_touches_nobody_else() {
    let mut wrong = String::new();
    println!("{:<32} {:>9} {:>9}  told as", "fault", "answered", "back");
    for fault in table() {
        let name = fault.name;
        match tried(fault).await {
            Ok(line) => println!("{line}"),
            Err(what) => writeln!(wrong, "{name}: {what}").unwrap(),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What came of a fault, as a line, or what was wrong.
async fn tried(fault: Fault) -> Result<String, String> {
    let Fault { name, server, does, code, says, recovers } = fault;
    let mut node = Behind::start(json!({ "bad": server, "good": unruly(&[]) }));
    node.ready("good").await;
    let bystander = Bystander::start(&node);
    let memory = node.process.memory();
    let (answer, answered) = match does {
        Does::Nothing => dead(&node, says).await,
        Does::Call(tool, arguments) => {
            node.ready("bad").await;
            let began = Instant::now();
            (node.call(&format!("bad__{tool}"), arguments).await, began.elapsed())
        }
        Does::Signal(name) => {
            let (pid, _) = node.ready("bad").await;
            hit(&node, pid, name).await
        }
        Does::HolderSignal(name) => {
            node.ready("bad").await;
            hit(&node, node.holders("bad")[0], name).await
        }
    };
    let said = match answer["error"].is_null() {
        true => answer["result"]["content"][0]["text"].to_string(),
        false => answer["error"].to_string(),
    };
    let back = if recovers { Some(node.ready("bad").await.1) } else { None };
    let grown = node.process.memory().saturating_sub(memory);
    let troubled = bystander.stop().await;
    // Orphans are reaped when the node is told of them.
    until(|| node.zombies() == 0).await;
    let (status, left) = node.stop();
    let got = answer["error"]["code"].as_i64().unwrap_or_default();
    let checks = [
        (
            got == code && said.to_lowercase().contains(&says.to_lowercase()),
            format!("it said {said}"),
        ),
        (grown < GROWTH, format!("the node grew by {grown} bytes")),
        (troubled.is_none(), format!("the neighbour's client was told {troubled:?}")),
        (status.success(), format!("the node ended with {status}")),
        (left.is_empty(), format!("{left:?} are left")),
    ];
    let wrong: Vec<String> =
        checks.into_iter().filter(|(good, _)| !good).map(|(_, what)| what).collect();
    if wrong.is_empty() {
        let back = back.map_or("-".to_owned(), |back| format!("{:.1} ms", millis(back)));
        Ok(format!("{name:<32} {:>6.1} ms {back:>9}  {said:.100}", millis(answered)))
    } else {
        Err(format!("{}\n{}", wrong.join("; "), node.log.text()))
    }
}

/// Calls a server that never comes up, once its cause is known.
async fn dead(node: &Behind, says: &str) -> (Value, Duration) {
    let begun = Instant::now();
    loop {
        let began = Instant::now();
        let answer = node.call("bad__pid", json!({})).await;
        let known = answer.to_string().to_lowercase().contains(&says.to_lowercase());
        if known || begun.elapsed() > CAUSE_KNOWN_WITHIN {
            return (answer, began.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends a signal to a process while a call of the server runs, and gives the call's answer.
async fn hit(node: &Behind, pid: u32, name: &str) -> (Value, Duration) {
    let tool = "bad__progress";
    let arguments = json!({ "steps": 1_000, "ms": 60 });
    let meta = json!({ "progressToken": 1 });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let (headers, body) = (modern_headers("tools/call", tool), modern(1, "tools/call", params));
    let mut events = Events::open(Method::POST, &node.process.url(), &headers, &body).await;
    assert_eq!(events.next().await.unwrap().short(), "notifications/progress");
    let began = Instant::now();
    signal(pid, name);
    loop {
        let event = events.next().await.expect("an answer").json();
        if !event["id"].is_null() {
            return (event, began.elapsed());
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A client of the other server, which should not notice anything.
struct Bystander {
    over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Option<String>>,
}

impl Bystander {
    fn start(node: &Behind) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (client, url, ends) = (node.client.clone(), node.process.url(), Arc::clone(&over));
        let task = tokio::spawn(async move {
            let headers = modern_headers("tools/call", "good__echo");
            let params = json!({ "name": "good__echo", "arguments": { "text": "well" } });
            let body = modern(1, "tools/call", params);
            while !ends.load(Ordering::Relaxed) {
                let answer = send(&client, Method::POST, &url, &headers, &body).await.json();
                if answer["result"]["content"][0]["text"] != "well" {
                    return Some(answer.to_string());
                }
                // It is there to notice errors, not to take the processor.
                tokio::time::sleep(PAUSE).await;
            }
            None
        });
        Self { over, task }
    }

    /// The first bad answer, if there was one.
    async fn stop(self) -> Option<String> {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Nothing of it ends, so only its silence tells: its calls end by their own limit, and where
/// nobody calls, it is asked whether it lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_is_noticed_and_replaced() {
    let node = Behind::start(json!({ "bad": unruly_with(&[], json!({ "timeout_ms": 500 })) }));
    let (pid, _) = node.ready("bad").await;
    let (answer, answered) = hit(&node, pid, "STOP").await;
    assert_eq!(answer["error"]["code"], TIMED_OUT, "{answer}");
    let stopped = Instant::now();
    while node.pids("bad") == [pid] {
        assert!(stopped.elapsed() < SILENCE_NOTICED_WITHIN, "it is not noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (other, _) = node.ready("bad").await;
    let back = stopped.elapsed();
    println!("stopped: answered {answered:.1?}, back after {back:.1?}; {answer}");
    assert_ne!(pid, other);
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_takes_its_servers_along() {
    let stubborn = unruly(&["--ignores-sigterm", "--ignores-stdin-end"]);
    let mut node = Behind::start(json!({ "a": unruly(&[]), "b": stubborn }));
    node.ready("a").await;
    node.ready("b").await;
    node.process.child.kill().unwrap();
    node.process.child.wait().unwrap();
    until(|| node.all_pids().is_empty()).await;
}
