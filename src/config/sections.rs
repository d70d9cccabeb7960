//! The sections of a configuration, read key by key, so that every wrong one is told.

use std::collections::BTreeSet;

use config::{ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::layers::Table;
use super::{Config, NodeConfig, Problem, ShutdownConfig, UpstreamsConfig, upstreams};
use crate::transport::{control, http};
use crate::{admission, session, tasks, telemetry};

/// Reads one section; its type is forgotten.
type Check = fn(Table) -> Result<(), ConfigError>;

/// The sections: their names are those of the fields of [`Config`].
const SECTIONS: [(&str, Check); 10] = [
    ("node", check::<NodeConfig>),
    ("http", check::<http::Config>),
    ("metrics", check::<http::MetricsConfig>),
    ("control", check::<control::Config>),
    ("sessions", check::<session::Config>),
    ("tasks", check::<tasks::Config>),
    ("requests", check::<admission::Config>),
    ("shutdown", check::<ShutdownConfig>),
    ("log", check::<telemetry::log::Config>),
    ("upstreams", check::<UpstreamsConfig>),
];

fn check<S: DeserializeOwned>(section: Table) -> Result<(), ConfigError> {
    Value::new(None, ValueKind::Table(section)).try_deserialize::<S>().map(drop)
}

/// What is wrong with a section's name that stands where a key should.
pub(super) fn not_a_section(name: &str) -> String {
    let sections = SECTIONS.map(|(section, _)| section);
    if sections.contains(&name) || name == upstreams::SECTION {
        "is a section; set the keys below it".to_owned()
    } else {
        format!("unknown section; there are {}, {}", sections.join(", "), upstreams::SECTION)
    }
}

/// The default of a key; null where there is no such key.
pub(super) fn default_of(section: &str, key: &str) -> Json {
    keys_of(section).remove(key).unwrap_or_default()
}

/// The keys that a section has, with their defaults.
fn keys_of(section: &str) -> serde_json::Map<String, Json> {
    let mut defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    match defaults.get_mut(section).map(Json::take) {
        Some(Json::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    }
}

/// Takes out of a layer what can't be read, and tells it; gives the paths of the keys that there
/// are but could not be read. Each key is tried alone, the others at their defaults.
pub(super) fn take_unreadable(layer: &mut Table, problems: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut unreadable = BTreeSet::new();
    let names: BTreeSet<String> = layer.keys().cloned().collect();
    for name in names {
        let check = SECTIONS.iter().find(|(section, _)| *section == name).map(|(_, check)| check);
        match (check, layer.get_mut(&name).map(|value| &mut value.kind)) {
            (Some(check), Some(ValueKind::Table(keys))) => {
                for (path, what) in wrong_keys(&name, keys, *check) {
                    unreadable.insert(path.clone());
                    problems.push(Problem::new(path, what));
                }
            }
            _ => {
                layer.remove(&name);
                problems.push(Problem::new(name.as_str(), not_a_section(&name)));
            }
        }
    }
    unreadable
}

fn wrong_keys(section: &str, keys: &mut Table, check: Check) -> Vec<(String, String)> {
    let (known, mut wrong) = (keys_of(section), Vec::new());
    keys.retain(|key, value| match problem(section, key, value, &known, check) {
        Some(what) => {
            wrong.push((format!("{section}.{key}"), what));
            false
        }
        None => true,
    });
    wrong.sort_unstable();
    wrong
}

fn problem(
    section: &str,
    key: &str,
    value: &Value,
    known: &serde_json::Map<String, Json>,
    check: Check,
) -> Option<String> {
    let Some(default) = known.get(key) else {
        let all: Vec<_> = known.keys().map(String::as_str).collect();
        return Some(format!("unknown key; [{section}] has {}", all.join(", ")));
    };
    let what = match odd(default, &value.kind) {
        Some(what) => what.to_owned(),
        None => check(Table::from_iter([(key.to_owned(), value.clone())])).err()?.to_string(),
    };
    let origin = value.origin().filter(|origin| !what.contains(*origin));
    Some(origin.map(|origin| format!("{what} (from {origin})")).unwrap_or(what))
}

/// Why a value isn't of its default's kind. The `config` crate itself takes `true` for 1, 1.5 for
/// 2, "yes" for true and 7 for "7".
fn odd(default: &Json, given: &ValueKind) -> Option<&'static str> {
    use ValueKind::{Array, Boolean, I64, I128, String, U64, U128};
    match (default, given) {
        (Json::Number(_), I64(_) | I128(_) | U64(_) | U128(_))
        | (Json::Bool(_), Boolean(_))
        | (Json::String(_), String(_))
        | (Json::Array(_), Array(_)) => None,
        (Json::Number(_), _) => Some("must be a whole number"),
        (Json::Bool(_), _) => Some("must be true or false"),
        (Json::String(_), _) => Some("must be a text"),
        (Json::Array(_), _) => Some("must be a list"),
        (Json::Null | Json::Object(_), _) => None,
    }
}
