//! `erlmcp reload` and `erlmcp restart`: changes to what runs behind the node.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::control::{Look, block_on, read};
use super::exit::{Failure, print, print_json};
use super::layout::printable;

/// How long a reload may take: removed servers finish what they are at.
const RELOAD: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Only tells what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Deserialize)]
struct Applied {
    text: String,
    changes: Box<RawValue>,
}

impl Reload {
    pub(super) fn run(self) -> Result<(), Failure> {
        let params = json!({ "dry_run": self.dry_run });
        let target = &self.look.target;
        let answer =
            block_on(async { target.connect().await?.ask("reload", params, RELOAD).await })?;
        let Applied { text, changes } = read(&answer)?;
        if self.look.json { print(changes.get()) } else { print(&printable(&text)) }
    }
}

#[derive(Debug, Args)]
pub(super) struct Restart {
    /// The server's name.
    #[arg(value_name = "SERVER")]
    server: String,
    #[command(flatten)]
    look: Look,
}

impl Restart {
    pub(super) fn run(self) -> Result<(), Failure> {
        let params = json!({ "server": self.server });
        self.look.target.ask_with("restart", params)?;
        if self.look.json {
            print_json(&json!({ "server": self.server, "status": "restarting" }))
        } else {
            print(&format!("{} starts anew", self.server))
        }
    }
}
