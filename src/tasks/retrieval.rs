//! `tasks/result` (2025-11-25): waits for a task's end, and asks its questions meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::task::{AbortHandle, JoinSet};

use super::machine::Outcome;
use super::record::Record;
use super::wire::related_ask;
use crate::protocol::{Ask, AskError, RpcError};
use crate::provider::ClientLink;

/// Waits for the task's outcome. Each of its questions is asked through `client`, once; somebody
/// else may be asking the same elsewhere, and the first answer counts.
pub(super) async fn retrieve(record: &Record, client: &Arc<dyn ClientLink>) -> Outcome {
    let mut changes = record.changes();
    let mut asking = Asking::default();
    loop {
        // Seen before looking, so that no change falls between the two.
        changes.borrow_and_update();
        let state = record.look(|view| {
            let questions = || view.machine.questions().clone();
            view.machine.outcome().cloned().ok_or_else(questions)
        });
        match state {
            Ok(outcome) => return outcome,
            Err(open) => asking.follow(&open, record, client),
        }
        tokio::select! {
            // The record, and with it the sender, outlives this.
            _ = changes.changed() => {}
            Some(answered) = asking.running.join_next() => {
                if let Ok((key, answer)) = answered {
                    settle(record, &key, answer);
                }
            }
        }
    }
}

type Answer = Result<Box<RawValue>, AskError>;

/// Hands an answer to the task. A client that went away has not answered: whoever asks for the
/// result next is asked again.
fn settle(record: &Record, key: &str, answer: Answer) {
    if !matches!(answer, Err(AskError::Gone)) {
        record.answer(key, answer);
    }
}

/// The questions that this caller is asked or was asked. Dropping it takes back those that are
/// under way.
#[derive(Default)]
struct Asking {
    running: JoinSet<(String, Answer)>,
    asked: BTreeMap<String, AbortHandle>,
}

impl Asking {
    /// Asks what is new, and takes back what was answered elsewhere.
    fn follow(
        &mut self,
        open: &BTreeMap<String, Ask>,
        record: &Record,
        client: &Arc<dyn ClientLink>,
    ) {
        self.asked.retain(|key, asking| {
            let is_open = open.contains_key(key);
            if !is_open {
                asking.abort();
            }
            is_open
        });
        for (key, ask) in open {
            if self.asked.contains_key(key) {
                continue;
            }
            let (key, ask) = (key.clone(), related_ask(ask, record.id.as_str()));
            let client = client.clone();
            let asked = self.running.spawn({
                let key = key.clone();
                async move {
                    let answer = match ask {
                        Ok(ask) => client.ask(ask).await,
                        Err(why) => Err(AskError::Impossible(RpcError::invalid_params(why))),
                    };
                    (key, answer)
                }
            });
            self.asked.insert(key, asked);
        }
    }
}
