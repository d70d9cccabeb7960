//! The handshake: which era a server is of, and what it can do.
//!
//! A modern server answers `server/discover`; whatever a server of the session era makes of that,
//! it gets an `initialize` next (2026-07-28, "Versioning"). Some end or fall silent instead, which
//! the error tells: a new instance that isn't asked first may do.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::line::{Draft, Leaving, Line};
use super::message;
use super::table::{Fault, Outcome};
use super::{Over, Settings};
use crate::bridge::{self, ServerCapabilities};
use crate::protocol::meta::{SERVER_INFO, ServerInfo};
use crate::protocol::splice::{Edits, find};
use crate::protocol::{Code, Era, Revision};
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

/// Shakes hands.
pub(super) async fn shake(line: &Line, settings: &Settings) -> Result<Peer, OpenError> {
    let begun = Instant::now();
    let deadline = begun + settings.start_timeout;
    let probed = settings.era != Some(Era::Legacy);
    let whole = async {
        if probed && let Some(peer) = probe(line, settings).await? {
            let revision = peer.revision;
            return speak(line, revision).await.map(|()| peer);
        }
        initialize(line, settings).await
    };
    let timed_out = |_| OpenError::TimedOut { after: settings.start_timeout, probed };
    timeout_at(deadline, whole).await.map_err(timed_out)?
}

/// Asks a server for its era; `None` where it is the session era.
async fn probe(line: &Line, settings: &Settings) -> Result<Option<Peer>, OpenError> {
    let params = bridge::own(Edits::default(), Revision::LATEST, &settings.node);
    let draft = Draft::new("server/discover", params.map_err(unwritten)?);
    let limit = settings.probe_timeout.min(settings.start_timeout / 2);
    // Nothing but `initialize` may come next, so it isn't told that nobody waits.
    let outcome = line.request(draft, Leaving::HangUp, limit).await;
    match outcome {
        Some(Ok(result)) => Ok(discovered(&result)),
        Some(Err(Fault::Answered(error))) => match error.code {
            Code::Other(-32020 | -32021) if settings.over == Over::Http => {
                Err(OpenError::Refused(cut(&error.message, LABEL_BYTES)))
            }
            _ => Ok(None),
        },
        Some(Err(Fault::Closed { cause, .. })) => {
            Err(OpenError::Ended { cause: cause.to_string(), probing: true })
        }
        Some(Err(Fault::Failed(failure))) => match failure {
            Failure::Status { status: 401 | 403, .. } | Failure::Unreachable(_) => {
                Err(OpenError::Failed(failure))
            }
            _ => Ok(None),
        },
        None => Ok(None),
    }
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
    Some(Peer {
        revision,
        info: info.map(label).unwrap_or_default(),
        capabilities: wire
            .capabilities
            .map(|raw| ServerCapabilities::parse(&raw))
            .unwrap_or_default(),
        instructions: wire.instructions.map(|text| cut(&text, INSTRUCTIONS_BYTES)),
    })
}

async fn initialize(line: &Line, settings: &Settings) -> Result<Peer, OpenError> {
    let mut edits = Edits::default();
    let written = edits
        .set("protocolVersion", Revision::LATEST_LEGACY.as_str())
        .and_then(|edits| edits.set("capabilities", &bridge::declared(bridge::NODE)))
        .and_then(|edits| edits.set("clientInfo", &settings.node))
        .map(|edits| edits.apply(None));
    let draft = Draft::new("initialize", written.map_err(unwritten)?);
    // The whole handshake has a deadline; and nobody may cancel an `initialize`.
    let outcome = line.request(draft, Leaving::HangUp, Duration::MAX).await;
    let peer = initialized(outcome)?;
    speak(line, peer.revision).await?;
    let ready = message::notification("notifications/initialized", "");
    if line.notify(ready).await { Ok(peer) } else { Err(ended()) }
}

fn initialized(outcome: Option<Outcome>) -> Result<Peer, OpenError> {
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
    let result = match outcome {
        Some(Ok(result)) => result,
        Some(Err(Fault::Answered(error))) => {
            return Err(OpenError::Refused(cut(&error.message, LABEL_BYTES)));
        }
        Some(Err(Fault::Failed(failure))) => return Err(OpenError::Failed(failure)),
        Some(Err(Fault::Closed { cause, .. })) => {
            return Err(OpenError::Ended { cause: cause.to_string(), probing: false });
        }
        None => return Err(ended()),
    };
    let wire: Wire = serde_json::from_str(result.get())
        .map_err(|error| OpenError::Invalid(cut(&error.to_string(), LABEL_BYTES)))?;
    let revision = Revision::parse(&wire.protocol_version);
    let revision = revision
        .filter(|revision| revision.era() == Era::Legacy)
        .ok_or_else(|| OpenError::Revision(cut(&wire.protocol_version, LABEL_BYTES)))?;
    Ok(Peer {
        revision,
        info: wire.server_info.as_deref().map(label).unwrap_or_default(),
        capabilities: wire
            .capabilities
            .map(|raw| ServerCapabilities::parse(&raw))
            .unwrap_or_default(),
        instructions: wire.instructions.map(|text| cut(&text, INSTRUCTIONS_BYTES)),
    })
}

/// Tells the wire what the messages are from now on.
async fn speak(line: &Line, revision: Revision) -> Result<(), OpenError> {
    line.orders.send(Order::Speak(revision)).await.map_err(|_| ended())
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
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

fn ended() -> OpenError {
    OpenError::Ended { cause: "its connection is closed".to_owned(), probing: false }
}

fn unwritten(error: serde_json::Error) -> OpenError {
    OpenError::Invalid(error.to_string())
}
