//! Request bodies, read within a size and a time.

use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
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
}

/// A header alone must not make us reserve more than this.
const FIRST_RESERVE: usize = 64 * 1024;

/// Reads a body whole. `announced` is its `Content-Length`, where it has one.
///
/// # Errors
/// Where it is larger than `limit`, takes longer than `patience`, or breaks off.
pub async fn read<S, B>(
    chunks: S,
    announced: Option<usize>,
    limit: usize,
    patience: Duration,
) -> Result<Vec<u8>, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let reading = async {
        let mut chunks = pin!(chunks);
        let mut body = Vec::with_capacity(announced.unwrap_or(0).min(limit).min(FIRST_RESERVE));
        while let Some(chunk) = chunks.next().await {
            let mut chunk = chunk.map_err(|_| BodyError::Broken)?;
            while chunk.has_remaining() {
                let part = chunk.chunk();
                if body.len() + part.len() > limit {
                    return Err(BodyError::TooLarge);
                }
                body.extend_from_slice(part);
                let length = part.len();
                chunk.advance(length);
            }
        }
        Ok(body)
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(Err(BodyError::TooSlow))
}
