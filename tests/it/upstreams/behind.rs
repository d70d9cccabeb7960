//! A node in a process of its own, before servers of a client's file; and what is left of their
//! processes.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{ChildStderr, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::conformance::example;
use crate::harness::{PATIENCE, Session, client, modern, modern_headers, send};
use crate::process::{Process, told};

/// The variable that marks the processes of one test, down to those that they start.
const MARK: &str = "UNRULY_MARK";
/// Lines of the node's log that are kept.
const LINES: usize = 1_000;
/// Between two looks at what no event tells of.
const PAUSE: Duration = Duration::from_millis(2);

/// `examples/unruly` with these arguments, as an entry of a client's file.
pub(crate) fn unruly(arguments: &[&str]) -> Value {
    json!({ "command": example("unruly"), "args": arguments })
}

/// The same with further keys of the node's own.
pub(crate) fn unruly_with(arguments: &[&str], keys: Value) -> Value {
    let mut entry = unruly(arguments);
    for (key, value) in keys.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}

/// A node, and the servers behind it.
pub(crate) struct Behind {
    pub(crate) process: Process,
    pub(crate) log: Log,
    pub(crate) client: Client,
    mark: String,
}

impl Behind {
    /// Starts a node before these servers: names, with entries of a client's file.
    pub(crate) fn start(servers: Value) -> Self {
        Self::start_with(servers, &[])
    }

    /// The same, with these keys set.
    pub(crate) fn start_with(servers: Value, keys: &[&str]) -> Self {
        Self::start_in(servers, keys, |_| {})
    }

    /// The same, in surroundings of its own.
    pub(crate) fn start_in(
        mut servers: Value,
        keys: &[&str],
        surround: impl FnOnce(&mut Command),
    ) -> Self {
        let mark = uuid::Uuid::new_v4().to_string();
        mark_all(&mark, &mut servers);
        // What the node says of its own accord, not of each request.
        let keys = [&["log.level=info,erlmcp::request=warn"], keys].concat();
        let (mut command, scratch) = Process::before(&servers, &keys);
        surround(&mut command);
        let (process, log) = Process::serving(command, scratch);
        Self { process, log: Log::new(log), client: client(), mark }
    }

    /// Writes its file anew.
    pub(crate) fn rewrite(&self, mut servers: Value) {
        mark_all(&self.mark, &mut servers);
        Process::write_servers(&self.process.scratch, &servers);
    }

    /// Calls a tool, as a client of the modern era that says nothing of itself.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", tool, params).await
    }

    /// Any request of the modern era.
    pub(crate) async fn ask(&self, method: &str, name: &str, params: Value) -> Value {
        let (headers, body) = (modern_headers(method, name), modern(1, method, params));
        send(&self.client, Method::POST, &self.process.url(), &headers, &body).await.json()
    }

    /// The text that a tool gives.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> String {
        text_of(&self.call(tool, arguments).await)
    }

    /// The same, as soon as there is a result: of a server that has just been lost.
    pub(crate) async fn text_at_last(&self, tool: &str, arguments: Value) -> String {
        let began = Instant::now();
        loop {
            let answer = self.call(tool, arguments.clone()).await;
            if answer["error"].is_null() || began.elapsed() > PATIENCE {
                return text_of(&answer);
            }
            sleep(PAUSE).await;
        }
    }

    /// A legacy client with these capabilities.
    pub(crate) async fn session(&self, capabilities: Value) -> Session {
        let url = self.process.url();
        Session::open_with(client(), &url, "2025-11-25", capabilities).await
    }

    /// Waits until a server answers; gives the process that does, and how long it took.
    pub(crate) async fn ready(&self, server: &str) -> (u32, Duration) {
        let began = Instant::now();
        let tool = format!("{server}__pid");
        let mut last = Value::Null;
        while began.elapsed() < PATIENCE {
            last = self.call(&tool, json!({})).await;
            if let Some(pid) = last["result"]["content"][0]["text"].as_str() {
                return (pid.parse().unwrap(), began.elapsed());
            }
            sleep(PAUSE).await;
        }
        panic!("{server} is never ready: {last}\n{}", self.log.text());
    }

    /// Waits until a server's tools are listed; gives how many they are.
    pub(crate) async fn listed(&self, server: &str) -> usize {
        let (began, begins) = (Instant::now(), format!("{server}__"));
        while began.elapsed() < PATIENCE {
            let list = self.ask("tools/list", "", json!({})).await;
            let tools = list["result"]["tools"].as_array().unwrap();
            let names = tools.iter().filter_map(|tool| tool["name"].as_str());
            let count = names.filter(|name| name.starts_with(&begins)).count();
            if count > 0 {
                return count;
            }
            sleep(PAUSE).await;
        }
        panic!("{server} is never listed\n{}", self.log.text());
    }

    /// What `erlmcp why` says of a tool, once it says all of this.
    pub(crate) async fn why(&self, tool: &str, expected: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let output = self.process.command(&["why", tool]).output().unwrap();
            let why = told(&output);
            let lower = why.to_lowercase();
            if expected.iter().all(|text| lower.contains(&text.to_lowercase())) {
                return why;
            }
            assert!(began.elapsed() < PATIENCE, "{expected:?} is missing in {why}");
            sleep(PAUSE).await;
        }
    }

    /// The processes of a server that run, with those that they started.
    pub(crate) fn pids(&self, server: &str) -> Vec<u32> {
        self.marked(server).into_iter().filter(|pid| !is_holder(*pid)).collect()
    }

    /// The node's own processes that hold those of a server.
    pub(crate) fn holders(&self, server: &str) -> Vec<u32> {
        self.marked(server).into_iter().filter(|pid| is_holder(*pid)).collect()
    }

    fn marked(&self, server: &str) -> Vec<u32> {
        running(&format!("{MARK}={}/{server}\0", self.mark))
    }

    /// All that runs for any server.
    pub(crate) fn all_pids(&self) -> Vec<u32> {
        running(&format!("{MARK}={}/", self.mark))
    }

    /// Dead processes that the node should have reaped.
    pub(crate) fn zombies(&self) -> usize {
        let node = self.process.child.id().to_string();
        let dead = |stat: String| {
            // The name before the last bracket may have blanks; then come state and parent.
            let mut fields = stat.rsplit(") ").next()?.split(' ');
            Some(fields.next()? == "Z" && fields.next()? == node)
        };
        let stats =
            processes().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        stats.filter(|stat| dead(stat.clone()) == Some(true)).count()
    }

    /// Tells the node to stop, and gives what is left of its servers when it has.
    pub(crate) fn stop(&mut self) -> (ExitStatus, Vec<u32>) {
        let status = self.process.stop();
        (status, self.all_pids())
    }

    /// The same, where it has to go well.
    pub(crate) fn stop_whole(mut self) {
        let (status, left) = self.stop();
        assert!(status.success() && left.is_empty(), "{status}, {left:?} are left");
    }
}

impl Drop for Behind {
    /// A test that fails leaves nothing.
    fn drop(&mut self) {
        for pid in self.all_pids() {
            signal(pid, "KILL");
        }
    }
}

/// Lets the processes of servers be found.
fn mark_all(mark: &str, servers: &mut Value) {
    for (name, entry) in servers.as_object_mut().unwrap() {
        if !entry["command"].is_null() {
            entry["env"][MARK] = json!(format!("{mark}/{name}"));
        }
    }
}

/// The text of a result.
pub(crate) fn text_of(answer: &Value) -> String {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {answer}")).to_owned()
}

/// Sends a signal; a process that is gone takes none.
pub(crate) fn signal(pid: u32, name: &str) {
    let mut kill = Command::new("kill");
    let _ = kill.args([&format!("-{name}"), &pid.to_string()]).output();
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Processes whose environment has this text.
fn running(text: &str) -> Vec<u32> {
    let marked = |pid: &u32| {
        // One that has just ended has no environment.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text.as_bytes())
    };
    processes().filter(marked).collect()
}

/// Whether it is the node's binary, which stands between the node and a server's process.
fn is_holder(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let argument = command.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    argument.starts_with(b"__")
}

/// The node's log, read as it comes.
pub(crate) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    _reader: JoinHandle<()>,
}

impl Log {
    fn new(log: BufReader<ChildStderr>) -> Self {
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let reader = std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in log.lines().map_while(Result::ok) {
                    let mut lines = lines.lock().unwrap();
                    lines.push_back(line);
                    if lines.len() > LINES {
                        lines.pop_front();
                    }
                }
            }
        });
        Self { lines, _reader: reader }
    }

    /// The last lines.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
