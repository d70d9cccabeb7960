//! The log on stderr: JSON lines for machines, text for people.

mod level;
mod lines;
mod panics;

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

pub use lines::{Flush, lost};

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
        level::problem(&self.level)
    }
}

/// What a library says about itself with every call; a configured directive for it goes before.
const QUIET: &str = "rmcp=warn";

fn filter(level: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"));
    filter.unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")))
}

/// Installs the log for the whole process, panics included; where one is installed already, that
/// one stays.
pub fn install(config: &Config, production: bool) -> Flush {
    let filter = filter(&config.level);
    let json = match config.format {
        Format::Auto => production,
        Format::Json => true,
        Format::Text => false,
    };
    let (lines, flush) = lines::lines(lines::WAITING_LINES, io::stderr(), lost(), |lines| {
        tracing::warn!(lines, "log lines were lost: whoever reads stderr is too slow");
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(move || lines.clone());
    // An embedding program may have its own subscriber; that one is then used.
    let installed = if json { log.json().flatten_event(true).try_init() } else { log.try_init() };
    if installed.is_ok() {
        panics::hook();
    }
    flush
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_they_are_asked() {
        let text = |level: &str| filter(level).to_string();
        assert!(text("info").contains("rmcp=warn"));
        assert!(text("debug,rmcp=trace").contains("rmcp=trace"));
        assert!(!text("debug,rmcp=trace").contains("rmcp=warn"));
        assert!(text("not=a=level").contains("info"));
    }
}
