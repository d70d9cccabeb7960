//! The client of the control socket, and the arguments by which commands find it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::configured::Configured;
use super::exit::{FAILED, Failure, UNREACHABLE};
use crate::protocol::error::ReceivedError;
use crate::transport::control::{Place, socket};
use crate::transport::lines::{LineError, Lines};

/// How long a node may take to answer what it knows.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Which node is asked.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The node's control socket; else its configuration tells.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

/// Which node is asked, and how its answer is printed.
#[derive(Debug, Args)]
pub(super) struct Look {
    #[command(flatten)]
    pub(super) target: Target,
    /// Prints JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Target {
    /// Asks the node one thing.
    pub(super) fn ask(&self, method: &str) -> Result<Box<RawValue>, Failure> {
        self.ask_with(method, json!({}))
    }

    /// Asks the node one thing about something.
    pub(super) fn ask_with(&self, method: &str, params: Value) -> Result<Box<RawValue>, Failure> {
        block_on(async { self.connect().await?.ask(method, params, ANSWER).await })
    }

    /// Connects to the node.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let place = self.place()?;
        let private = |path: &Path| path.parent().is_some_and(socket::is_private);
        if place.is_own && place.path.exists() && !private(&place.path) {
            let why = io::Error::other("its directory is not this user's alone");
            return Err(unreachable(&place.path, &why));
        }
        let stream = match timeout(ANSWER, UnixStream::connect(&place.path)).await {
            Ok(connected) => connected.map_err(|error| unreachable(&place.path, &error))?,
            Err(_elapsed) => return Err(silent(&place.path)),
        };
        let (reader, writer) = stream.into_split();
        Ok(Client { path: place.path, lines: Lines::new(reader, ANSWER_BYTES), writer })
    }

    fn place(&self) -> Result<Place, Failure> {
        if let Some(path) = self.socket.clone() {
            return Ok(Place { path, is_own: false });
        }
        let config = self.configured.load()?;
        config.control.place(&config.node.name).ok_or_else(|| {
            let why = "the configuration has no control socket; set control.socket, or give \
                       --socket";
            Failure::new(UNREACHABLE, why)
        })
    }
}

/// A connection to a node.
pub(super) struct Client {
    path: PathBuf,
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ReceivedError>,
}

impl Client {
    /// Asks, and waits for the answer as long as this.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Box<RawValue>, Failure> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let exchange = async {
            self.writer.write_all(format!("{request}\n").as_bytes()).await?;
            self.lines.next().await
        };
        let line = match timeout(limit, exchange).await {
            Err(_elapsed) => return Err(silent(&self.path)),
            Ok(Err(LineError::Read(error))) => return Err(unreachable(&self.path, &error)),
            Ok(Err(error)) => return Err(Failure::chain(FAILED, &error)),
            Ok(Ok(None)) => {
                let why = io::Error::other("the connection was closed");
                return Err(unreachable(&self.path, &why));
            }
            Ok(Ok(Some(line))) => line,
        };
        let answer: Answer = serde_json::from_slice(&line)
            .map_err(|_| Failure::new(FAILED, format!("no node: {}", self.path.display())))?;
        match answer {
            Answer { result: Some(result), error: None } => Ok(result),
            Answer { error: Some(error), .. } => Err(Failure::new(FAILED, error.message)),
            Answer { .. } => Err(Failure::new(FAILED, "the node answers neither this nor that")),
        }
    }

    /// Waits until the node has closed the connection, which is the last thing that it does.
    pub(super) async fn closed(mut self, limit: Duration) -> Result<(), Failure> {
        timeout(limit, self.lines.ended()).await.map_err(|_elapsed| {
            let path = self.path.display();
            Failure::new(FAILED, format!("the node at {path} still runs after {limit:?}"))
        })
    }
}

/// Reads a result.
pub(super) fn read<T: DeserializeOwned>(result: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(result.get()).map_err(|error| {
        Failure::new(FAILED, format!("the node's answer can't be read, is it as old? {error}"))
    })
}

/// Runs a command's conversation.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::chain(FAILED, &error))?.block_on(work)
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied => "run this as the node's user".to_owned(),
        _ => "start a node with `erlmcp start`; if one runs, give its --config or its --socket"
            .to_owned(),
    };
    Failure::new(UNREACHABLE, format!("no node answers at {path}: {error}\n  {help}"))
}

fn silent(path: &Path) -> Failure {
    let path = path.display();
    Failure::new(UNREACHABLE, format!("the node at {path} does not answer in time"))
}
