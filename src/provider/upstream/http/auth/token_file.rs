//! A bearer token in a file, which somebody else replaces from time to time.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::bearer;
use crate::provider::upstream::Failure;

/// How long what was read counts. Kubernetes replaces its tokens minutes before they expire.
const FRESH: Duration = Duration::from_secs(1);
/// No header is that large.
const TOKEN_BYTES: u64 = 64 * 1024;

/// The token that a file holds.
pub(in super::super) struct TokenFile {
    path: PathBuf,
    held: Mutex<Option<(HeaderValue, Instant)>>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default() }
    }

    /// The token, read anew at most once a second. Where the file is gone for a moment, as while
    /// it is replaced, the last one counts.
    pub(super) async fn token(&self) -> Result<HeaderValue, Failure> {
        let held = self.held().clone();
        match held {
            Some((token, read)) if read.elapsed() < FRESH => Ok(token),
            held => match (self.read().await, held) {
                (Err(_), Some((token, _))) => Ok(token),
                (read, _) => read,
            },
        }
    }

    /// What the file holds now, where that is another token than the one that was refused.
    pub(super) async fn renewed(
        &self,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let token = self.read().await?;
        Ok(Some(token).filter(|token| Some(token) != refused))
    }

    async fn read(&self) -> Result<HeaderValue, Failure> {
        // The path is the operator's affair; a failure may come to a client's eyes.
        let missing = |why: &str| Failure::Unreachable(format!("its token file {why}"));
        let read = async {
            let mut text = String::new();
            File::open(&self.path).await?.take(TOKEN_BYTES).read_to_string(&mut text).await?;
            Ok(text)
        };
        let text: std::io::Result<String> = read.await;
        let text = text.map_err(|error| missing(&format!("can't be read ({})", error.kind())))?;
        let token = Some(text.trim()).filter(|token| !token.is_empty()).and_then(bearer);
        let token = token.ok_or_else(|| missing("holds no token"))?;
        *self.held() = Some((token.clone(), Instant::now()));
        Ok(token)
    }

    fn held(&self) -> MutexGuard<'_, Option<(HeaderValue, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_read_anew() {
        let path = std::env::temp_dir().join(format!("erlmcp-token-{}", uuid::Uuid::new_v4()));
        let file = TokenFile::new(path.clone());
        let error = file.token().await.unwrap_err().to_string();
        assert!(error.contains("can't be read") && !error.contains("erlmcp-token"), "{error}");

        std::fs::write(&path, "one\n").unwrap();
        let one = file.token().await.unwrap();
        assert_eq!(one, "Bearer one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.token().await.unwrap(), one, "read a moment ago");
        let two = file.renewed(Some(&one)).await.unwrap().unwrap();
        assert_eq!(two, "Bearer two");
        assert_eq!(file.renewed(Some(&two)).await.unwrap(), None, "still the same");

        std::fs::remove_file(&path).unwrap();
        *file.held() = Some((two.clone(), Instant::now() - FRESH));
        assert_eq!(file.token().await.unwrap(), two, "gone for a moment");
    }
}
