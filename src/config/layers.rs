//! The layers of a configuration: the file, the environment, the flags. Each becomes a table.
//!
//! A variable or a flag is text; the kind of its key's default says how it is read, so that a name
//! made of digits stays a text.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fs, io};

use config::builder::DefaultState;
use config::{ConfigBuilder, File, FileFormat, Map, Source as _, Value, ValueKind};
use serde_json::Value as Json;

use super::Problem;
use super::sections::{default_of, not_a_section};
use super::upstreams::{self, value_of_text};

/// A section, or all of them.
pub(super) type Table = Map<String, Value>;

/// What the names of our variables begin with.
const PREFIX: &str = "ERLMCP__";
/// The variable that names the file.
const FILE: &str = "ERLMCP_CONFIG";
/// Variables with names of their own, and those that they stand for. An empty one is none, as
/// container tools pass on what nobody set.
const SHORT_NAMES: [(&str, &str); 4] = [
    ("ERLMCP_ENV", "ERLMCP__NODE__ENV"),
    ("ERLMCP_NODE_NAME", "ERLMCP__NODE__NAME"),
    ("ERLANG_COOKIE", "ERLMCP__NODE__COOKIE"),
    ("ERLANG_COOKIE_FILE", "ERLMCP__NODE__COOKIE_FILE"),
];
/// Keys that hold secrets: `KEY_file` names a file that holds the secret.
const SECRETS: [(&str, &str); 1] = [("node", "cookie")];

/// The file that is read, if any: the flag's, else the one of `ERLMCP_CONFIG`.
pub(super) fn file_of(
    flag: Option<&PathBuf>,
    environment: &BTreeMap<OsString, OsString>,
) -> Option<PathBuf> {
    let named = environment.get(OsStr::new(FILE)).filter(|path| !path.is_empty());
    flag.cloned().or_else(|| named.map(PathBuf::from))
}

/// The file's layer.
pub(super) fn file(path: &Path) -> Result<Table, Problem> {
    let problem = |what: String| Problem::new(path.to_string_lossy(), what);
    let readable = fs::metadata(path).and_then(|metadata| {
        if metadata.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    });
    readable.map_err(|error| problem(format!("can't be read: {error}; name a TOML file")))?;
    let file = File::from(path).format(FileFormat::Toml);
    let table = ConfigBuilder::<DefaultState>::default().add_source(file).build();
    let table = table.and_then(|read| read.collect());
    table.map_err(|error| problem(without_excerpt(&error.to_string())))
}

/// The parser shows the lines that it stumbled over, which may hold a secret: they stand behind
/// their number and a bar. The file is told already.
pub(super) fn without_excerpt(error: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == ' ';
    let hidden = |line: &str| line.starts_with('|') || line.starts_with("in ") || line.is_empty();
    let told = error.lines().filter(|line| !hidden(line.trim_start_matches(digits)));
    told.collect::<Vec<_>>().join(": ")
}

/// The environment's layer.
pub(super) fn environment(
    variables: &BTreeMap<OsString, OsString>,
    problems: &mut Vec<Problem>,
) -> Table {
    let mut table = Table::new();
    let mut ours = BTreeMap::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if let Some((_, full)) = SHORT_NAMES.iter().find(|(short, _)| *short == name) {
            if !value.is_empty() {
                ours.entry((*full).to_owned()).or_insert((name.into_owned(), value));
            }
        } else if name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
            ours.insert(name.to_uppercase(), (name.into_owned(), value));
        }
    }
    for (full, (name, value)) in ours {
        let path = path_of(&full, &name);
        match value.to_str() {
            Some(text) => set(&mut table, &path, text, &name, problems),
            None => problems.push(Problem::new(name, "is no UTF-8 text")),
        }
    }
    table
}

/// The path of the key that a variable sets. Only the names of a child's own variables are told
/// apart by their case.
fn path_of(full: &str, name: &str) -> String {
    let path = |name: &str| name.to_lowercase().replace("__", ".");
    let key = full.get(PREFIX.len()..).unwrap_or_default();
    let parts: Vec<&str> = name.get(PREFIX.len()..).unwrap_or_default().splitn(4, "__").collect();
    match parts.as_slice() {
        [section, server, env, variable]
            if section.eq_ignore_ascii_case(upstreams::SECTION)
                && env.eq_ignore_ascii_case("env") =>
        {
            format!("{}.{}.env.{variable}", upstreams::SECTION, path(server))
        }
        _ => path(key),
    }
}

/// The flags' layer.
pub(super) fn flags(flags: &[(String, String)], problems: &mut Vec<Problem>) -> Table {
    let mut table = Table::new();
    for (path, text) in flags {
        set(&mut table, path, text, &format!("--set {path}"), problems);
    }
    table
}

fn set(table: &mut Table, path: &str, text: &str, origin: &str, problems: &mut Vec<Problem>) {
    let Some((section, key)) = path.split_once('.') else {
        problems.push(Problem::new(path, not_a_section(path)));
        return;
    };
    let kind = if section == upstreams::SECTION {
        value_of_text(key, text)
    } else {
        kind_of(&default_of(section, key), text)
    };
    let value = Value::new(Some(&origin.to_owned()), kind);
    insert(table, section, key, value);
}

/// Sets `key`, a path of its own, in a section.
fn insert(table: &mut Table, section: &str, key: &str, value: Value) {
    let empty = || Value::new(None, ValueKind::Table(Table::new()));
    let entry = table.entry(section.to_owned()).or_insert_with(empty);
    if !matches!(entry.kind, ValueKind::Table(_)) {
        *entry = empty();
    }
    let ValueKind::Table(keys) = &mut entry.kind else { return };
    match key.split_once('.') {
        Some((section, key)) => insert(keys, section, key, value),
        None => drop(keys.insert(key.to_owned(), value)),
    }
}

/// A text as the kind of its key's default; one that doesn't fit stays a text, which is told later.
fn kind_of(default: &Json, text: &str) -> ValueKind {
    let read = match default {
        Json::Number(_) => text.parse().map(ValueKind::I64).ok(),
        Json::Bool(_) => text.parse().map(ValueKind::Boolean).ok(),
        Json::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(ValueKind::Array(items.map(Value::from).collect()))
        }
        _ => None,
    };
    read.unwrap_or_else(|| ValueKind::String(text.to_owned()))
}

/// Reads the files of the secrets that a layer names.
pub(super) fn read_secrets(layer: &mut Table, problems: &mut Vec<Problem>) {
    for (section, key) in SECRETS {
        let Some(ValueKind::Table(keys)) = layer.get_mut(section).map(|value| &mut value.kind)
        else {
            continue;
        };
        let name = format!("{key}_file");
        let Some(file) = keys.remove(&name) else { continue };
        let path = format!("{section}.{name}");
        if keys.contains_key(key) {
            let what = format!("stands beside {section}.{key}; give one of them");
            problems.push(Problem::new(path, what));
            continue;
        }
        let origin = file.origin().unwrap_or(&path).to_owned();
        match file.into_string().map_err(|_| "must be a text".to_owned()).and_then(|file| {
            fs::read_to_string(&file).map_err(|error| format!("{file} can't be read: {error}"))
        }) {
            Ok(text) => {
                let text = ValueKind::String(text.trim_end_matches(['\r', '\n']).to_owned());
                keys.insert(key.to_owned(), Value::new(Some(&origin), text));
            }
            Err(what) => problems.push(Problem::new(path, what)),
        }
    }
}

/// Lays a layer over those below it.
pub(super) fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key).map(|value| &mut value.kind), &value.kind) {
            (Some(ValueKind::Table(below)), ValueKind::Table(above)) => {
                lay_over(below, above.clone());
            }
            _ => drop(below.insert(key, value)),
        }
    }
}
