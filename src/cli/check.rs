//! `erlmcp check` and `erlmcp version`: what needs no node.

use clap::Args;
use serde_json::json;

use super::configured::Configured;
use super::exit::{BAD_CONFIGURATION, Failure, print, print_json};

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    configured: Configured,
    /// Prints the problems as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let read = self.configured.read();
        if self.json {
            let problems = read.as_ref().err().map_or(&[][..], |problems| &problems.0);
            print_json(&json!({ "problems": problems }))?;
        }
        match read {
            Ok(_) if self.json => Ok(()),
            Ok(_) => print("the configuration is good"),
            Err(_) if self.json => Err(Failure::new(BAD_CONFIGURATION, "the configuration is bad")),
            Err(problems) => Err(Failure::new(BAD_CONFIGURATION, problems)),
        }
    }
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
