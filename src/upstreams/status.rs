//! What operators are told of an upstream. It holds no secret: neither headers nor environment, and
//! of those who share an instance only how many there are.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::instance::Seat;
use super::machine::{MemberId, State};
use crate::catalogue::ServerName;
use crate::catalogue::vet::Refused;
use crate::provider::upstream::process::Vitals;

/// One upstream at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: ServerName,
    /// How it is.
    pub state: State,
    /// Since when, in seconds.
    pub since_s: u64,
    /// Why, in one sentence.
    pub cause: Arc<str>,
    /// In how many seconds it is tried again, where it rests.
    pub next_try_s: Option<u64>,
    /// `stdio` or `http`.
    pub transport: &'static str,
    /// Who shares an instance: `node`, `principal` or `session`.
    pub share: &'static str,
    /// How often its instances were started again.
    pub restarts: u64,
    /// Calls under way.
    pub in_flight: usize,
    /// Its instances that run.
    pub instances: Vec<InstanceStatus>,
    /// How the last instance ended that ended by itself.
    pub last_end: Option<EndStatus>,
    /// Tools in the catalogue.
    pub tools: usize,
    /// Prompts in the catalogue.
    pub prompts: usize,
    /// Resources in the catalogue.
    pub resources: usize,
    /// Patterns of resources in the catalogue.
    pub templates: usize,
    /// What was left out of the catalogue.
    pub refused: Vec<Left>,
}

/// One running instance.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceStatus {
    /// Its number.
    pub id: MemberId,
    /// Its process, where it is one of ours.
    pub pid: Option<u32>,
    /// Lines on its standard output that are no messages.
    pub noise: u64,
    /// The era that it speaks.
    pub era: &'static str,
    /// The revision.
    pub revision: &'static str,
    /// What it calls itself.
    pub server: String,
    /// Its version.
    pub server_version: String,
    /// Calls under way.
    pub in_flight: usize,
    /// How long it has served, in seconds.
    pub uptime_s: u64,
}

impl InstanceStatus {
    /// The status of an instance.
    pub(super) fn of(id: MemberId, seat: &Seat) -> Self {
        let peer = seat.connection.peer();
        Self {
            id,
            pid: seat.vitals.as_ref().and_then(Vitals::pid),
            noise: seat.vitals.as_ref().map_or(0, Vitals::noise),
            era: peer.era().as_str(),
            revision: peer.revision.as_str(),
            server: peer.info.name.clone(),
            server_version: peer.info.version.clone(),
            in_flight: seat.connection.in_flight(),
            uptime_s: seat.since.elapsed().as_secs(),
        }
    }
}

/// How an instance ended.
#[derive(Debug, Clone)]
pub struct LastEnd {
    /// Why, with its exit status.
    pub cause: String,
    /// When.
    pub at: Instant,
    /// How long it had lived.
    pub uptime: Duration,
    /// The last that it wrote on its standard error.
    pub stderr: Vec<String>,
}

/// The same, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct EndStatus {
    /// Why, with its exit status.
    pub cause: String,
    /// How long ago, in seconds.
    pub ago_s: u64,
    /// How long it had lived, in milliseconds.
    pub uptime_ms: u64,
    /// The last that it wrote on its standard error.
    pub stderr: Vec<String>,
}

impl LastEnd {
    /// As it is shown now.
    pub fn status(&self) -> EndStatus {
        EndStatus {
            cause: self.cause.clone(),
            ago_s: self.at.elapsed().as_secs(),
            uptime_ms: u64::try_from(self.uptime.as_millis()).unwrap_or(u64::MAX),
            stderr: self.stderr.clone(),
        }
    }
}

/// A definition that was left out of the catalogue.
#[derive(Debug, Clone, Serialize)]
pub struct Left {
    /// The list in which it stood.
    pub list: &'static str,
    /// Its server's own name for it.
    pub name: String,
    /// Why.
    pub why: String,
}

impl Left {
    /// As it is shown.
    pub(super) fn of(refused: &Refused) -> Self {
        let list = refused.kind.member();
        Self { list, name: refused.name.clone(), why: refused.why.to_string() }
    }
}
