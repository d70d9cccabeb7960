//! `erlmcp drain` and `erlmcp stop`: the end of the running node.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::control::{ANSWER, Look, block_on, read};
use super::exit::{Failure, print, print_json};

#[derive(Debug, Args)]
pub(super) struct Drain {
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    look: Look,
}

impl Drain {
    pub(super) fn run(self) -> Result<(), Failure> {
        end(&self.look, "drain")
    }
}

impl Stop {
    pub(super) fn run(self) -> Result<(), Failure> {
        end(&self.look, "stop")
    }
}

#[derive(Deserialize)]
struct Ordered {
    /// How long the node takes at most.
    limit_ms: u64,
}

/// Orders the end, and waits for it.
fn end(look: &Look, order: &str) -> Result<(), Failure> {
    block_on(async {
        let mut client = look.target.connect().await?;
        let Ordered { limit_ms } = read(&client.ask(order, json!({}), ANSWER).await?)?;
        client.closed(Duration::from_millis(limit_ms) + ANSWER).await
    })?;
    if look.json { print_json(&json!({ "status": "stopped" })) } else { print("stopped") }
}
