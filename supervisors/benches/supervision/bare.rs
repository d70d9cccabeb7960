//! The floor: a loop over a `JoinSet` that starts, restarts and stops tasks, and knows nothing of
//! strategies, intensity, specifications, panics or orderly stops.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::children::{self, Told};

type Answer = oneshot::Sender<()>;

pub(crate) enum Ask {
    Start(usize, Answer),
    Terminate(usize, Answer),
    Stop(Answer),
}

/// Asks, and waits for the answer.
pub(crate) async fn ask(asks: &mpsc::Sender<Ask>, make: impl FnOnce(Answer) -> Ask) {
    let (answer, answered) = oneshot::channel();
    assert!(asks.send(make(answer)).await.is_ok(), "the loop runs");
    answered.await.expect("the loop answers");
}

/// Runs until it is asked to stop. It answers one `Terminate` before it is sent the next.
pub(crate) async fn run(mut asks: mpsc::Receiver<Ask>, told: Told) {
    let mut set: JoinSet<usize> = JoinSet::new();
    let mut handles: Vec<Option<AbortHandle>> = Vec::new();
    let mut ending: Option<(Id, Answer)> = None;
    let work = |index| {
        let told = told.clone();
        async move {
            match children::task(index, told).await {
                Err(_) => index,
                Ok(()) => pending().await,
            }
        }
    };
    loop {
        tokio::select! {
            Some(ask) = asks.recv() => match ask {
                Ask::Start(index, answer) => {
                    if handles.len() <= index {
                        handles.resize_with(index + 1, || None);
                    }
                    handles[index] = Some(set.spawn(work(index)));
                    let _ = answer.send(());
                }
                Ask::Terminate(index, answer) => {
                    let handle = handles[index].take().expect("it was started");
                    handle.abort();
                    ending = Some((handle.id(), answer));
                }
                Ask::Stop(answer) => {
                    set.shutdown().await;
                    let _ = answer.send(());
                    return;
                }
            },
            Some(ended) = set.join_next_with_id() => match ended {
                Ok((_, index)) => handles[index] = Some(set.spawn(work(index))),
                Err(error) => {
                    if let Some((_, answer)) = ending.take_if(|(id, _)| *id == error.id()) {
                        let _ = answer.send(());
                    }
                }
            },
            else => return,
        }
    }
}
