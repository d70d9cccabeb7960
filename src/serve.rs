//! Serving until the process is told to stop: what the command line and servers of your own share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use supervisors::ExitReason;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::node::{Listeners, Node, NodeError, Setup};
use crate::provider::Hosted;
use crate::transport::control::Order;

/// Why serving ended, other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Nobody could tell the process to stop.
    #[error("can't listen to signals")]
    Signals(#[source] io::Error),
    /// The root supervisor gave up.
    #[error("the root ended: {0}")]
    GaveUp(ExitReason),
}

/// Serves these servers where the configuration says, until SIGTERM, SIGINT or an operator's word.
/// Then the node drains; a second signal stops it at once.
///
/// # Errors
/// Where the node can't start, or gave up.
pub async fn serve(config: Config, hosted: Vec<Arc<dyn Hosted>>) -> Result<(), ServeError> {
    let doors = Listeners::bind(&config)?;
    serve_as(Setup::new(config, doors).hosting(hosted)).await
}

/// The same for a node as it was set up. SIGHUP lets it read its configuration again; it also ends
/// where standard input does.
///
/// # Errors
/// Where the node can't start, or gave up.
pub async fn serve_as(setup: Setup) -> Result<(), ServeError> {
    let drain = setup.drain();
    let mut signals = Signals::new().map_err(ServeError::Signals)?;
    let node = setup.start().await?;
    let order = loop {
        tokio::select! {
            reason = node.exited() => {
                node.kill();
                return Err(ServeError::GaveUp(reason));
            }
            told = signals.next() => match told {
                Told::Reload => node.reload(),
                Told::End => break Order::Drain,
            },
            () = node.input_closed() => break Order::Drain,
            order = node.orders().graver_than(None) => break order,
        }
    };
    stop(&node, order, drain, &mut signals).await;
    Ok(())
}

/// Stops in order; a graver order hurries, another signal ends it at once.
async fn stop(node: &Node, mut order: Order, drain: Duration, signals: &mut Signals) {
    loop {
        let limit = match order {
            Order::Drain => drain,
            Order::Stop => Duration::ZERO,
        };
        tokio::select! {
            _ = node.stop(limit) => return,
            () = signals.end() => return node.kill(),
            graver = node.orders().graver_than(Some(order)) => order = graver,
        }
    }
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Read the configuration again.
    Reload,
    /// Come to an end.
    End,
}

/// SIGTERM and SIGINT, and SIGHUP.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// Waits for one that ends the process.
    async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
}
