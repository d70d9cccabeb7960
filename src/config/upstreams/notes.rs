//! What is wrong and what is odd, with the place where it stands.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use std::collections::BTreeMap;

use super::super::Problem;

/// What keys come from: a file, a variable or a flag.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// What it is called; empty where the path says it.
    pub(super) name: String,
    /// Whether it is the node's own, which has no keys of clients.
    pub(super) own: bool,
    /// The folder that a client has open where this is its file, as far as the file's place tells.
    pub(super) workspace: Option<PathBuf>,
    /// What the client asks its user for, with the defaults.
    pub(super) inputs: BTreeMap<String, Option<String>>,
}

/// Where a key stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What it comes from.
    pub(super) source: Arc<Source>,
    /// Its path there, such as `mcpServers.github.args[2]`.
    pub(super) path: String,
}

impl Place {
    pub(super) fn new(source: &Arc<Source>, path: &str) -> Self {
        Self { source: Arc::clone(source), path: path.to_owned() }
    }

    /// The place of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut path = self.path.clone();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // Writing to a text can't fail.
        let _ = if !key.is_empty() && key.chars().all(plain) {
            write!(path, ".{key}")
        } else {
            write!(path, "[{key:?}]")
        };
        Self { source: Arc::clone(&self.source), path }
    }

    /// The place of an item of the list here.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { source: Arc::clone(&self.source), path: format!("{}[{index}]", self.path) }
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(in super::super) struct Notes {
    /// What is wrong: nothing is served so.
    pub(in super::super) problems: Vec<Problem>,
    /// What is odd: it is served, though in another way than is written.
    pub(in super::super) warnings: Vec<Problem>,
}

impl Notes {
    pub(super) fn problem(&mut self, place: &Place, what: impl Into<String>) {
        self.problems.push(told(place, what.into()));
    }

    pub(super) fn warning(&mut self, place: &Place, what: impl Into<String>) {
        self.warnings.push(told(place, what.into()));
    }
}

fn told(place: &Place, what: String) -> Problem {
    let origin = Some(place.source.name.clone()).filter(|name| !name.is_empty());
    Problem { origin, key: place.path.clone(), what }
}
