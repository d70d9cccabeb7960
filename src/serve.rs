//! Serving until the process is told to stop: what the command line and servers of your own share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use supervisors::ExitReason;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::node::{Doors, Listeners, Node, NodeError};
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
    let doors = Listeners::bind(&config)?.into();
    serve_at(config, doors, hosted).await
}

/// The same, by ways in that are open already. It also ends where standard input does.
///
/// # Errors
/// Where the node can't start, or gave up.
pub async fn serve_at(
    config: Config,
    doors: Doors,
    hosted: Vec<Arc<dyn Hosted>>,
) -> Result<(), ServeError> {
    let drain = config.shutdown.drain();
    let mut signals = Signals::new().map_err(ServeError::Signals)?;
    let node = Node::start_with(config, doors, hosted).await?;
    let order = tokio::select! {
        reason = node.exited() => {
            node.kill();
            return Err(ServeError::GaveUp(reason));
        }
        () = signals.next() => Order::Drain,
        () = node.input_closed() => Order::Drain,
        order = node.orders().graver_than(None) => order,
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
            () = signals.next() => return node.kill(),
            graver = node.orders().graver_than(Some(order)) => order = graver,
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
