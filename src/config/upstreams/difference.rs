//! What differs between two configurations, for a reload. Pure: it names keys, never values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::super::Config;
use crate::catalogue::ServerName;
use crate::provider::upstream::UpstreamSpec;
pub use crate::upstreams::difference::Effect;
use crate::upstreams::difference::changes;

/// What a reload has to do, and what it can't.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Servers that are new.
    pub added: BTreeSet<ServerName>,
    /// Servers that are gone.
    pub removed: BTreeSet<ServerName>,
    /// Servers that are another now.
    pub changed: BTreeMap<ServerName, Change>,
    /// Servers that stay as they are.
    pub untouched: BTreeSet<ServerName>,
    /// Keys of other sections that changed: they need a restart of the node.
    pub needs_restart: BTreeSet<String>,
}

/// How a server changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it takes.
    pub effect: Effect,
    /// What is another.
    pub keys: BTreeSet<&'static str>,
}

impl Difference {
    /// What makes `new` of `old`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut difference = Self { needs_restart: other_keys(old, new), ..Self::default() };
        for (name, spec) in &new.mcp_servers {
            let Some(before) = old.mcp_servers.get(name) else {
                difference.added.insert(name.clone());
                continue;
            };
            match change(before, spec) {
                Some(change) => drop(difference.changed.insert(name.clone(), change)),
                None => drop(difference.untouched.insert(name.clone())),
            }
        }
        let gone = old.mcp_servers.keys().filter(|name| !new.mcp_servers.contains_key(*name));
        difference.removed = gone.cloned().collect();
        difference
    }

    /// Whether a reload has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// The keys of a server that changed, with what that takes.
fn change(old: &UpstreamSpec, new: &UpstreamSpec) -> Option<Change> {
    let changed = changes(old, new);
    let effect = changed.iter().map(|(_, effect)| *effect).max()?;
    Some(Change { effect, keys: changed.into_iter().map(|(key, _)| key).collect() })
}

/// The changed keys of all sections whose parts are made once, when the node starts.
fn other_keys(old: &Config, new: &Config) -> BTreeSet<String> {
    let (before, after) = (keys(old), keys(new));
    let mut changed: BTreeSet<String> = after
        .into_iter()
        .filter(|(key, value)| before.get(key) != Some(value))
        .map(|(key, _)| key)
        // The servers of these files are applied.
        .filter(|key| key != "upstreams.files")
        .collect();
    // Secrets look all the same from outside.
    if old.node.cookie != new.node.cookie {
        changed.insert("node.cookie".to_owned());
    }
    changed
}

fn keys(config: &Config) -> BTreeMap<String, Json> {
    let Ok(Json::Object(sections)) = serde_json::to_value(config) else { return BTreeMap::new() };
    let keys = sections.into_iter().flat_map(|(section, keys)| {
        let keys = if let Json::Object(keys) = keys { keys } else { serde_json::Map::new() };
        keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
    });
    keys.collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.added {
            writeln!(f, "+ {name}: is started")?;
        }
        for name in &self.removed {
            writeln!(f, "- {name}: is stopped")?;
        }
        for (name, Change { effect, keys }) in &self.changed {
            let keys = keys.iter().copied().collect::<Vec<_>>().join(", ");
            let what = match effect {
                Effect::Rules => "goes on under other rules",
                Effect::Instances => "is started anew",
            };
            writeln!(f, "~ {name}: {what} ({keys})")?;
        }
        for key in &self.needs_restart {
            writeln!(f, "! {key}: needs a restart of the node")?;
        }
        writeln!(f, "{} untouched", self.untouched.len())
    }
}
