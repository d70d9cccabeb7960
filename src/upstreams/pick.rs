//! How a call finds the instance that it goes to.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::board::Board;
use super::pool::{Found, Hope};
use crate::protocol::RpcError;
use crate::provider::upstream::{Connection, Instances};
use crate::provider::{Circle, Who};

/// Circles of one upstream that have instances of their own at once.
const MAX_CIRCLES: usize = 256;

/// The instances of one upstream, as its provider sees them.
pub(super) struct Picking(pub(super) Arc<Board>);

type Picked = Result<Arc<Connection>, RpcError>;

impl Instances for Picking {
    fn pick(&self, who: &Who) -> BoxFuture<'static, Picked> {
        let circle = self.0.circle(who);
        match self.0.pool.find(&circle, MAX_CIRCLES) {
            Found::Seated(seat) => Box::pin(ready(Ok(Arc::clone(&seat.connection)))),
            // Who shares with all is told at once: nobody waits for a restart.
            _ if circle == Circle::All => Box::pin(ready(Err(self.0.down()))),
            Found::Full | Found::Waiting(_) => {
                Box::pin(wait(Arc::clone(&self.0), circle, who.clone()))
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.spec().timeout
    }
}

/// Waits for the instance of a circle, as long as one is on its way.
async fn wait(board: Arc<Board>, circle: Circle, who: Who) -> Picked {
    let limit = board.spec().start_timeout;
    let found = timeout(limit, async {
        loop {
            let mut hope = match board.pool.find(&circle, MAX_CIRCLES) {
                Found::Seated(seat) => return Ok(Arc::clone(&seat.connection)),
                Found::Full => return Err(RpcError::overloaded("instances of one upstream")),
                Found::Waiting(hope) => hope,
            };
            if let Hope::Gone(error) = &*hope.borrow_and_update() {
                return Err(error.clone());
            }
            board.want(&who).await;
            // Where the circle was dropped meanwhile, it is looked for again.
            let _ = hope.changed().await;
        }
    });
    found.await.unwrap_or_else(|_elapsed| Err(board.down()))
}
