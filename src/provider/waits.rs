//! How long a call waited for its client's answers: a person may take minutes, and that time isn't
//! the call's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The waits of one call; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    book: Mutex<Book>,
    over: Notify,
}

#[derive(Debug, Default)]
struct Book {
    /// Since when the call waits, and for how many answers.
    now: Option<(Instant, usize)>,
    before: Duration,
}

/// A wait that goes on until this is dropped.
#[derive(Debug)]
pub struct Waiting(Waits);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut book = self.0.book();
        book.now = match book.now {
            Some((since, 1)) | Some((since, 0)) => {
                book.before += since.elapsed();
                None
            }
            Some((since, many)) => Some((since, many - 1)),
            None => None,
        };
        drop(book);
        self.0.0.over.notify_one();
    }
}

impl Waits {
    /// A wait begins.
    pub fn begin(&self) -> Waiting {
        let mut book = self.book();
        let (since, many) = book.now.unwrap_or_else(|| (Instant::now(), 0));
        book.now = Some((since, many + 1));
        drop(book);
        Waiting(self.clone())
    }

    /// Waits until the call has spent its own time: `deadline`, and as much later as it waited.
    pub async fn spent(&self, deadline: Instant) {
        loop {
            let (waiting, before) = {
                let book = self.book();
                (book.now.is_some(), book.before)
            };
            if waiting {
                self.0.over.notified().await;
            } else if Instant::now() >= deadline + before {
                return;
            } else {
                sleep_until(deadline + before).await;
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_client_isn_t_the_call_s_time() {
        let waits = Waits::default();
        let start = Instant::now();
        let client = async {
            sleep(Duration::from_secs(1)).await;
            let (one, two) = (waits.begin(), waits.begin());
            sleep(Duration::from_secs(60)).await;
            drop(one);
            sleep(Duration::from_secs(40)).await;
            drop(two);
        };
        tokio::join!(waits.spent(start + Duration::from_secs(5)), client);
        assert_eq!(start.elapsed(), Duration::from_secs(105));
    }
}
