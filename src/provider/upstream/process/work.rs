//! The work of a wire to a child: reading, writing, listening, until the child has ended.

use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::FusedFuture;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::cause;
use super::chatter::Chatter;
use super::reader::Reader;
use super::tree::Tree;
use super::vitals::Vitals;
use super::writer::{Written, write};
use crate::provider::upstream::tail::Tail;
use crate::provider::upstream::wire::{Closing, Order, Why};

/// How long what the child wrote last may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a child that has closed its outputs may take to end.
const SILENCE: Duration = Duration::from_millis(500);

/// All that the work needs.
pub(super) struct Work {
    pub(super) tree: Tree,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) reader: Reader,
    pub(super) chatter: Chatter,
    pub(super) shutdown: Duration,
    pub(super) vitals: Vitals,
    pub(super) tail: Tail,
}

/// What comes to its end first.
enum First {
    Child(Option<ExitStatus>),
    Outputs,
    Orders(Written),
}

/// Everything that a child says; it may end long before the child does.
type Outputs = Pin<Box<dyn FusedFuture<Output = ()> + Send>>;

impl Work {
    /// Carries messages until the child has ended, by itself or because nobody gives orders.
    pub(super) async fn run(self) -> Closing {
        let Self { mut tree, stdin, stdout, stderr, orders, reader, chatter, .. } = self;
        let (shutdown, vitals, tail) = (self.shutdown, self.vitals, self.tail);
        let listening = chatter.listen(stderr, vitals.clone());
        let outputs = async { tokio::join!(reader.read(stdout), listening) };
        let mut outputs: Outputs = Box::pin(outputs.map(|_| ()).fuse());
        let first = tokio::select! {
            status = tree.ended() => First::Child(status),
            () = &mut outputs => First::Outputs,
            written = write(stdin, orders) => First::Orders(written),
        };
        let (why, cause) = match first {
            First::Child(status) => {
                last_words(&mut outputs).await;
                return end(status, &vitals, &tail);
            }
            First::Orders(Written::All) => {
                let status = stop(&mut tree, outputs, shutdown).await;
                return Closing { why: Why::Told, cause: stopped(status, shutdown) };
            }
            First::Orders(Written::Refused) => (Why::Crashed, "closed its standard input"),
            First::Outputs => (Why::Crashed, "closed its standard output"),
        };
        // Mostly that is how an end begins.
        if let Ok(status) = timeout(SILENCE, beside(tree.ended(), &mut outputs)).await {
            last_words(&mut outputs).await;
            return end(status, &vitals, &tail);
        }
        stop(&mut tree, outputs, shutdown).await;
        Closing { why, cause: format!("{cause}, and was stopped") }
    }
}

/// Stops the child, whose input is closed; the status with which it ended, if it did.
async fn stop(tree: &mut Tree, mut outputs: Outputs, shutdown: Duration) -> Option<ExitStatus> {
    let status = beside(tree.stop(shutdown), &mut outputs).await;
    if !tree.runs() {
        last_words(&mut outputs).await;
        return status;
    }
    drop(outputs);
    let status = tree.kill().await;
    if tree.runs() {
        tracing::error!(target: "erlmcp::upstream", "a process can't be killed, and is left over");
    }
    status
}

/// Takes what a child that has ended said last. One that was heard to the end has no more, and
/// would be waited for in vain.
async fn last_words(outputs: &mut Outputs) {
    if !outputs.is_terminated() {
        let _ = timeout(LAST_WORDS, outputs).await;
    }
}

/// Does the work, and takes what the child says meanwhile.
async fn beside<T>(work: impl Future<Output = T>, outputs: &mut Outputs) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = &mut *outputs, if !outputs.is_terminated() => {}
        }
    }
}

fn end(status: Option<ExitStatus>, vitals: &Vitals, tail: &Tail) -> Closing {
    match status {
        Some(status) => cause::ended(status, vitals, tail),
        None => Closing { why: Why::Crashed, cause: "ended, nobody knows how".to_owned() },
    }
}

fn stopped(status: Option<ExitStatus>, shutdown: Duration) -> String {
    match status {
        Some(status) if !cause::is_killed(status) => "was stopped".to_owned(),
        _ => format!("was told to stop, did not within {shutdown:?}, and was killed"),
    }
}
