//! One input for a whole node: bytes at its HTTP port, on a connection of their own. Where they say
//! `SESSION`, the id of a session stands that was opened for them.
//!
//! Afterwards a good request is answered on another connection, and nothing is left of the input:
//! no request in flight, no session but those that it really opened, no actor of an ended one.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use erlmcp::config::Config;
use erlmcp::node::{Listeners, Node};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Nothing takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is waited for before the input counts as unfinished.
const MOMENT: Duration = Duration::from_millis(2);
/// Few, so that connections that are never given back are missed soon.
const CONNECTIONS: usize = 8;

/// Stands in an input for a session's id.
const SESSION: &[u8] = b"SESSION";

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"fuzz","version":"1"}}}"#,
);

const GOOD: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"good","method":"tools/call","params":{"name":"demo__echo","#,
    r#""arguments":{"text":"still here"},"#,
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#,
);

/// A node that is fed.
pub(crate) struct Fed {
    node: Node,
    good: Kept,
    probes: Kept,
    // Dropped last: the node needs it to the end.
    runtime: Runtime,
}

impl Fed {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        // Rust's own `main` ignores this signal, which a write to a closed connection raises;
        // libFuzzer's doesn't. A handler that is installed once stays.
        let _ = runtime.block_on(async { signal(SignalKind::pipe()) });
        let mut config = Config::default();
        config.http.max_connections = CONNECTIONS;
        config.requests.timeout_ms = 1_000;
        let bind = || TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let listeners = Listeners { http: bind(), metrics: bind(), control: None };
        let node = runtime.block_on(Node::start(config, listeners)).expect("the node starts");
        let good = Kept::new(node.http_address());
        let probes = Kept::new(node.metrics_address());
        Self { node, good, probes, runtime }
    }

    /// Feeds one input, and checks that the node bears it.
    pub(crate) fn feed(&mut self, input: &[u8]) {
        let input = self.with_session(input);
        let answer = talk(self.node.http_address(), &input);
        assert!(!answer.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answer));
        self.answers_well();
        self.forgets();
    }

    fn with_session<'a>(&mut self, input: &'a [u8]) -> Cow<'a, [u8]> {
        if !input.windows(SESSION.len()).any(|window| window == SESSION) {
            return Cow::Borrowed(input);
        }
        let answer = self.good.post("", INITIALIZE);
        let id = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let id = id.unwrap_or_else(|| panic!("no session: {answer}"));
        let mut fed = Vec::with_capacity(input.len() + id.len());
        let mut rest = input;
        while let Some((first, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(SESSION) {
                fed.extend_from_slice(id.as_bytes());
                rest = after;
            } else {
                fed.push(*first);
                rest = after;
            }
        }
        Cow::Owned(fed)
    }

    fn answers_well(&mut self) {
        let standard = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
                        mcp-name: demo__echo\r\n";
        let answer = self.good.post(standard, GOOD);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("still here"), "{answer}");
    }

    /// Ends the sessions that the input opened, and waits until nothing is left of it.
    fn forgets(&mut self) {
        let begun = Instant::now();
        loop {
            let sessions = self.node.sessions();
            for record in sessions.table.idle(Duration::ZERO) {
                sessions.end(&record);
            }
            let metrics = self.probes.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n");
            let in_flight = metrics.lines().any(|line| line == "erlmcp_requests_in_flight 0");
            let actors = self.runtime.block_on(async {
                let supervisor = self.node.slots().sessions.wait().await;
                supervisor.count_children().await.map_or(0, |counts| counts.active)
            });
            if in_flight && actors == 0 && self.node.sessions().table.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{actors} actors are left; {metrics}");
            std::thread::yield_now();
        }
    }
}

/// Sends the input, waits for an answer or the end, and hangs up. Gives what came.
fn talk(address: SocketAddr, input: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the node accepts");
    // It may hang up before it has read all: that is an answer, too.
    let _ = stream.write_all(input);
    let mut answer = Vec::new();
    if !receive(&mut stream, MOMENT, &mut answer) {
        // Not finished, as far as the node knows: now it is.
        let _ = stream.shutdown(Shutdown::Write);
        assert!(receive(&mut stream, PATIENCE, &mut answer), "neither answered nor closed");
    }
    answer
}

/// Whether something came, or the end, within `limit`.
fn receive(stream: &mut TcpStream, limit: Duration, answer: &mut Vec<u8>) -> bool {
    stream.set_read_timeout(Some(limit)).expect("a limit can be set");
    let mut buffer = [0; 4_096];
    match stream.read(&mut buffer) {
        Ok(length) => {
            answer.extend(buffer.iter().take(length));
            true
        }
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// A connection that is kept alive for good requests.
struct Kept {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Kept {
    fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    fn post(&mut self, headers: &str, body: &str) -> String {
        let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\n";
        self.ask(&format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Asks, and gives the head and the body. A connection that was idle for too long is closed by
    /// the node, hence a second try.
    fn ask(&mut self, request: &str) -> String {
        if let Some(stream) = &mut self.stream
            && let Some(answer) = ask(stream, request)
        {
            return answer;
        }
        let mut stream = TcpStream::connect(self.address).expect("the node accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        let answer = ask(&mut stream, request).expect("a good request is answered");
        self.stream = Some(stream);
        answer
    }
}

/// The answer, where one comes whole.
fn ask(stream: &mut TcpStream, request: &str) -> Option<String> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        answer.extend(buffer.iter().take(length));
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let told = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= told.parse().ok()? {
                return Some(text.into_owned());
            }
        }
    }
}
