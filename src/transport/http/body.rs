//! Request bodies, read within a size and a time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use warp::Buf;

/// Why a body isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Larger than the limit.
    #[error("the body is larger than the limit")]
    TooLarge,
    /// Not there in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke.
    #[error("the body broke off")]
    Broken,
    /// All bodies together take the room that there is.
    #[error("there is no room for the body now; try again later")]
    NoRoom,
}

/// Room for all bodies that are read or worked on; clones share it.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Room {
    /// Room for this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes so many bytes of it, until what this gives is dropped.
    ///
    /// # Errors
    /// Where there is not as much left.
    pub fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let bytes = u32::try_from(bytes).map_err(|_| BodyError::TooLarge)?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| BodyError::NoRoom)
    }
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub struct ReadBody {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Given back by being dropped.
    pub room: OwnedSemaphorePermit,
}

/// A header alone must not make us reserve more than this.
const FIRST_RESERVE: usize = 64 * 1024;

/// Reads a body whole. `announced` is its `Content-Length`, where it has one.
///
/// # Errors
/// Where it is larger than `limit`, takes longer than `patience`, finds no room, or breaks off.
pub async fn read<S, B>(
    chunks: S,
    announced: Option<usize>,
    limit: usize,
    patience: Duration,
    room: &Room,
) -> Result<ReadBody, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let reading = async {
        let mut chunks = pin!(chunks);
        let mut taken = room.take(0)?;
        let mut body = Vec::with_capacity(announced.unwrap_or(0).min(limit).min(FIRST_RESERVE));
        while let Some(chunk) = chunks.next().await {
            let mut chunk = chunk.map_err(|_| BodyError::Broken)?;
            while chunk.has_remaining() {
                let part = chunk.chunk();
                if body.len() + part.len() > limit {
                    return Err(BodyError::TooLarge);
                }
                taken.merge(room.take(part.len())?);
                body.extend_from_slice(part);
                let length = part.len();
                chunk.advance(length);
            }
        }
        Ok(ReadBody { bytes: body, room: taken })
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(Err(BodyError::TooSlow))
}
