//! The arguments by which a command finds its configuration.

use std::path::PathBuf;

use clap::Args;

use super::exit::{BAD_CONFIGURATION, Failure};
use crate::config::{self, Checked, Config, Sources};

#[derive(Debug, Args)]
pub(super) struct Configured {
    /// The configuration file; else ERLMCP_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key, such as `http.listen=127.0.0.1:9000`; may come several times.
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

/// The arguments of a command that needs the servers, too.
#[derive(Debug, Args)]
pub(super) struct ConfiguredServers {
    #[command(flatten)]
    configured: Configured,
    /// A file in which an MCP client lists its servers: of Claude, Cursor, Windsurf, Cline,
    /// VS Code, Codex and others, as it is; may come several times.
    #[arg(long, value_name = "FILE")]
    mcp_config: Vec<PathBuf>,
}

impl Configured {
    /// What the arguments name, and the environment.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            file: self.config.clone(),
            environment: config::environment(),
            flags: self.set.clone(),
            ..Sources::default()
        }
    }

    /// The configuration of the node alone, for whoever asks one that runs.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let sources = Sources { without_servers: true, ..self.sources() };
        Config::load(&sources).map_err(|problems| Failure::new(BAD_CONFIGURATION, problems))
    }
}

impl ConfiguredServers {
    /// The whole configuration, with all that is wrong and odd.
    pub(super) fn check(&self) -> Checked {
        let sources = self.configured.sources();
        Config::check(&Sources { mcp_files: self.mcp_config.clone(), ..sources })
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as SECTION.KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
