//! Why a tool is there or missing.

use std::sync::Arc;

use serde::Serialize;

use super::machine::State;
use super::status::{EndStatus, UpstreamStatus};
use crate::catalogue::vet::{Refusal, is_allowed};
use crate::catalogue::{Catalogue, Scope, ServerName};
use crate::protocol::Kind;

use super::Upstreams;

/// Names that are proposed for one that nobody has.
const PROPOSED: usize = 3;
/// Longest name that is compared with others, in characters.
const COMPARED_CHARS: usize = 256;

/// What there is to say about a tool's name on the federated endpoint, or about a server's name.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Why {
    /// It is there.
    Healthy {
        /// Who has it.
        server: ServerName,
        /// The server's own name for it.
        tool: Arc<str>,
    },
    /// Its server has it, but isn't there.
    Down {
        /// Who would have it.
        server: ServerName,
        /// How the server is.
        state: State,
        /// Why.
        cause: Arc<str>,
        /// Whether the server had it when it was last there.
        known: bool,
        /// In how many seconds the server is tried again, where it rests.
        next_try_s: Option<u64>,
        /// How the server's last instance ended.
        last_end: Option<EndStatus>,
    },
    /// It is no tool but a server.
    Server {
        /// How it is.
        status: Box<UpstreamStatus>,
    },
    /// The configuration hides it.
    Hidden {
        /// Who has it.
        server: ServerName,
        /// The server's own name for it.
        tool: String,
    },
    /// Its server offers it, but in a way that can't be shown to clients.
    Refused {
        /// Who offers it.
        server: ServerName,
        /// The server's own name for it.
        tool: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Its server has no such tool.
    UnknownTool {
        /// The server.
        server: ServerName,
        /// Tools with similar names.
        near: Vec<Arc<str>>,
    },
    /// There is no such server.
    UnknownServer {
        /// Tools with similar names.
        near: Vec<Arc<str>>,
    },
}

impl Upstreams {
    /// Why a tool is there or missing, by its name on the federated endpoint; or how a server is.
    pub fn why(&self, tool: &str) -> Why {
        let snapshot = self.shared().published.load();
        let catalogue = &snapshot.catalogue;
        let near = || nearest(tool, catalogue.federated_names(Kind::Tools));
        let found = catalogue.find(&Scope::Federated, Kind::Tools, tool);
        let board = match found {
            Some(entry) => match self.board(&entry.server) {
                Some(board) => board,
                // A server in this process is always there.
                None => {
                    let (server, tool) = (Arc::clone(&entry.server), Arc::clone(&entry.name));
                    return Why::Healthy { server, tool };
                }
            },
            None => {
                if let Some(board) = self.board(tool) {
                    return Why::Server { status: Box::new(board.status()) };
                }
                match self.boards().into_iter().find(|b| b.naming().claims(&b.name, tool)) {
                    Some(board) => board,
                    None => return unknown(catalogue, tool, near()),
                }
            }
        };
        let server = Arc::clone(&board.name);
        let plain = board.naming().plain(&server, tool);
        if let Some(refused) = board.refused().iter().find(|r| r.name == plain) {
            let reason = refused.why.to_string();
            return match refused.why {
                Refusal::Denied => Why::Hidden { server, tool: plain },
                _ => Why::Refused { server, tool: plain, reason },
            };
        }
        let (status, spec) = (board.status(), board.spec());
        if !is_allowed(&plain, &spec.tools.allow, &spec.tools.deny) {
            return Why::Hidden { server, tool: plain };
        }
        if !status.state.serves() {
            return Why::Down {
                server,
                state: status.state,
                cause: status.cause,
                known: found.is_some(),
                next_try_s: status.next_try_s,
                last_end: status.last_end,
            };
        }
        match found {
            Some(entry) => Why::Healthy { server, tool: Arc::clone(&entry.name) },
            None => Why::UnknownTool { server, near: near() },
        }
    }
}

/// A server in this process may be meant.
fn unknown(catalogue: &Catalogue, tool: &str, near: Vec<Arc<str>>) -> Why {
    match catalogue.claimed_by(tool) {
        Some(server) => Why::UnknownTool { server: Arc::clone(server), near },
        None => Why::UnknownServer { near },
    }
}

/// The names that are most like one, if they are like it at all: as letters have to be changed,
/// added or left out (Levenshtein).
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    let compared = |name: &str| name.to_lowercase().chars().take(COMPARED_CHARS).collect();
    let name: String = compared(name);
    let limit = 1 + name.len() / 3;
    let mut near: Vec<(usize, &Arc<str>)> = names
        .filter_map(|other| {
            let compared: String = compared(other);
            // A tool's plain name is what people remember.
            let is_end = compared.ends_with(&name) && !name.is_empty();
            let distance = if is_end { 0 } else { strsim::levenshtein(&name, &compared) };
            (distance <= limit).then_some((distance, other))
        })
        .collect();
    near.sort();
    near.into_iter().take(PROPOSED).map(|(_, name)| Arc::clone(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_proposed() {
        let names: Vec<Arc<str>> =
            ["git__log", "git__log_file", "git__show", "time__now"].map(Arc::from).to_vec();
        let table: [(&str, &[&str]); 6] = [
            ("git__lgo", &["git__log", "git__show"]),
            ("log", &["git__log"]),
            ("Git__Log", &["git__log", "git__show"]),
            ("now", &["time__now"]),
            ("something_else_altogether", &[]),
            ("", &[]),
        ];
        for (name, expected) in table {
            let near = nearest(name, names.iter());
            let near: Vec<&str> = near.iter().map(|name| &**name).collect();
            assert_eq!(near, expected, "{name}");
        }
    }
}
