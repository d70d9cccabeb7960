//! The handshake: which era a server is of, and what it can do.
//!
//! A modern server answers `server/discover`; whatever a server of the session era makes of that,
//! it gets an `initialize` next (2026-07-28, "Versioning"). Some end or fall silent instead, which
//! the error tells: a new instance that isn't asked first may do.

use std::time::Duration;

use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout, timeout_at};

use super::line::{Draft, Leaving, Line, Live};
use super::message;
use super::table::Fault;
use super::{Over, Settings};
use crate::bridge::{self, ServerCapabilities};
use crate::protocol::meta::{SERVER_INFO, ServerInfo};
use crate::protocol::splice::{Edits, find};
use crate::protocol::{Code, Era, Revision, RpcError};
use crate::provider::upstream::wire::{Failure, Order};

/// Longest name, version and text of an error that is kept, in bytes.
const LABEL_BYTES: usize = 256;
/// Longest instructions that are kept, in bytes; the catalogue's rules have a bound of their own.
const INSTRUCTIONS_BYTES: usize = 256 * 1024;

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The revision that is spoken.
    pub revision: Revision,
    /// The server's name and version, as it tells them; nothing is decided by them.
    pub info: ServerInfo,
    /// What it can do.
    pub capabilities: ServerCapabilities,
    /// How it wants to be used.
    pub instructions: Option<String>,
}

impl Peer {
    /// The era that is spoken.
    pub fn era(&self) -> Era {
        self.revision.era()
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The wire ended meanwhile.
    #[error("it ended before it answered the handshake: {cause}")]
    Ended {
        /// What is known of that.
        cause: String,
        /// It was asked for its era, and nothing else.
        probing: bool,
    },
    /// It didn't answer in time.
    #[error("it did not answer `initialize` within {} ms", .after.as_millis())]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
        /// It was asked for its era before.
        probed: bool,
    },
    /// It refused the handshake.
    #[error("it refused the handshake: {0}")]
    Refused(String),
    /// It can't be reached, or not like this.
    #[error(transparent)]
    Failed(Failure),
    /// It speaks revisions that the node doesn't.
    #[error("it speaks only protocol revisions that this node doesn't know: {0}")]
    Revision(String),
    /// What it answered is no handshake.
    #[error("its answer to the handshake is not valid: {0}")]
    Invalid(String),
}

impl OpenError {
    /// Whether a new instance may do better with [`Settings::era`] as `Legacy`: some servers don't
    /// survive to be asked something before `initialize`.
    pub fn spoiled_by_probe(&self) -> bool {
        matches!(self, Self::Ended { probing: true, .. } | Self::TimedOut { probed: true, .. })
    }

    /// Whether the server speaks no Streamable HTTP, so that HTTP+SSE of 2024-11-05 is to be tried.
    pub fn is_no_endpoint(&self) -> bool {
        matches!(self, Self::Failed(Failure::Status { status: 400 | 404 | 405, .. }))
    }
}

/// What a server made of the question for its era.
enum Probed {
    /// It is of the modern era.
    Modern(Peer),
    /// It is of the session era.
    Legacy,
    /// It is of the modern era, and names our revision as it refuses it.
    Refused,
    /// It may still answer.
    Silent(Box<Live>),
}

/// Shakes hands.
pub(super) async fn shake(line: &Line, settings: &Settings) -> Result<Peer, OpenError> {
    let deadline = Instant::now() + settings.start_timeout;
    let probed = settings.era != Some(Era::Legacy);
    let timed_out = |_| OpenError::TimedOut { after: settings.start_timeout, probed };
    let whole = async {
        let silent = match probed {
            false => None,
            true => match probe_twice(line, settings).await? {
                Probed::Modern(peer) => return speak(line, peer).await,
                Probed::Legacy | Probed::Refused => None,
                Probed::Silent(probe) => Some(probe),
            },
        };
        match (initialize(line, settings).await, silent) {
            // It was only slow to start, and answered in the order in which it was asked.
            (Err(OpenError::Refused(why)), Some(mut probe)) => {
                let late = probe.outcome().now_or_never().and_then(Result::ok);
                let peer = late.and_then(|result| discovered(&result));
                speak(line, peer.ok_or(OpenError::Refused(why))?).await
            }
            (initialized, _) => initialized,
        }
    };
    timeout_at(deadline, whole).await.map_err(timed_out)?
}

/// Asks a server for its era; once more, where it says itself that asking again may help.
async fn probe_twice(line: &Line, settings: &Settings) -> Result<Probed, OpenError> {
    match probe(line, settings).await? {
        Probed::Refused => probe(line, settings).await,
        probed => Ok(probed),
    }
}

/// Asks a server for its era.
async fn probe(line: &Line, settings: &Settings) -> Result<Probed, OpenError> {
    let params = bridge::own(Edits::default(), Revision::LATEST, &settings.node);
    let draft = Draft::new("server/discover", params.map_err(unwritten)?);
    let limit = settings.probe_timeout.min(settings.start_timeout / 2);
    // Nothing but `initialize` may come next, so it isn't told when nobody waits any more.
    let mut probe = Box::new(line.begin(None, Leaving::HangUp).map_err(ended_probing)?);
    probe.send(draft).await.map_err(ended_probing)?;
    let Ok(outcome) = timeout(limit, probe.outcome()).await else {
        return Ok(Probed::Silent(probe));
    };
    match outcome {
        Ok(result) => Ok(discovered(&result).map_or(Probed::Legacy, Probed::Modern)),
        Err(fault @ Fault::Closed { .. }) => Err(ended_probing(fault)),
        // Only a modern server knows these; what is wrong would be wrong again.
        Err(Fault::Answered(error))
            if settings.over == Over::Http
                && matches!(error.code, Code::Other(-32020 | -32021)) =>
        {
            Err(OpenError::Refused(cut(&error.message, LABEL_BYTES)))
        }
        Err(Fault::Answered(error)) if names_ours(&error) => Ok(Probed::Refused),
        Err(Fault::Failed(
            failure @ (Failure::Status { status: 401 | 403, .. } | Failure::Unreachable(_)),
        )) => Err(OpenError::Failed(failure)),
        Err(_) => Ok(Probed::Legacy),
    }
}

/// Whether a server refuses a revision (-32022) that it knows: ours.
fn names_ours(error: &RpcError) -> bool {
    let supported = error.data.as_ref().and_then(|data| data.get("supported"));
    let mut supported = supported.and_then(Value::as_array).into_iter().flatten();
    error.code == Code::Other(-32022)
        && supported.any(|version| version == Revision::LATEST.as_str())
}

fn ended_probing(fault: Fault) -> OpenError {
    let cause = match fault {
        Fault::Closed { cause, .. } => cause.to_string(),
        _ => "its connection is closed".to_owned(),
    };
    OpenError::Ended { cause, probing: true }
}

/// Reads what a modern server discovers of itself; `None` where it is none.
fn discovered(result: &RawValue) -> Option<Peer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        supported_versions: Vec<String>,
        #[serde(default)]
        capabilities: Option<Box<RawValue>>,
        #[serde(default)]
        instructions: Option<String>,
        #[serde(rename = "_meta", default)]
        meta: Option<Box<RawValue>>,
    }
    let wire: Wire = serde_json::from_str(result.get()).ok()?;
    let spoken = wire.supported_versions.iter().filter_map(|version| Revision::parse(version));
    let revision = spoken.filter(|revision| revision.era() == Era::Modern).max()?;
    let said = wire.meta.as_deref().and_then(|meta| find(meta, [SERVER_INFO]).ok());
    let info = said.and_then(|[info]| info);
    Some(peer(revision, info, wire.capabilities.as_deref(), wire.instructions.as_deref()))
}

async fn initialize(line: &Line, settings: &Settings) -> Result<Peer, OpenError> {
    let mut edits = Edits::default();
    let written = edits
        .set("protocolVersion", Revision::LATEST_LEGACY.as_str())
        .and_then(|edits| edits.set("capabilities", &bridge::declared(bridge::NODE)))
        .and_then(|edits| edits.set("clientInfo", &settings.node))
        .map(|edits| edits.apply(None));
    let draft = Draft::new("initialize", written.map_err(unwritten)?);
    // The whole handshake has its deadline, and nobody may cancel an `initialize`.
    let mut live = line.begin(None, Leaving::HangUp).map_err(refused)?;
    live.send(draft).await.map_err(refused)?;
    let result = live.outcome().await.map_err(refused)?;
    let peer = speak(line, initialized(&result)?).await?;
    let ready = message::notification("notifications/initialized", "");
    if line.notify(ready).await { Ok(peer) } else { Err(ended()) }
}

fn refused(fault: Fault) -> OpenError {
    match fault {
        Fault::Answered(error) => OpenError::Refused(cut(&error.message, LABEL_BYTES)),
        Fault::Failed(failure) => OpenError::Failed(failure),
        Fault::Closed { cause, .. } => {
            OpenError::Ended { cause: cause.to_string(), probing: false }
        }
    }
}

/// Reads what a server of the session era says of itself.
fn initialized(result: &RawValue) -> Result<Peer, OpenError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        protocol_version: String,
        #[serde(default)]
        capabilities: Option<Box<RawValue>>,
        #[serde(default)]
        server_info: Option<Box<RawValue>>,
        #[serde(default)]
        instructions: Option<String>,
    }
    let wire: Wire = serde_json::from_str(result.get())
        .map_err(|error| OpenError::Invalid(cut(&error.to_string(), LABEL_BYTES)))?;
    let revision = Revision::parse(&wire.protocol_version);
    let revision = revision
        .filter(|revision| revision.era() == Era::Legacy)
        .ok_or_else(|| OpenError::Revision(cut(&wire.protocol_version, LABEL_BYTES)))?;
    let info = wire.server_info.as_deref();
    Ok(peer(revision, info, wire.capabilities.as_deref(), wire.instructions.as_deref()))
}

fn peer(
    revision: Revision,
    info: Option<&RawValue>,
    capabilities: Option<&RawValue>,
    instructions: Option<&str>,
) -> Peer {
    Peer {
        revision,
        info: info.map(label).unwrap_or_default(),
        capabilities: capabilities.map(ServerCapabilities::parse).unwrap_or_default(),
        instructions: instructions.map(|text| cut(text, INSTRUCTIONS_BYTES)),
    }
}

/// Tells the wire what the messages are from now on.
async fn speak(line: &Line, peer: Peer) -> Result<Peer, OpenError> {
    if line.give(Order::Speak(peer.revision)).await { Ok(peer) } else { Err(ended()) }
}

fn label(raw: &RawValue) -> ServerInfo {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Wire {
        name: String,
        version: String,
    }
    let Wire { name, version } = serde_json::from_str(raw.get()).unwrap_or_default();
    ServerInfo { name: cut(&name, LABEL_BYTES), version: cut(&version, LABEL_BYTES) }
}

fn cut(text: &str, bytes: usize) -> String {
    message::cut(text, bytes).to_owned()
}

fn ended() -> OpenError {
    OpenError::Ended { cause: "its connection is closed".to_owned(), probing: false }
}

fn unwritten(error: serde_json::Error) -> OpenError {
    OpenError::Invalid(error.to_string())
}
