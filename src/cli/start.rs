//! `erlmcp start` and `erlmcp stdio`: run a node until it is told to stop.

use std::sync::Arc;

use clap::Args;

use super::configured::ConfiguredServers;
use super::exit::{BAD_CONFIGURATION, FAILED, Failure, GAVE_UP};
use crate::config::{Checked, Config, Environment};
use crate::node::{Doors, Ends, Listeners, NodeError, Setup};
use crate::provider::upstream::process::adopt;
use crate::provider::{Hosted, demo};
use crate::serve::{ServeError, serve_as};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    configured: ConfiguredServers,
}

impl Start {
    pub(super) fn run(self) -> Result<(), Failure> {
        let open: Open = |config| Listeners::bind(config).map(Doors::from);
        run(move || self.configured.check(), open, with_demo)
    }
}

#[derive(Debug, Args)]
pub(super) struct Stdio {
    #[command(flatten)]
    configured: ConfiguredServers,
}

impl Stdio {
    /// No sockets: many such nodes may run on one machine.
    pub(super) fn run(self) -> Result<(), Failure> {
        let open: Open = |_| {
            let (reader, writer) = (Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout()));
            Ok(Doors { stdio: Some(Ends { reader, writer }), ..Doors::default() })
        };
        run(move || self.configured.check(), open, with_demo)
    }
}

/// Opens the ways into a node.
pub(super) type Open = fn(&Config) -> Result<Doors, NodeError>;
/// Makes the servers in the node's own process.
pub(super) type Host = fn(&Config) -> Result<Vec<Arc<dyn Hosted>>, NodeError>;

fn with_demo(config: &Config) -> Result<Vec<Arc<dyn Hosted>>, NodeError> {
    if !config.node.demo {
        return Ok(Vec::new());
    }
    Ok(vec![Arc::new(demo::server()?)])
}

/// Runs a node until it is told to stop. It may read its configuration several times.
pub(super) fn run(
    read: impl Fn() -> Checked + Send + Sync + 'static,
    open: Open,
    host: Host,
) -> Result<(), Failure> {
    let Checked { config, warnings } = read();
    let config = config.map_err(|problems| Failure::new(BAD_CONFIGURATION, problems))?;
    let production = config.node.env == Environment::Production;
    let _flush = telemetry::log::install(&config.log, production);
    for warning in warnings {
        tracing::warn!(origin = warning.origin, key = warning.key, "{}", warning.what);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::chain(FAILED, &error))?;
    adopt();
    let served = runtime.block_on(async {
        let (doors, hosted) = (open(&config)?, host(&config)?);
        let setup = Setup::new(config, doors).hosting(hosted).reloading(Arc::new(read));
        serve_as(setup).await
    });
    // A thread that still reads standard input can't be stopped, and need not be.
    runtime.shutdown_background();
    served.map_err(|error| match error {
        ServeError::GaveUp(_) => Failure::chain(GAVE_UP, &error),
        ServeError::Node(_) | ServeError::Signals(_) => Failure::chain(FAILED, &error),
    })
}
