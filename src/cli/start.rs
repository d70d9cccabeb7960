//! `erlmcp start` and `erlmcp stdio`: run a node until it is told to stop.

use std::sync::Arc;

use clap::Args;

use super::configured::Configured;
use super::exit::{FAILED, Failure, GAVE_UP};
use crate::config::{Config, Environment};
use crate::node::{Doors, Ends, Listeners, NodeError};
use crate::provider::{Hosted, demo};
use crate::serve::{ServeError, serve_at};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    configured: Configured,
}

impl Start {
    pub(super) fn run(self) -> Result<(), Failure> {
        run(self.configured, |config| Listeners::bind(config).map(Doors::from))
    }
}

#[derive(Debug, Args)]
pub(super) struct Stdio {
    #[command(flatten)]
    configured: Configured,
}

impl Stdio {
    /// No sockets: many such nodes may run on one machine.
    pub(super) fn run(self) -> Result<(), Failure> {
        run(self.configured, |_| {
            let (reader, writer) = (Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout()));
            Ok(Doors { stdio: Some(Ends { reader, writer }), ..Doors::default() })
        })
    }
}

type Open = fn(&Config) -> Result<Doors, NodeError>;

fn run(configured: Configured, open: Open) -> Result<(), Failure> {
    let config = configured.load()?;
    let production = config.node.env == Environment::Production;
    let _flush = telemetry::log::install(&config.log, production);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::chain(FAILED, &error))?;
    let served = runtime.block_on(serve(config, open));
    // A thread that still reads standard input can't be stopped, and need not be.
    runtime.shutdown_background();
    served.map_err(|error| match error {
        ServeError::GaveUp(_) => Failure::chain(GAVE_UP, &error),
        ServeError::Node(_) | ServeError::Signals(_) => Failure::chain(FAILED, &error),
    })
}

async fn serve(config: Config, open: Open) -> Result<(), ServeError> {
    let doors = open(&config)?;
    let demo: Arc<dyn Hosted> = Arc::new(demo::server().map_err(NodeError::from)?);
    serve_at(config, doors, vec![demo]).await
}
