//! The log on stderr: JSON lines for machines, text for people.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON in production, text in development.
    Auto,
    /// One JSON object a line.
    Json,
    /// Readable text.
    Text,
}

/// The log. `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `auto`, `json` or `text`.
    pub format: Format,
    /// What is logged: a level, or directives such as `info,erlmcp::transport=debug`.
    pub level: String,
}

impl Default for Config {
    /// One line per request and one per change in the tree.
    fn default() -> Self {
        Self { format: Format::Auto, level: "info".to_owned() }
    }
}

impl Config {
    /// What is wrong with the level, if anything.
    pub fn level_problem(&self) -> Option<String> {
        EnvFilter::try_new(&self.level).err().map(|error| error.to_string())
    }
}

/// Installs the log for the whole process; where one is installed already, that one stays.
pub fn install(config: &Config, production: bool) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match config.format {
        Format::Auto => production,
        Format::Json => true,
        Format::Text => false,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An embedding program may have its own subscriber; that one is then used.
    let _ = if json { log.json().flatten_event(true).try_init() } else { log.try_init() };
}
