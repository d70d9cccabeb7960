//! What the clients say, in both eras, and what has to come back.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::connection::Reply;
use crate::server::Kind;

/// The two ways of talking MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Era {
    /// Requests in a session (2025-11-25).
    Legacy,
    /// Requests that say everything themselves (2026-07-28).
    Modern,
}

impl Era {
    pub(crate) const BOTH: [Self; 2] = [Self::Legacy, Self::Modern];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

const LEGACY_REVISION: &str = "2025-11-25";
const MODERN_REVISION: &str = "2026-07-28";

pub(crate) const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
);
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const META: &str = concat!(
    r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}"#,
);

/// The request that opens a session.
pub(crate) fn initialize(address: SocketAddr) -> Vec<u8> {
    with_body(&head("POST", address, &[]), INITIALIZE)
}

/// The notification that it is open.
pub(crate) fn initialized(address: SocketAddr, session: &str) -> Vec<u8> {
    with_body(&head("POST", address, &in_session(session)), INITIALIZED)
}

/// The request that ends a session.
pub(crate) fn delete(address: SocketAddr, session: &str) -> Vec<u8> {
    with_body(&head("DELETE", address, &in_session(session)), "")
}

/// The request for a session's stream of events.
pub(crate) fn listen(address: SocketAddr, session: &str) -> Vec<u8> {
    let mut request = format!("GET /mcp HTTP/1.1\r\nHost: {address}\r\n");
    request.push_str("Accept: text/event-stream\r\n");
    for (name, value) in in_session(session) {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// The calls of one client, each with another id and text.
pub(crate) struct Calls {
    era: Era,
    head: String,
    tool: &'static str,
    id: u64,
    body: String,
    request: Vec<u8>,
}

impl Calls {
    /// The same calls, with ids that come after this one.
    pub(crate) fn after(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// Calls of a server's tool; in a session, where the server has some.
    pub(crate) fn new(kind: Kind, era: Era, address: SocketAddr, session: Option<&str>) -> Self {
        let tool = kind.echo();
        let standard = match era {
            Era::Legacy => in_session(session.unwrap_or("none")).to_vec(),
            Era::Modern => vec![
                ("MCP-Protocol-Version", MODERN_REVISION),
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", tool),
            ],
        };
        let head = head("POST", address, &standard);
        Self { era, head, tool, id: 0, body: String::new(), request: Vec::new() }
    }

    /// The bytes of the next call over HTTP.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.next_message();
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(self.body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(self.body.as_bytes());
        &self.request
    }

    /// The id of the next call, and its message.
    pub(crate) fn next_message(&mut self) -> (u64, &str) {
        self.id += 1;
        self.body.clear();
        let (id, tool) = (self.id, self.tool);
        let meta = if self.era == Era::Modern { META } else { "" };
        // Writing into a string can't fail.
        let _ = write!(self.body, r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","#);
        let _ = write!(self.body, r#""params":{{"name":"{tool}","#);
        let _ = write!(self.body, r#""arguments":{{"text":"hello {id}"}}{meta}}}}}"#);
        (id, &self.body)
    }

    /// Checks the answer to the call before: its status, its id, its text, and what its era asks.
    ///
    /// # Errors
    /// What is wrong, with the whole answer.
    pub(crate) fn check(&self, reply: &Reply) -> Result<(), String> {
        let expected = self.id;
        let answer: Option<Answer<'_>> = serde_json::from_slice(&reply.message).ok();
        let good = answer.is_some_and(|answer| {
            let [block] = answer.result.content.as_slice() else { return false };
            let text = block.text.strip_prefix("hello ").and_then(|id| id.parse().ok());
            let complete = answer.result.result_type == Some("complete");
            reply.status == 200
                && answer.jsonrpc == "2.0"
                && answer.id == expected
                && block.kind == "text"
                && text == Some(expected)
                && (complete || self.era == Era::Legacy)
        });
        if good {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&reply.message);
        Err(format!("call {expected} got {} with {message:?}", reply.status))
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    jsonrpc: &'a str,
    id: u64,
    #[serde(borrow)]
    result: ToolResult<'a>,
}

#[derive(Deserialize)]
struct ToolResult<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(rename = "resultType")]
    result_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

fn in_session(session: &str) -> [(&'static str, &str); 2] {
    [("MCP-Protocol-Version", LEGACY_REVISION), ("Mcp-Session-Id", session)]
}

/// A head as far as the length of its body.
fn head(method: &str, address: SocketAddr, fields: &[(&str, &str)]) -> String {
    let mut head = format!(
        "{method} /mcp HTTP/1.1\r\nHost: {address}\r\nUser-Agent: bench/1\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    );
    for (name, value) in fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("Content-Length: ");
    head
}

fn with_body(head: &str, body: &str) -> Vec<u8> {
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}
