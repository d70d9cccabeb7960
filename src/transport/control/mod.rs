//! The control socket: a unix domain socket by which the node's own user looks at it and stops it.
//!
//! It speaks JSON-RPC 2.0, one message a line, as MCP over stdio does.

pub mod connections;
pub mod inspect;
pub mod listener;
pub mod methods;
pub mod orders;
pub mod socket;
pub mod upstreams;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use connections::Connections;
pub use methods::{Methods, Reload};
pub use orders::{Order, Orders};
pub use socket::Socket;

/// The value of `control.socket` that stands for the platform's own place.
const AUTO: &str = "auto";

/// The control socket. `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `auto`, or the socket's absolute path; empty for no socket at all.
    pub socket: PathBuf,
    /// Where the platform keeps sockets (`XDG_RUNTIME_DIR`); no key of ours.
    #[serde(skip)]
    pub runtime_dir: Option<PathBuf>,
}

impl Default for Config {
    /// A place that only the node's user can reach, so that there is nothing to configure.
    fn default() -> Self {
        Self { socket: AUTO.into(), runtime_dir: None }
    }
}

/// Where a control socket lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// Whether its directory is one of ours, in a place where others write too.
    pub is_own: bool,
}

impl Config {
    /// Where the socket of the node with this name lies; `None` where there is to be none.
    pub fn place(&self, node: &str) -> Option<Place> {
        if self.socket.as_os_str().is_empty() {
            return None;
        }
        if self.socket != Path::new(AUTO) {
            return Some(Place { path: self.socket.clone(), is_own: false });
        }
        let name: String = node.chars().map(plain).collect();
        Some(match &self.runtime_dir {
            Some(directory) => {
                Place { path: directory.join(format!("erlmcp-{name}.sock")), is_own: false }
            }
            None => {
                let user = rustix::process::geteuid().as_raw();
                let directory = PathBuf::from(format!("/tmp/erlmcp-{user}"));
                Place { path: directory.join(format!("{name}.sock")), is_own: true }
            }
        })
    }
}

/// The socket and what was accepted from it; both live above the listener's actor.
#[derive(Clone)]
pub struct Front {
    /// The bound socket.
    pub socket: Socket,
    /// Its connections.
    pub connections: Connections,
}

impl Front {
    /// A front with nobody at it.
    pub fn new(socket: Socket) -> Self {
        Self { socket, connections: Connections::default() }
    }

    /// Lets go of everybody, after the answers that are under way; waits for these.
    pub async fn close(&self) {
        self.socket.close();
        self.connections.close().await;
    }

    /// Ends everything at once.
    pub fn abort(&self) {
        self.socket.close();
        self.connections.abort();
    }
}

/// A node's name may hold anything; a file's name may not.
fn plain(character: char) -> char {
    if character.is_ascii_alphanumeric() || "-_.@".contains(character) { character } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_lies_where_its_user_alone_reaches() {
        let runtime_dir = Some(PathBuf::from("/run/user/7"));
        let path = |socket: &str, runtime_dir: &Option<PathBuf>, node: &str| {
            let runtime_dir = runtime_dir.clone();
            let place = Config { socket: socket.into(), runtime_dir }.place(node);
            place.map(|place| (place.path, place.is_own))
        };
        assert_eq!(path("", &runtime_dir, "n"), None);
        assert_eq!(path("/a/b", &runtime_dir, "n"), Some(("/a/b".into(), false)));
        let auto = path("auto", &runtime_dir, "../n@h");
        assert_eq!(auto, Some(("/run/user/7/erlmcp-.._n@h.sock".into(), false)));
        let (private, is_own) = path("auto", &None, "n").unwrap();
        assert!(private.to_str().unwrap().starts_with("/tmp/erlmcp-"), "{private:?}");
        assert!(is_own && private.ends_with("n.sock"), "{private:?}");
    }
}
