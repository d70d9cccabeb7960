//! Orphans of a node in a process of its own. A shell has children that it does not wait for, and
//! then becomes the node, to which they belong from then on.

use std::fs::read_to_string;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use super::{all_gone, exists};
use crate::harness::{Scratch, until};
use crate::process::{PROGRAM, Process};

#[tokio::test]
async fn a_node_reaps_and_kills_what_nobody_waits_for() {
    let scratch = Scratch::new();
    let script = r#"
        sleep 0 & echo $! >&2
        sleep 1000 & echo $! >&2
        ERLMCP_HOLDER=1 setsid sleep 1000 & echo $! >&2
        exec "$0" "$@" "#;
    let mut node = Command::new("sh")
        .args(["-c", script, PROGRAM, "start"])
        .args(Process::settings(&scratch))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stderr.take().unwrap()).lines();
    let ids: Vec<u32> = (0..3).map(|_| lines.next().unwrap().unwrap().parse().unwrap()).collect();
    let [ended, other, lost] = ids[..] else { unreachable!() };
    until(|| all_gone(&[ended, lost])).await;
    assert!(exists(other), "what never had a holder is none of the node's business");
    super::send("-KILL", other);
    until(|| all_gone(&[other])).await;
    super::send("-TERM", node.id());
    assert!(node.wait().unwrap().success());
}

/// As in a container, where privileges allow it: the node is the first process of its namespace.
#[tokio::test]
async fn a_node_that_is_process_1_reaps_orphans() {
    let scratch = Scratch::new();
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let may = Command::new("unshare").args(namespace).arg("true").output();
    if !may.is_ok_and(|may| may.status.success()) {
        return;
    }
    let script = r#"(sh -c 'sleep 0 & echo "$(readlink /proc/self)" >&2' &); exec "$0" "$@" "#;
    let mut node = Command::new("unshare")
        .args(namespace)
        .args(["--mount-proc", "sh", "-c", script, PROGRAM, "start"])
        .args(Process::settings(&scratch))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(node.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("the node serves") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the node says nothing");
    }
    let first = super::children(node.id())[0];
    until(|| super::children(first).is_empty()).await;
    let name = read_to_string(format!("/proc/{first}/comm")).unwrap();
    assert_eq!(name.trim(), "erlmcp");
    super::send("-TERM", first);
    assert!(node.wait().unwrap().success());
    log.read_to_string(&mut line).unwrap();
}
