//! From the sources to the configuration, or to all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use config::{Value, ValueKind};

use super::layers::{self, Table};
use super::sections::take_unreadable;
use super::upstreams::{self, Notes, Variables};
use super::{Config, Problem, Problems};
use crate::catalogue::ServerName;
use crate::provider::upstream::UpstreamSpec;

/// Where a configuration comes from, lowest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if any; else `ERLMCP_CONFIG` names it.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// Flags: a key's path and its value.
    pub flags: Vec<(String, String)>,
    /// Files of MCP clients, beside those that the configuration names.
    pub mcp_files: Vec<PathBuf>,
    /// Whether the servers are left out: who only asks a node needs none of their variables.
    pub without_servers: bool,
}

/// A configuration that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The configuration, or all that is wrong with it.
    pub config: Result<Config, Problems>,
    /// What is odd, and no obstacle.
    pub warnings: Vec<Problem>,
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
        Self::check(sources).config
    }

    /// The same, with what is odd, too.
    pub fn check(sources: &Sources) -> Checked {
        let mut notes = Notes::default();
        let read = Layers::read(sources, &mut notes.problems);
        let Layers { given, servers, unreadable, file_is_lost } = read;
        let config = Value::new(None, ValueKind::Table(given)).try_deserialize::<Self>();
        let config = config.map(|mut config| {
            config.control.runtime_dir = runtime_dir(&sources.environment);
            // What a lost file says may be just what a rule asks for, and a server's target.
            if !file_is_lost {
                notes.problems.extend(config.broken_rules(&unreadable));
            }
            if !sources.without_servers {
                let servers = servers.filter(|_| !file_is_lost);
                config.mcp_servers = config.servers(servers, sources, &mut notes);
            }
            config
        });
        let Notes { mut problems, warnings } = notes;
        let config = config.map_err(|error| {
            problems.push(Problem::new("configuration", error.to_string()));
        });
        let config = match config {
            Ok(config) if problems.is_empty() => Ok(config),
            Ok(_) | Err(()) => Err(Problems(problems)),
        };
        Checked { config, warnings }
    }

    fn servers(
        &self,
        own: Option<Value>,
        sources: &Sources,
        notes: &mut Notes,
    ) -> BTreeMap<ServerName, UpstreamSpec> {
        let variables = Variables(&sources.environment);
        let files = self.upstreams.files.iter().chain(&sources.mcp_files);
        let own = own.map(|own| upstreams::own_entries(own, notes)).unwrap_or_default();
        let of_clients = upstreams::read_files(files, &variables, notes);
        upstreams::servers(own, of_clients, &self.upstreams.separator, &variables, notes)
    }
}

/// All layers, laid over each other.
struct Layers {
    given: Table,
    /// The servers, which are read by themselves.
    servers: Option<Value>,
    /// The keys that there are but could not be read.
    unreadable: BTreeSet<String>,
    file_is_lost: bool,
}

impl Layers {
    fn read(sources: &Sources, problems: &mut Vec<Problem>) -> Self {
        let (mut layers, mut file_is_lost) = (Vec::new(), false);
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
        layers.push(layers::environment(&sources.environment, problems));
        layers.push(layers::flags(&sources.flags, problems));
        let (mut given, mut unreadable) = (Table::new(), BTreeSet::new());
        let mut servers = Table::new();
        for mut layer in layers {
            layers::read_secrets(&mut layer, problems);
            if let Some(layer) = layer.remove(upstreams::SECTION) {
                upstreams::lay_over(&mut servers, layer);
            }
            unreadable.append(&mut take_unreadable(&mut layer, problems));
            layers::lay_over(&mut given, layer);
        }
        let servers = servers.remove(upstreams::SECTION);
        Self { given, servers, unreadable, file_is_lost }
    }
}

/// Where the platform keeps the sockets of whoever is logged in. One that isn't absolute is to be
/// ignored (XDG Base Directory Specification).
fn runtime_dir(environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    let path = Path::new(environment.get(OsStr::new("XDG_RUNTIME_DIR"))?);
    path.is_absolute().then(|| path.to_owned())
}
