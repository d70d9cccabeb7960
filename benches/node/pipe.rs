//! Standard input and output of a server as one channel that all clients share, as a client that
//! starts the server itself has it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Mutex as FairMutex, oneshot};
use tokio::task::JoinSet;

use crate::connection::Reply;
use crate::load::Work;
use crate::messages::{Calls, INITIALIZE, INITIALIZED};

/// Replies that somebody waits for.
type Waiting = HashMap<u64, oneshot::Sender<Vec<u8>>>;

/// Both ends; clones share them.
#[derive(Clone)]
pub(crate) struct Pipe(Arc<Ends>);

struct Ends {
    input: FairMutex<ChildStdin>,
    waiting: Arc<Mutex<Waiting>>,
    _reading: JoinSet<()>,
}

impl Pipe {
    pub(crate) fn new(input: ChildStdin, output: ChildStdout) -> Self {
        let waiting = Arc::<Mutex<Waiting>>::default();
        let reading = [read(output, Arc::clone(&waiting))].into_iter().collect();
        Self(Arc::new(Ends { input: FairMutex::new(input), waiting, _reading: reading }))
    }

    /// Opens the session, whose only one this is.
    ///
    /// # Errors
    /// Where the server is gone.
    pub(crate) async fn open(&self) -> io::Result<()> {
        self.ask(0, INITIALIZE).await?;
        self.write(INITIALIZED).await
    }

    async fn ask(&self, id: u64, message: &str) -> io::Result<Vec<u8>> {
        let (reply, replied) = oneshot::channel();
        locked(&self.0.waiting).insert(id, reply);
        self.write(message).await?;
        replied.await.map_err(|_| io::Error::other("the server closed its output"))
    }

    async fn write(&self, message: &str) -> io::Result<()> {
        let line = [message.as_bytes(), b"\n"].concat();
        let mut input = self.0.input.lock().await;
        input.write_all(&line).await
    }
}

/// Hands each reply to whoever asked, until the server ends.
async fn read(output: ChildStdout, waiting: Arc<Mutex<Waiting>>) {
    #[derive(Deserialize)]
    struct Id {
        id: u64,
    }
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let asked = serde_json::from_str::<Id>(&line).ok();
        let asked = asked.and_then(|Id { id }| locked(&waiting).remove(&id));
        if let Some(asked) = asked {
            let _ = asked.send(line.into_bytes());
        }
    }
    locked(&waiting).clear();
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the clients that share a pipe.
pub(crate) struct PipeCaller {
    pub(crate) pipe: Pipe,
    pub(crate) calls: Calls,
}

impl Work for PipeCaller {
    async fn once(&mut self) -> io::Result<Result<(), String>> {
        let (id, message) = self.calls.next_message();
        let message = self.pipe.ask(id, message).await?;
        Ok(self.calls.check(&Reply { status: 200, session: None, message }))
    }
}
