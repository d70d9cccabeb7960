//! The holder by itself: what it does when the node dies, and when somebody kills it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStderr, Command, Stdio};

use erlmcp::provider::upstream::wire::Why;

use super::ends::DAEMON;
use super::{Child, LONG, all_gone, held, send};
use crate::harness::until;
use crate::process::{PROGRAM, ended};

/// Asks the test program to be a node that dies.
const ASKED: &str = "ERLMCP_TEST_NODE_THAT_DIES";

/// A node in a process of its own: this test, run again with a variable set.
#[tokio::test]
async fn a_node_that_is_killed_leaves_nothing_behind() {
    if std::env::var_os(ASKED).is_some() {
        let script = format!("{DAEMON} trap '' TERM; echo pid $$ >&2; while :; do sleep 1; done");
        let child = Child::shell(&held(), LONG, &script);
        for pid in child.pids(3).await {
            eprintln!("pid {pid}");
        }
        return std::future::pending().await;
    }
    let test = "children::holder::a_node_that_is_killed_leaves_nothing_behind";
    let mut node = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ASKED, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = Vec::new();
    let mut lines = BufReader::new(node.stderr.take().unwrap()).lines();
    while pids.len() < 3 {
        let line = lines.next().unwrap().unwrap();
        pids.extend(line.strip_prefix("pid ").map(|pid| pid.parse::<u32>().unwrap()));
    }
    assert!(!all_gone(&pids));
    node.kill().unwrap();
    node.wait().unwrap();
    until(|| all_gone(&pids)).await;
}

#[tokio::test]
async fn a_child_dies_with_its_holder_and_so_does_its_group() {
    let script = "sleep 1000 & echo pid $! >&2; echo pid $$ >&2; wait";
    let mut child = Child::shell(&held(), LONG, script);
    let pids = child.pids(2).await;
    send("-KILL", super::parent(pids[1]));
    let closing = child.ended().await;
    assert_eq!(closing.why, Why::Crashed);
    until(|| all_gone(&pids)).await;
}

/// A holder with both its pipes in the hands of the test.
fn hold(arguments: &[&str]) -> (std::process::Child, BufReader<ChildStderr>) {
    let mut holder = Command::new(PROGRAM)
        .arg("__hold")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stderr.take().unwrap());
    (holder, said)
}

#[test]
fn other_people_s_signals_do_not_reach_a_held_child() {
    let (mut holder, mut said) = hold(&["1000", "", "/bin/sh", "-c", "echo ready >&2; read -r a"]);
    said.read_line(&mut String::new()).unwrap();
    for signal in ["-TERM", "-INT", "-HUP"] {
        send(signal, holder.id());
    }
    assert!(holder.try_wait().unwrap().is_none());
    drop(holder.stdin.take());
    assert_eq!(ended(&mut holder).code(), Some(1));
}

#[test]
fn a_held_child_has_the_limit_that_the_node_had() {
    let (mut holder, mut said) = hold(&["1000", "64", "/bin/sh", "-c", "ulimit -Sn >&2; exit 5"]);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), ended(&mut holder).code()), ("64\n", Some(5)));
}

#[test]
fn a_holder_says_what_it_can_t_run() {
    let (mut holder, mut said) = hold(&["1000", "", "/nowhere/x"]);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert_eq!(ended(&mut holder).code(), Some(127));
    assert!(text.starts_with("erlmcp: can't run '/nowhere/x': it, or the interpreter"), "{text}");
    assert_eq!(ended(&mut hold(&["1000"]).0).code(), Some(126));
}
