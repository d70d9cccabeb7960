//! A node in a process of its own, whose log is read only as far as its first line.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Scratch, client, modern, modern_headers, send, until};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_erlmcp");

/// The binary, in an environment that says nothing.
pub(crate) fn command() -> Command {
    quiet(Command::new(PROGRAM))
}

fn quiet(mut command: Command) -> Command {
    let ours = |name: &str| name.starts_with("ERL") || name == "XDG_RUNTIME_DIR";
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command wrote, stdout first.
pub(crate) fn told(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) scratch: Scratch,
}

impl Process {
    pub(crate) fn start() -> (Self, BufReader<ChildStderr>) {
        Self::start_with(&[], None)
    }

    /// With these keys set, and no more file descriptors than this.
    pub(crate) fn start_with(
        keys: &[&str],
        descriptors: Option<u32>,
    ) -> (Self, BufReader<ChildStderr>) {
        let scratch = Scratch::new();
        let mut command = match descriptors {
            None => command(),
            Some(descriptors) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
                shell.args(["-c", &script, PROGRAM]);
                quiet(shell)
            }
        };
        command.arg("start").args(Self::settings(&scratch));
        command.args(keys.iter().flat_map(|key| ["--set", key]));
        Self::serving(command, scratch)
    }

    /// What starts a node before these servers, as a client's file has them.
    pub(crate) fn before(servers: &Value, keys: &[&str]) -> (Command, Scratch) {
        let scratch = Scratch::new();
        let file = Self::write_servers(&scratch, servers);
        let mut command = command();
        command.arg("start").args(Self::settings(&scratch)).arg("--mcp-config").arg(file);
        command.args(keys.iter().flat_map(|key| ["--set", key]));
        (command, scratch)
    }

    /// Writes the file that such a node reads.
    pub(crate) fn write_servers(scratch: &Scratch, servers: &Value) -> PathBuf {
        scratch.file("mcp.json", &json!({ "mcpServers": servers }).to_string())
    }

    /// Starts it, and reads its log until it serves.
    pub(crate) fn serving(
        mut command: Command,
        scratch: Scratch,
    ) -> (Self, BufReader<ChildStderr>) {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on, a test that fails ends the process.
        let mut node = Self { child, http: nowhere, metrics: nowhere, scratch };
        let mut line = String::new();
        while !line.contains("the node serves") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the node says nothing");
        }
        let address = |name: &str| {
            let found = match serde_json::from_str::<Value>(&line) {
                Ok(line) => line[name].as_str().map(str::to_owned),
                Err(_) => {
                    let rest = line.split(&format!("{name}=")).nth(1);
                    rest.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned)
                }
            };
            found.and_then(|text| text.parse().ok())
        };
        node.http = address("http").unwrap_or_else(|| panic!("{line}"));
        // A bridge has no place of its own for probes.
        node.metrics = address("metrics").unwrap_or(nowhere);
        (node, log)
    }

    /// Keys with which any number of nodes run side by side.
    pub(crate) fn settings(scratch: &Scratch) -> Vec<String> {
        let socket = format!("control.socket={}", scratch.socket().display());
        let listen = ["http.listen", "metrics.listen"].map(|key| format!("{key}=127.0.0.1:0"));
        [socket].into_iter().chain(listen).flat_map(|key| ["--set".to_owned(), key]).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.http)
    }

    /// A command for this node.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.args(arguments).arg("--socket").arg(self.scratch.socket());
        command
    }

    /// What a command for this node prints; it has to end with this code.
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let told = told(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        told
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(arguments, 0);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    pub(crate) async fn answers(&self, calls: usize) {
        let client = client();
        let body =
            modern(1, "tools/call", json!({ "name": "demo__echo", "arguments": { "text": "x" } }));
        let headers = modern_headers("tools/call", "demo__echo");
        for call in 0..calls {
            let answer = send(&client, Method::POST, &self.url(), &headers, &body).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::OK, 0), "call {call}");
        }
    }

    /// A call of `demo__slow` under way.
    pub(crate) async fn slow_call(&self, seconds: f64) -> Child {
        let arguments = format!(r#"{{"seconds":{seconds}}}"#);
        let mut call = self.command(&["call", "demo__slow", "--args", &arguments]);
        let call = call.spawn().unwrap();
        until(|| self.json(&["status", "--json"])["requests_in_flight"] == 1).await;
        call
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }

    pub(crate) fn signal(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal();
        ended(&mut self.child)
    }
}

pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(std::time::Instant::now() < deadline, "it goes on");
        std::thread::yield_now();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
