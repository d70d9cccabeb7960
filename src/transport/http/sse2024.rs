//! HTTP+SSE, the transport of 2024-11-05: GET opens the stream that carries all messages to the
//! client, and its first event names where the client posts its own. Off by default.
//!
//! A session lives as long as its stream, as that revision has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;
use uuid::Uuid;
use warp::Buf;
use warp::reply::Response;

use super::answer::{Accepts, Answer};
use super::body::{self, ReadBody};
use super::endpoint::Endpoint;
use super::{mcp, sse};
use crate::catalogue::Scope;
use crate::protocol::{Code, RpcError};
use crate::session::Transport;
use crate::transport::pipe::{self, Link, Pipe};

/// Messages of one client that wait to be taken; past it, it has to try again.
const POSTED: usize = 64;

/// The open streams by their ids, and the ways to those who serve them.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<String, mpsc::Sender<ReadBody>>>>);

/// An entry among the open streams, and the session that ends with it.
struct Open {
    streams: Streams,
    id: String,
    link: Link,
    posted: mpsc::Sender<ReadBody>,
}

impl Open {
    /// Whether all that was posted is taken, and all answers are on their way.
    fn is_quiet(&self) -> bool {
        let (posted, out) = (&self.posted, &self.link.out);
        posted.capacity() == posted.max_capacity() && out.capacity() == out.max_capacity()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.link.end();
    }
}

/// GET: opens a stream.
pub fn open(scope: Scope, endpoint: &Endpoint) -> Response {
    if !endpoint.serves(&scope) {
        let error = RpcError::new(Code::InvalidRequest, "There is no such server");
        let answer = Answer::refuse(StatusCode::NOT_FOUND, None, error);
        return answer.into_response(Accepts::JSON);
    }
    let (posted, messages) = mpsc::channel(POSTED);
    let (out, outgoing) = mpsc::channel(pipe::room(endpoint));
    // 122 bits from the operating system's generator: the id is the only key to the stream.
    let id = Uuid::new_v4().simple().to_string();
    let streams = endpoint.0.sse.clone();
    streams.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), posted.clone());
    let first = sse::named("endpoint", &format!("/messages?sessionId={id}"));
    let link = Link::new(endpoint.clone(), scope, Transport::Sse, out);
    let open = Open { streams, id, link: link.clone(), posted };
    let served = serve(Pipe::new(link), messages);
    let events = futures_util::stream::once(std::future::ready(first)).chain(carried(
        outgoing,
        served,
        endpoint.0.ending.clone(),
        open,
    ));
    sse::response(events)
}

async fn serve(mut pipe: Pipe, mut messages: mpsc::Receiver<ReadBody>) {
    while let Some(message) = messages.recv().await {
        pipe.take(&message.bytes).await;
    }
}

/// What goes to the client, while the same body serves what it posts. When the node drains it goes
/// on until nothing is left to be answered.
fn carried(
    outgoing: mpsc::Receiver<Bytes>,
    served: impl Future<Output = ()> + Send,
    ending: tokio_util::sync::CancellationToken,
    open: Open,
) -> impl Stream<Item = Bytes> + Send {
    let state = (outgoing, Box::pin(served), ending, open);
    unfold(state, |(mut outgoing, mut served, ending, open)| async move {
        let message = loop {
            let drains = ending.is_cancelled();
            if drains && open.is_quiet() {
                return None;
            }
            tokio::select! {
                message = outgoing.recv() => break message?,
                // It ends when nobody can post any more.
                () = served.as_mut() => return None,
                () = ending.cancelled(), if !drains => {}
            }
        };
        Some((sse::message(None, &message), (outgoing, served, ending, open)))
    })
}

/// POST: takes a message of the client with this stream.
pub async fn post<S, B>(id: String, headers: HeaderMap, chunks: S, endpoint: Endpoint) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    taken(&id, &headers, chunks, &endpoint).await.into_response(Accepts::JSON)
}

async fn taken<S, B>(id: &str, headers: &HeaderMap, chunks: S, endpoint: &Endpoint) -> Answer
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let streams = &endpoint.0.sse.0;
    let posted = streams.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
    let Some(posted) = posted else {
        let error = RpcError::new(Code::SessionNotFound, "There is no such stream; open a new one");
        return Answer::refuse(StatusCode::NOT_FOUND, None, error);
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let http = &endpoint.0.http;
    let (limit, patience) = (http.body_limit_bytes, http.body_timeout());
    match body::read(chunks, announced, limit, patience, &endpoint.0.room).await {
        Err(error) => mcp::unread(endpoint, error),
        Ok(body) => match posted.try_send(body) {
            Ok(()) => Answer::accepted(),
            Err(_) => {
                let error = RpcError::overloaded("messages of one client");
                Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, error)
            }
        },
    }
}
