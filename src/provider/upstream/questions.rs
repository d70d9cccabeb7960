//! Questions of a server that wait for a client which can be asked.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::bridge;
use crate::protocol::{Ask, AskError, Era, RpcError};
use crate::provider::CallContext;

/// A client's answer.
pub(super) type Reply = Result<Box<RawValue>, AskError>;

/// Questions that the client is asked now, by their numbers.
#[derive(Default)]
pub(super) struct Asking(Vec<(u64, BoxFuture<'static, Reply>)>);

impl Asking {
    /// Asks the client; its time isn't the call's own.
    pub(super) fn ask(&mut self, number: u64, ask: Ask, context: &CallContext) {
        let (waiting, reply) = (context.waits.begin(), context.side.client.ask(ask));
        let reply = async move {
            let _waiting = waiting;
            reply.await
        };
        self.0.push((number, reply.boxed()));
    }

    /// The server doesn't want to know any more.
    pub(super) fn withdraw(&mut self, number: u64) {
        self.0.retain(|(asked, _)| *asked != number);
    }

    /// The next answer, whichever comes first; never ready where nothing is asked.
    pub(super) async fn next(&mut self) -> (u64, Reply) {
        poll_fn(|context| {
            let ready = self.0.iter_mut().enumerate().find_map(|(at, (_, reply))| {
                match reply.poll_unpin(context) {
                    Poll::Ready(reply) => Some((at, reply)),
                    Poll::Pending => None,
                }
            });
            match ready {
                Some((at, reply)) => Poll::Ready((self.0.swap_remove(at).0, reply)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Asks all at once, and waits for all answers.
///
/// # Errors
/// Where the client can't be asked one of them, refuses, or is gone.
pub(super) async fn ask_all(
    asks: BTreeMap<String, Ask>,
    context: &CallContext,
) -> Result<BTreeMap<String, Box<RawValue>>, RpcError> {
    let side = &context.side;
    for ask in asks.values() {
        ask.kind.check(side.capabilities)?;
    }
    let _waiting = context.waits.begin();
    let asked = asks.into_iter().map(|(key, ask)| {
        let ask = match side.revision.era() {
            Era::Legacy => bridge::for_legacy_client(ask, &Uuid::new_v4().to_string()),
            Era::Modern => ask,
        };
        let reply = side.client.ask(ask);
        async move { Ok::<_, AskError>((key, reply.await?)) }
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}
