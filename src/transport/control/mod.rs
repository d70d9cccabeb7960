//! The control socket: a unix domain socket by which the node's own user looks at it and stops it.
//!
//! It speaks JSON-RPC 2.0, one message a line, as MCP over stdio does.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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

impl Config {
    /// Where the socket of the node with this name lies; `None` where there is to be none.
    pub fn path(&self, node: &str) -> Option<PathBuf> {
        if self.socket.as_os_str().is_empty() {
            return None;
        }
        if self.socket != Path::new(AUTO) {
            return Some(self.socket.clone());
        }
        let name: String = node.chars().map(plain).collect();
        Some(match &self.runtime_dir {
            Some(directory) => directory.join(format!("erlmcp-{name}.sock")),
            None => {
                let user = rustix::process::geteuid().as_raw();
                PathBuf::from(format!("/tmp/erlmcp-{user}")).join(format!("{name}.sock"))
            }
        })
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
            Config { socket: socket.into(), runtime_dir }.path(node)
        };
        assert_eq!(path("", &runtime_dir, "n"), None);
        assert_eq!(path("/a/b", &runtime_dir, "n"), Some("/a/b".into()));
        let auto = path("auto", &runtime_dir, "../n@h");
        assert_eq!(auto, Some("/run/user/7/erlmcp-.._n@h.sock".into()));
        let private = path("auto", &None, "n").unwrap();
        assert!(private.to_str().unwrap().starts_with("/tmp/erlmcp-"), "{private:?}");
        assert!(private.ends_with("n.sock"), "{private:?}");
    }
}
