//! The command line of the bench.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::peers::Peer;
use crate::server::{Kind, Programs};

/// How many times everything is measured where nothing else is said.
const ROUNDS: usize = 5;

/// Measures a node under load, beside plain warp and the official Rust SDK, and before other
/// servers, beside bridges.
#[derive(Debug, Parser)]
#[command(name = "bench-node")]
pub(crate) struct Arguments {
    /// Short rounds and few sessions: shows that everything works; the figures mean little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How long each measurement takes.
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<Duration>,
    /// How many times each measurement is taken.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Measures this server only; may come several times.
    #[arg(long, value_name = "NAME", value_enum)]
    only: Vec<Kind>,
    /// Measures only what stands before other servers, beside these servers alone.
    #[arg(long, conflicts_with = "plain")]
    upstreams: bool,
    /// Measures only servers that answer by themselves.
    #[arg(long)]
    plain: bool,
    /// Prints JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// The binary to measure, instead of the one that cargo built along with the bench.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_erlmcp"))]
    erlmcp: PathBuf,
    /// Where supergateway and mcp-proxy are; without them, they are left out.
    #[arg(long, value_name = "FOLDER")]
    bridges: Option<PathBuf>,
    /// Is one of the other servers, in a process of its own.
    #[arg(long, hide = true)]
    pub(crate) serve: Option<Peer>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// The arguments that count; `None` where `cargo test` looks for a test by its name.
    pub(crate) fn for_this_run() -> Option<Vec<String>> {
        let given: Vec<String> = std::env::args().collect();
        let ours = |argument: &String| argument == "--bench" || argument == "--serve";
        if given.iter().any(ours) {
            return Some(given);
        }
        match given.as_slice() {
            [name] => Some(vec![name.clone(), "--quick".to_owned()]),
            _ => None,
        }
    }

    pub(crate) fn measuring(&self) -> Duration {
        let usual = if self.quick { Duration::from_millis(100) } else { Duration::from_secs(2) };
        self.seconds.unwrap_or(usual)
    }

    pub(crate) fn rounds(&self) -> usize {
        let usual = if self.quick { 1 } else { ROUNDS };
        self.rounds.map_or(usual, usize::from)
    }

    /// The servers that answer by themselves, as far as they are wanted.
    pub(crate) fn plain(&self) -> Vec<Kind> {
        if self.upstreams { Vec::new() } else { self.wanted(&Kind::PLAIN) }
    }

    /// What stands before other servers, and these alone, as far as they are wanted.
    pub(crate) fn chains(&self) -> Vec<Kind> {
        if self.plain { Vec::new() } else { self.wanted(&Kind::CHAINS) }
    }

    fn wanted(&self, all: &[Kind]) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.only.is_empty() || self.only.contains(kind);
        all.iter().copied().filter(wanted).collect()
    }

    pub(crate) fn programs(&self) -> Programs {
        Programs { erlmcp: self.erlmcp.clone(), bridges: self.bridges.clone() }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it has to be more than 0".to_owned()) } else { Ok(duration) }
}
