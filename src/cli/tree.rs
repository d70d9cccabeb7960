//! `erlmcp tree`: the supervision tree of the running node.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::control::{Look, read};
use super::exit::{Failure, print};
use super::layout::printable;

#[derive(Debug, Args)]
pub(super) struct Tree {
    #[command(flatten)]
    look: Look,
}

#[derive(Deserialize)]
struct Picture {
    text: String,
    tree: Box<RawValue>,
}

impl Tree {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Picture { text, tree } = read(&self.look.target.ask("tree")?)?;
        if self.look.json { print(tree.get()) } else { print(&printable(&text)) }
    }
}
