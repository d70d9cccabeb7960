//! Sessions: opening and ending them, and what idle ones cost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use tokio::task::JoinSet;

use crate::connection::{Connection, Reply};
use crate::load::Work;
use crate::messages::{delete, initialize, initialized, listen};

/// Connections over which sessions are opened at the same time.
const OPENERS: usize = 16;

/// Opens a session and tells its server so.
///
/// # Errors
/// Where the connection breaks, or the server refuses.
pub(crate) async fn open(connection: &mut Connection, address: SocketAddr) -> io::Result<String> {
    let opened = connection.ask(&initialize(address)).await?;
    let Reply { session: Some(session), .. } = expect_success(opened, "initialize")? else {
        return Err(io::Error::other("initialize gave no session id"));
    };
    let told = connection.ask(&initialized(address, &session)).await?;
    expect_success(told, "notifications/initialized")?;
    Ok(session)
}

fn expect_success(reply: Reply, to: &str) -> io::Result<Reply> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    let message = String::from_utf8_lossy(&reply.message);
    Err(io::Error::other(format!("{to} got {} with {message}", reply.status)))
}

/// A client that opens a session and ends it.
pub(crate) struct Visitor {
    connection: Connection,
    address: SocketAddr,
}

impl Visitor {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, address })
    }
}

impl Work for Visitor {
    async fn once(&mut self) -> io::Result<Result<(), String>> {
        let session = open(&mut self.connection, self.address).await?;
        let ended = self.connection.ask(&delete(self.address, &session)).await?;
        Ok(expect_success(ended, "DELETE").map(drop).map_err(|error| error.to_string()))
    }
}

/// Opens so many sessions and leaves them alone; their connections are closed.
///
/// # Errors
/// As with [`open`].
pub(crate) async fn open_many(address: SocketAddr, count: usize) -> io::Result<Vec<String>> {
    let left = Arc::new(AtomicUsize::new(count));
    let mut opening = JoinSet::new();
    for _ in 0..OPENERS {
        let left = Arc::clone(&left);
        opening.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut sessions = Vec::new();
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                sessions.push(open(&mut connection, address).await?);
            }
            io::Result::Ok(sessions)
        });
    }
    let mut sessions = Vec::with_capacity(count);
    while let Some(opened) = opening.join_next().await {
        sessions.extend(opened??);
    }
    Ok(sessions)
}

/// Opens a stream of events for each session; `None` where the server has no such streams.
///
/// # Errors
/// Where a connection breaks, or the server refuses another way than by 405.
pub(crate) async fn open_streams(
    address: SocketAddr,
    sessions: &[String],
) -> io::Result<Option<Vec<Connection>>> {
    let mut streams = Vec::with_capacity(sessions.len());
    for session in sessions {
        let mut connection = Connection::open(address).await?;
        let status = connection.listen(&listen(address, session)).await?;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        if status != StatusCode::OK {
            return Err(io::Error::other(format!("a stream of events got {status}")));
        }
        streams.push(connection);
    }
    Ok(Some(streams))
}
