//! Layers of configuration, merged and read key by key, so that every wrong one is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::builder::DefaultState;
use config::{ConfigBuilder, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::{Config, NodeConfig, Problem, Problems, ShutdownConfig};
use crate::transport::http;
use crate::{admission, session, tasks, telemetry};

const PREFIX: &str = "ERLMCP";
/// Variables with names of their own, and the keys that they set.
const SHORT_NAMES: [(&str, &str); 2] =
    [("ERLMCP_ENV", "ERLMCP__NODE__ENV"), ("ERLMCP_NODE_NAME", "ERLMCP__NODE__NAME")];
/// Keys whose value is a list; in a variable or a flag it is separated by commas.
const LISTS: [&str; 2] = ["http.allowed_hosts", "http.allowed_origins"];

/// Reads one section; its type is forgotten.
type Check = fn(Map<String, Value>) -> Result<(), config::ConfigError>;

/// The sections: their names are those of the fields of [`Config`].
const SECTIONS: [(&str, Check); 8] = [
    ("node", check::<NodeConfig>),
    ("http", check::<http::Config>),
    ("metrics", check::<http::MetricsConfig>),
    ("sessions", check::<session::Config>),
    ("tasks", check::<tasks::Config>),
    ("requests", check::<admission::Config>),
    ("shutdown", check::<ShutdownConfig>),
    ("log", check::<telemetry::log::Config>),
];

/// Where a configuration comes from, lowest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if any.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags: a key's path and its value.
    pub flags: Vec<(String, String)>,
}

/// The process's environment.
#[expect(clippy::disallowed_methods, reason = "this is the configuration")]
pub fn environment() -> BTreeMap<String, String> {
    let text = |os: std::ffi::OsString| os.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

impl Config {
    /// Merges the layers and checks the whole.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let given = merge(sources).map_err(|error| single("configuration", &error))?;
        let problems = misread(&given);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let table = Value::new(None, ValueKind::Table(given));
        let config: Self =
            table.try_deserialize().map_err(|error| single("configuration", &error))?;
        match config.problems() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(Problems(problems)),
        }
    }
}

fn single(key: &str, error: &config::ConfigError) -> Problems {
    Problems(vec![Problem::new(key, error.to_string())])
}

fn merge(sources: &Sources) -> Result<Map<String, Value>, config::ConfigError> {
    let mut builder = ConfigBuilder::<DefaultState>::default();
    let file = sources.environment.get("ERLMCP_CONFIG").map(PathBuf::from);
    if let Some(file) = sources.file.clone().or(file) {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    let mut variables = sources.environment.clone();
    for (short, full) in SHORT_NAMES {
        if let Some(value) = variables.get(short).cloned() {
            variables.entry(full.to_owned()).or_insert(value);
        }
    }
    let flag = |(key, value): &(String, String)| {
        (format!("{PREFIX}__{}", key.replace('.', "__")), value.clone())
    };
    builder
        .add_source(layer(variables))
        .add_source(layer(sources.flags.iter().map(flag).collect()))
        .build()?
        .collect()
}

fn layer(variables: BTreeMap<String, String>) -> config::Environment {
    let environment = config::Environment::with_prefix(PREFIX)
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .source(Some(variables.into_iter().collect()));
    LISTS.iter().fold(environment, |environment, key| environment.with_list_parse_key(key))
}

/// The keys that a section has, with their defaults.
fn keys_of(section: &str) -> serde_json::Map<String, serde_json::Value> {
    let mut defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    match defaults.get_mut(section).map(serde_json::Value::take) {
        Some(serde_json::Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    }
}

/// Why a value isn't of its default's kind. The `config` crate itself takes `true` for 1, 1.5 for
/// 2 and "yes" for true.
fn odd(default: &serde_json::Value, given: &ValueKind) -> Option<&'static str> {
    use ValueKind::{Boolean, I64, I128, U64, U128};
    match default {
        serde_json::Value::Number(_) if !matches!(given, I64(_) | I128(_) | U64(_) | U128(_)) => {
            Some("must be a whole number")
        }
        serde_json::Value::Bool(_) if !matches!(given, Boolean(_)) => Some("must be true or false"),
        _ => None,
    }
}

fn check<S: DeserializeOwned>(section: Map<String, Value>) -> Result<(), config::ConfigError> {
    Value::new(None, ValueKind::Table(section)).try_deserialize::<S>().map(drop)
}

/// Tries each given key alone; the others of its section are at their defaults then.
fn misread(given: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in sorted(given) {
        let Some((_, check)) = SECTIONS.iter().find(|(section, _)| section == name) else {
            let known = SECTIONS.map(|(section, _)| section).join(", ");
            problems.push(Problem::new(name, format!("unknown section; there are {known}")));
            continue;
        };
        match value.clone().into_table() {
            Ok(section) => problems.extend(misread_section(name, &section, *check)),
            Err(_) => problems.push(Problem::new(name, "is a section; write its keys below it")),
        }
    }
    problems
}

fn misread_section(name: &str, section: &Map<String, Value>, check: Check) -> Vec<Problem> {
    let (known, mut problems) = (keys_of(name), Vec::new());
    for (key, value) in sorted(section) {
        let path = format!("{name}.{key}");
        let Some(default) = known.get(key) else {
            let all: Vec<_> = known.keys().map(String::as_str).collect();
            problems
                .push(Problem::new(path, format!("unknown key; [{name}] has {}", all.join(", "))));
            continue;
        };
        if let Some(what) = odd(default, &value.kind) {
            let origin = value.origin().map(|origin| format!(" (from {origin})"));
            problems.push(Problem::new(path, format!("{what}{}", origin.unwrap_or_default())));
            continue;
        }
        if let Err(error) = check(Map::from_iter([(key.clone(), value.clone())])) {
            let origin = value.origin().map(|origin| format!(" (from {origin})"));
            problems.push(Problem::new(path, format!("{error}{}", origin.unwrap_or_default())));
        }
    }
    problems
}

fn sorted(map: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    map.iter().collect()
}
