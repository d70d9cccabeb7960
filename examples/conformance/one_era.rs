//! Standard input and output of a server that knows one era only: what is of the other is refused
//! as such a server refuses it, before it reaches the node.

use std::future::pending;
use std::io;

use clap::ValueEnum;
use erlmcp::node::Ends;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Stdout, duplex, stdin, stdout,
};
use tokio::sync::Mutex;

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Era {
    /// 2025-11-25 and before.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// Bytes that may wait between the process's ends and the node's.
const ROOM: usize = 1 << 20;

impl Era {
    /// The answer to a message of the other era; `None` for one of this.
    fn refusal(self, message: &Value) -> Option<Value> {
        let method = message.get("method")?.as_str()?;
        // `~1` is a slash.
        let version = message.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion");
        let error = match self {
            Self::Legacy if method == "server/discover" || version.is_some() => {
                json!({ "code": -32601, "message": "Method not found" })
            }
            Self::Modern if method == "initialize" => json!({
                "code": -32022,
                "message": "Unsupported protocol version",
                "data": { "supported": ["2026-07-28"], "requested": "2025-11-25" },
            }),
            _ => return None,
        };
        Some(json!({ "jsonrpc": "2.0", "id": message.get("id"), "error": error }))
    }
}

/// The node's ends, and the work between them and those of the process, which ends with the node.
pub(crate) fn ends(era: Option<Era>) -> (Ends, impl Future<Output = io::Result<()>>) {
    let ((reader, to_node), (from_node, writer)) = (duplex(ROOM), duplex(ROOM));
    let work = async move {
        let out = Mutex::new(stdout());
        let said = async {
            pass_on(era, to_node, &out).await?;
            // The node has heard all, and may have something to say.
            pending().await
        };
        tokio::select! {
            broken = said => broken,
            ended = answer(from_node, &out) => ended,
        }
    };
    (Ends { reader: Box::new(reader), writer: Box::new(writer) }, work)
}

/// What the client says, to the node or back as a refusal, until the client's end.
async fn pass_on(era: Option<Era>, mut node: DuplexStream, out: &Mutex<Stdout>) -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let message = serde_json::from_str(&line).unwrap_or_default();
        match era.and_then(|era| era.refusal(&message)) {
            Some(refusal) => write(out, &refusal.to_string()).await?,
            None => node.write_all(format!("{line}\n").as_bytes()).await?,
        }
    }
    Ok(())
}

/// What the node says, until its end.
async fn answer(node: DuplexStream, out: &Mutex<Stdout>) -> io::Result<()> {
    let mut lines = BufReader::new(node).lines();
    while let Some(line) = lines.next_line().await? {
        write(out, &line).await?;
    }
    Ok(())
}

async fn write(out: &Mutex<Stdout>, line: &str) -> io::Result<()> {
    let mut out = out.lock().await;
    out.write_all(format!("{line}\n").as_bytes()).await?;
    out.flush().await
}
