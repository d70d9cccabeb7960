//! `erlmcp check` and `erlmcp version`: what needs no node.

use clap::Args;
use serde_json::json;

use super::configured::ConfiguredServers;
use super::exit::{BAD_CONFIGURATION, Failure, print, print_json};
use super::layout::printable;
use crate::config::{Checked, Config, Problem};

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    configured: ConfiguredServers,
    /// Prints the problems as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Checked { config, warnings } = self.configured.check();
        if self.json {
            let problems = config.as_ref().err().map_or(&[][..], |problems| &problems.0);
            print_json(&json!({ "problems": problems, "warnings": warnings }))?;
            let bad = |_| Failure::new(BAD_CONFIGURATION, "the configuration is bad");
            return config.map(drop).map_err(bad);
        }
        if !warnings.is_empty() {
            print(&told(&warnings))?;
        }
        match config {
            Ok(config) => print(&praise(&config)),
            Err(problems) => Err(Failure::new(BAD_CONFIGURATION, printable(&problems.to_string()))),
        }
    }
}

fn told(warnings: &[Problem]) -> String {
    let lines = warnings.iter().map(|warning| format!("\n  {}", printable(&warning.to_string())));
    format!("{} warning(s):{}", warnings.len(), lines.collect::<String>())
}

fn praise(config: &Config) -> String {
    let servers: Vec<_> = config.mcp_servers.keys().map(|name| &**name).collect();
    if servers.is_empty() {
        return "the configuration is good".to_owned();
    }
    format!("the configuration is good; it has the servers {}", servers.join(", "))
}

#[derive(Debug, Args)]
pub(super) struct Version {
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

impl Version {
    pub(super) fn run(self) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        if self.json {
            print_json(&json!({ "version": version }))
        } else {
            print(&format!("erlmcp {version}"))
        }
    }
}
