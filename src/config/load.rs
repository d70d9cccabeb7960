//! From the sources to the configuration, or to all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use config::{Value, ValueKind};

use super::layers::{self, Table};
use super::sections::take_unreadable;
use super::{Config, Problem, Problems};

/// Where a configuration comes from, lowest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if any; else `ERLMCP_CONFIG` names it.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// Flags: a key's path and its value.
    pub flags: Vec<(String, String)>,
}

/// The process's environment.
#[expect(clippy::disallowed_methods, reason = "this is the configuration")]
pub fn environment() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

impl Config {
    /// Merges the layers and checks the whole.
    ///
    /// # Errors
    /// All that is wrong. Rules are told too where other keys can't be read, except those that
    /// depend on such a key.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (mut problems, mut layers, mut file_is_lost) = (Vec::new(), Vec::new(), false);
        match layers::file_of(sources.file.as_ref(), &sources.environment)
            .as_deref()
            .map(layers::file)
        {
            Some(Ok(table)) => layers.push(table),
            Some(Err(problem)) => {
                file_is_lost = true;
                problems.push(problem);
            }
            None => {}
        }
        layers.push(layers::environment(&sources.environment, &mut problems));
        layers.push(layers::flags(&sources.flags, &mut problems));
        let (mut given, mut unreadable) = (Table::new(), BTreeSet::new());
        for mut layer in layers {
            layers::read_secrets(&mut layer, &mut problems);
            unreadable.append(&mut take_unreadable(&mut layer, &mut problems));
            layers::lay_over(&mut given, layer);
        }
        let read = Value::new(None, ValueKind::Table(given)).try_deserialize::<Self>();
        match read {
            Ok(mut config) => {
                config.control.runtime_dir = runtime_dir(&sources.environment);
                // What a lost file says may be just what a rule asks for.
                if !file_is_lost {
                    problems.extend(config.broken_rules(&unreadable));
                }
                if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
            }
            Err(error) => {
                problems.push(Problem::new("configuration", error.to_string()));
                Err(Problems(problems))
            }
        }
    }
}

/// Where the platform keeps the sockets of whoever is logged in. One that isn't absolute is to be
/// ignored (XDG Base Directory Specification).
fn runtime_dir(environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    let path = Path::new(environment.get(OsStr::new("XDG_RUNTIME_DIR"))?);
    path.is_absolute().then(|| path.to_owned())
}
