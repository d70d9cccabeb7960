//! The binary: its commands and exit codes.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Scratch, TestNode, client, initialize, send, until, within};
use crate::process::{Process, command, ended, told};

fn erlmcp(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command().args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// Arguments, variables, the exit code, and a text that is told.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

fn check(table: &[Row<'_>]) {
    for (arguments, variables, code, text) in table {
        let output = erlmcp(arguments, variables);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {told}");
        assert!(told.contains(text), "{arguments:?}: {told}");
    }
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/rel/erlmcp.toml");
    let zero = ("ERLMCP__SESSIONS__MAX", "0");
    check(&[
        (&["version"], &[], 0, "erlmcp 3.0.0"),
        (&["version", "--json"], &[], 0, r#"{"version":"3.0.0"}"#),
        (&["check", "--config", shipped], &[], 0, "good"),
        (&["check", "--json"], &[], 0, r#"{"problems":[],"warnings":[]}"#),
        (&["check", "--json"], &[zero], 64, r#"{"problems":[{"key":"sessions.max","#),
        (&["check"], &[zero], 64, "sessions.max"),
        (&["start"], &[zero], 64, "sessions.max"),
        (&["foreground"], &[zero], 64, "sessions.max"),
        (&["status"], &[zero], 64, "sessions.max"),
        (&["health"], &[zero], 64, "sessions.max"),
        (&["check", "--set", "http.lisen=x"], &[], 64, "http.lisen"),
        (&["check", "--config", "/"], &[], 64, "directory"),
        (&["check"], &[("ERLMCP_CONFIG", "")], 0, "good"),
        (&["check", "--set", "log.level=inof"], &[], 64, "inof"),
        (&["nonsense"], &[], 2, "nonsense"),
        (&["check", "--set", "nonsense"], &[], 2, "SECTION.KEY=VALUE"),
        (&["check", "--config", ""], &[], 2, "--config"),
        (&["call"], &[], 2, "TOOL"),
        (&["call", "t", "--args", "[]"], &[], 2, "JSON object"),
        (&["health", "--url", "https://a.test"], &[], 2, "http://HOST:PORT"),
    ]);
}

#[test]
fn files_of_clients_are_checked_with_their_names_and_paths() {
    let scratch = Scratch::new();
    let good = r#"{"mcpServers": {"a": {"command": "run", "color": "red"}}}"#;
    let good = scratch.file("good.json", good);
    let bad = scratch.file("bad.json", r#"{"servers": {"b": {"comand": "${HOME}"}}}"#);
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let problem = format!("{bad}: servers.b.comand: unknown key; is command meant?");
    let json = format!(r#"{{"key":"servers.b.comand","origin":"{bad}","#);
    let warning = format!("{good}: mcpServers.a.color: unknown key; it has no effect here");
    let both = ["check", "--mcp-config", good, "--mcp-config", bad];
    check(&[
        (&["check", "--mcp-config", good], &[], 0, "it has the servers a"),
        (&["check", "--mcp-config", good], &[], 0, &warning),
        (&both, &[], 64, &problem),
        (&both, &[], 64, &warning),
        (&["check", "--json", "--mcp-config", bad], &[], 64, &json),
        (&["start", "--mcp-config", bad], &[], 64, &problem),
        (&["stdio", "--mcp-config", bad], &[], 64, &problem),
        (&["check", "--mcp-config", "missing.json"], &[], 64, "missing.json: can't be read"),
        (&["status", "--set", "mcp_servers.a.comand=x"], &[], 69, "erlmcp start"),
    ]);
}

#[test]
fn a_bridge_needs_a_server() {
    check(&[
        (&["bridge"], &[], 2, "COMMAND"),
        (&["bridge", "--port", "x", "--", "true"], &[], 2, "--port"),
        (&["bridge", "--env", "x", "--", "true"], &[], 2, "NAME=VALUE"),
        (&["bridge", "--stdio", "a b", "--", "true"], &[], 2, "--stdio"),
        (&["bridge", "--name", "a b", "--", "true"], &[], 64, "--name: a server's name"),
        (&["bridge", "--host", "192.0.2.1", "--", "true"], &[], 1, "192.0.2.1"),
    ]);
}

#[test]
fn a_node_that_is_not_there_is_told_with_what_to_do() {
    let scratch = Scratch::new();
    let dead = scratch.socket();
    drop(UnixListener::bind(&dead).unwrap());
    let (dead, runtime) = (dead.to_str().unwrap(), dead.parent().unwrap().to_str().unwrap());
    for name in ["status", "ping", "tree", "sessions", "drain", "stop"] {
        check(&[
            (&[name, "--socket", dead], &[], 69, "erlmcp start"),
            (&[name, "--set", "control.socket="], &[], 69, "--socket"),
            (&[name], &[("XDG_RUNTIME_DIR", runtime)], 69, "erlmcp-erlmcp.sock"),
        ]);
    }
    let text = scratch.file("text", "");
    check(&[
        (&["call", "x", "--socket", text.to_str().unwrap()], &[], 69, "no node answers"),
        (&["health", "--url", "http://127.0.0.1:1"], &[], 69, "127.0.0.1:1"),
        (
            &["health", "--set", "metrics.listen=127.0.0.1:0", "--set", "http.listen=127.0.0.1:0"],
            &[],
            69,
            "--url",
        ),
    ]);
}

#[test]
fn every_command_explains_itself() {
    let help = told(&erlmcp(&["--help"], &[]));
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = commands.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{help}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let output = erlmcp(&[name, "--help"], &[]);
        let text = told(&output);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(text.contains("Usage:") && !text.starts_with("Usage:"), "{text}");
        let prints = !["start", "stdio", "bridge"].contains(&name);
        assert!(!prints || text.contains("--json"), "{text}");
    }
}

#[test]
fn a_taken_port_is_a_failure_with_its_cause() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("http.listen={address}");
    let output = erlmcp(&["start", "--set", &listen, "--set", "metrics.listen=127.0.0.1:0"], &[]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("in use"), "{told}");
}

#[tokio::test]
async fn commands_show_the_running_node() {
    let (mut node, _log) = Process::start();
    let hostile = initialize("2025-11-25").replace(r#""name":"it""#, r#""name":"\u001b[2Jit""#);
    let answer = send(&client(), Method::POST, &node.url(), &[], &hostile).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(node.run(&["ping"], 0), "pong\n");
    assert_eq!(node.json(&["ping", "--json"]), json!({ "ping": "pong" }));
    let status = node.run(&["status"], 0);
    assert!(status.contains("\nsessions            1 legacy over http\n"), "{status}");
    assert_eq!(node.json(&["status", "--json"])["pid"], node.child.id());
    let tree = node.run(&["tree"], 0);
    assert!(tree.contains("\n   └─ control  running\n"), "{tree}");
    assert_eq!(node.json(&["tree", "--json"])["name"], "erlmcp");
    let sessions = node.run(&["sessions"], 0);
    let lines: Vec<_> = sessions.lines().collect();
    assert!(lines[0].starts_with("ID        CLIENT"), "{sessions}");
    assert!(lines[1].contains("\u{fffd}[2Jit 1") && !sessions.contains('\u{1b}'), "{sessions}");
    assert_eq!(node.json(&["sessions", "--json"])["total"], 1);
    assert!(node.run(&["sessions", "--limit", "0"], 0).contains("and 1 more"));
    assert_eq!(node.run(&["call", "demo__add", "--args", r#"{"a":2,"b":3}"#], 0), "5\n");
    let sum = node.json(&["call", "demo__add", "--args", r#"{"a":2,"b":3}"#, "--json"]);
    assert_eq!(sum["structuredContent"]["sum"], 5.0);
    assert!(node.run(&["call", "demo__add"], 1).contains("Invalid arguments"));
    assert!(node.run(&["call", "nothing"], 1).contains("Unknown tool: nothing"));
    let slow = ["call", "demo__slow", "--args", r#"{"seconds":60}"#, "--timeout", "1"];
    assert!(node.run(&slow, 1).contains("longer than 1000 ms"));
    assert_eq!(node.stop().code(), Some(0));
    assert!(!node.scratch.socket().exists(), "the socket is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_over_http() {
    let node = TestNode::start().await;
    let set = |key: &str, address: std::net::SocketAddr| format!("{key}={address}");
    let http = set("http.listen", node.node.http_address());
    let metrics = set("metrics.listen", node.node.metrics_address());
    let nobody = "metrics.listen=127.0.0.1:1";
    check(&[
        (&["health", "--url", &node.probes], &[], 0, "status              ok\n"),
        (&["health", "--json", "--url", &node.url], &[], 0, r#""status":"ok""#),
        (&["health", "--set", &metrics], &[], 0, "ok"),
        (&["health", "--set", nobody, "--set", &http], &[], 0, "ok"),
        (&["health", "--url", &format!("{}/livez", node.probes)], &[], 1, "no health report"),
    ]);
    let probes = node.probes.clone();
    let session = node.session().await;
    let held = tokio::spawn(async move { session.call(1, "test__hold", json!({})).await });
    node.held.started().await;
    let operators = async {
        while node.probe("/readyz").await.status == StatusCode::OK {
            tokio::task::yield_now().await;
        }
        check(&[(&["health", "--url", &probes], &[], 1, "draining")]);
        node.held.release.add_permits(1);
    };
    tokio::join!(node.stop(), operators);
    assert_eq!(within(held).await.unwrap().code(), 0);
}

#[tokio::test]
async fn drain_waits_for_calls_in_flight_and_for_the_end() {
    let (mut node, _log) = Process::start();
    let mut call = node.slow_call(1.0).await;
    assert_eq!(node.run(&["drain"], 0), "stopped\n");
    assert_eq!(ended(&mut node.child).code(), Some(0));
    assert_eq!(ended(&mut call).code(), Some(0));
    let mut text = String::new();
    call.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "waited 1 s\n");
    assert!(node.run(&["status"], 69).contains("erlmcp start"));
}

#[tokio::test]
async fn stop_cuts_calls_short_also_those_of_a_drain() {
    let settings = ["requests.timeout_ms=600000", "shutdown.delay_ms=600000"];
    let (mut node, _log) = Process::start_with(&settings, None);
    let mut call = node.slow_call(600.0).await;
    let mut drain = node.command(&["drain", "--json"]).spawn().unwrap();
    until(|| node.json(&["status", "--json"])["status"] == "draining").await;
    assert_eq!(node.json(&["stop", "--json"]), json!({ "status": "stopped" }));
    assert_eq!(ended(&mut node.child).code(), Some(0));
    assert_eq!(ended(&mut drain).code(), Some(0));
    assert_eq!(ended(&mut call).code(), Some(1));
    let mut text = String::new();
    call.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("The node is stopping"), "{text}");
}

#[tokio::test]
async fn a_second_node_finds_the_socket_taken_until_the_first_is_dead() {
    let (mut node, _log) = Process::start();
    let mut second = command();
    second.arg("start").args(Process::settings(&node.scratch));
    let output = second.output().unwrap();
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("another node listens on"), "{told}");
    assert_eq!(node.run(&["ping"], 0), "pong\n");
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    assert!(node.scratch.socket().exists(), "kill -9 leaves the file");
    node.child = second.spawn().unwrap();
    let socket: PathBuf = node.scratch.socket();
    let alive = |socket: &Path| std::os::unix::net::UnixStream::connect(socket).is_ok();
    until(|| alive(&socket)).await;
    assert_eq!(node.run(&["stop"], 0), "stopped\n");
    assert_eq!(ended(&mut node.child).code(), Some(0));
}

#[tokio::test]
async fn a_log_of_json_is_json_from_its_first_line_to_its_last() {
    let (mut node, mut log) = Process::start_with(&["log.format=json"], None);
    node.answers(3).await;
    assert_eq!(node.run(&["stop"], 0), "stopped\n");
    assert_eq!(ended(&mut node.child).code(), Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(text.lines().count() > 4, "{text}");
    for line in text.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

/// More lines than a pipe holds: one that nobody reads used to stop every request.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let (mut node, log) = Process::start();
    node.answers(1_500).await;
    assert_eq!(node.stop().code(), Some(0));
    drop(log);
}

/// A write to a closed pipe used to panic in every request.
#[tokio::test]
async fn a_log_whose_reader_is_gone_stops_nothing() {
    let (mut node, log) = Process::start();
    drop(log);
    node.answers(20).await;
    assert_eq!(node.stop().code(), Some(0));
}
