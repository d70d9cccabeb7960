//! Those of a node's clients who share something.

use std::fmt;
use std::sync::Arc;

use super::Who;

/// Some of a node's clients.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Circle {
    /// All of them.
    All,
    /// Those of one principal.
    Principal(Arc<str>),
    /// The one with this session, by its key, which may be a secret.
    Session(Arc<str>),
}

impl Circle {
    /// Whether a client belongs to it.
    pub fn includes(&self, who: &Who) -> bool {
        match self {
            Self::All => true,
            Self::Principal(principal) => *principal == who.principal,
            Self::Session(session) => who.session.as_ref() == Some(session),
        }
    }
}

impl fmt::Debug for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Principal(_) => "Principal",
            Self::Session(_) => "Session",
        })
    }
}
