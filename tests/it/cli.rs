//! The binary: its commands and exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{PATIENCE, client, modern, modern_headers, send};

fn erlmcp(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_erlmcp"));
    command.args(arguments).envs(variables.iter().copied()).env_remove("ERLMCP_CONFIG");
    command.output().unwrap()
}

/// Arguments, variables, the exit code, and a text that is told.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn exit_codes_tell_what_went_wrong() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/rel/erlmcp.toml");
    let zero = ("ERLMCP__SESSIONS__MAX", "0");
    let table: [Row<'_>; 7] = [
        (&["version"], &[], 0, "erlmcp 3.0.0"),
        (&["check", "--config", shipped], &[], 0, "good"),
        (&["check"], &[zero], 64, "sessions.max"),
        (&["start"], &[zero], 64, "sessions.max"),
        (&["check", "--set", "http.lisen=x"], &[], 64, "http.lisen"),
        (&["nonsense"], &[], 2, "nonsense"),
        (&["check", "--set", "nonsense"], &[], 2, "SECTION.KEY=VALUE"),
    ];
    for (arguments, variables, code, text) in table {
        let output = erlmcp(arguments, variables);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(text), "{arguments:?}: {told}");
    }
}

#[test]
fn a_taken_port_is_a_failure_with_its_cause() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("http.listen={address}");
    let output = erlmcp(&["start", "--set", &listen, "--set", "metrics.listen=127.0.0.1:0"], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("in use"), "{told}");
}

/// A node in a process of its own, whose log is read only as far as its first line.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start() -> (Self, BufReader<ChildStderr>) {
        let set = ["--set", "http.listen=127.0.0.1:0", "--set", "metrics.listen=127.0.0.1:0"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_erlmcp"));
        command.arg("start").args(set).env_remove("ERLMCP_CONFIG").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.split("http=").nth(1).and_then(|rest| rest.split(' ').next());
        let url = format!("http://{}/mcp", address.unwrap_or_else(|| panic!("{line}")));
        (Self { child, url }, log)
    }

    async fn answers(&self, calls: usize) {
        let client = client();
        let body =
            modern(1, "tools/call", json!({ "name": "demo__echo", "arguments": { "text": "x" } }));
        let headers = modern_headers("tools/call", "demo__echo");
        for call in 0..calls {
            let answer = send(&client, Method::POST, &self.url, &headers, &body).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::OK, 0), "call {call}");
        }
    }

    fn stop(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "SIGTERM is ignored");
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
