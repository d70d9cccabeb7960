//! `subscriptions/listen` (2026-07-28): a stream of the notifications that a client asked for.
//!
//! All that is known of it lives in the stream itself: nothing outlasts its connection.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::catalogue::Scope;
use crate::protocol::call::Filter;
use crate::protocol::meta::ServerInfo;
use crate::protocol::notification::{Outgoing, SUBSCRIPTION_ID};
use crate::protocol::{
    ClientCapabilities, Era, Kind, RequestId, Response, ResultObject, Revision, RpcError,
};
use crate::provider::{Event, Who};
use crate::registry::{Change, Interest, Published};
use crate::tasks::{self, Owner, TaskChange, Tasks};

/// A stream to be opened.
pub struct Listen {
    /// The request's id, told in every notification.
    pub id: RequestId,
    /// What the client wants to be told of.
    pub filter: Filter,
    /// What its endpoint shows.
    pub scope: Scope,
    /// Who wants that.
    pub who: Who,
    /// Whose tasks it may name.
    pub owner: Owner,
    /// The tasks.
    pub tasks: Tasks,
    /// Ends all streams in order.
    pub ending: CancellationToken,
    /// Who answers.
    pub server: ServerInfo,
    /// Whether it shares its way with other messages. Then its end, which no connection tells, is
    /// told as a cancellation too (2026-07-28, "Cancellation").
    pub shares_way: bool,
}

struct Listening {
    listen: Listen,
    changes: Receiver<Change>,
    of_tasks: Receiver<TaskChange>,
    waiting: Vec<Bytes>,
    step: Step,
    /// What upstreams are asked to tell, as long as the stream is open.
    _interests: Vec<Interest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Acknowledge,
    Tell,
    Answer,
    Over,
}

/// Checks that a client may ask for what it asks for.
///
/// # Errors
/// -32021 where it names tasks and did not declare that it knows them.
pub fn check(filter: &Filter, client: ClientCapabilities) -> Result<(), RpcError> {
    if filter.task_ids.is_empty() { Ok(()) } else { tasks::check_extension(client) }
}

impl Listen {
    /// The messages: the acknowledgement, notifications as they come, and the answer at the end.
    pub fn messages(mut self, published: &Published) -> impl Stream<Item = Bytes> + Send + use<> {
        // From now on: nothing is lost between the acknowledgement and the first notification.
        let (changes, of_tasks) = (published.changes(), self.tasks.changes());
        let (tasks, owner) = (&self.tasks, &self.owner);
        self.filter.task_ids.retain(|id| tasks.owns(owner, id));
        let (waiting, step) = (Vec::new(), Step::Acknowledge);
        let uris = self.filter.resource_subscriptions.iter();
        let interest = |uri: &String| published.subscribe(&self.scope, uri, &self.who);
        let interests = uris.filter_map(interest).collect();
        let listening =
            Listening { listen: self, changes, of_tasks, waiting, step, _interests: interests };
        unfold(listening, |mut listening| async move {
            let message = listening.next().await?;
            Some((message, listening))
        })
    }

    fn acknowledgement(&self) -> Bytes {
        let params = json!({ "notifications": self.filter });
        self.encode(&Outgoing::new("notifications/subscriptions/acknowledged", &params))
    }

    fn answer(&self) -> Bytes {
        let meta = json!({ "_meta": { SUBSCRIPTION_ID: self.id } });
        let outcome = ResultObject::of(&meta).map(|mut result| {
            let _ = result.dress(Revision::LATEST, &self.server);
            result
        });
        Bytes::from(Response { id: Some(self.id.clone()), outcome }.encode(Era::Modern))
    }

    fn wanted(&self, change: &Change) -> Option<Outgoing> {
        if !change.is_seen_by(&self.scope, &self.who) {
            return None;
        }
        match &change.what {
            Event::ListChanged(kind) if self.wants(*kind) => Some(Outgoing::list_changed(*kind)),
            Event::ResourceUpdated(uri) if self.filter.resource_subscriptions.contains(uri) => {
                Some(Outgoing::resource_updated(uri))
            }
            Event::ListChanged(_) | Event::ResourceUpdated(_) | Event::Anything => None,
        }
    }

    /// Whether everything may be different now.
    fn may_differ(&self, change: &Change) -> bool {
        change.what == Event::Anything && change.is_seen_by(&self.scope, &self.who)
    }

    fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => self.filter.tools_list_changed,
            Kind::Prompts => self.filter.prompts_list_changed,
            Kind::Resources | Kind::Templates => self.filter.resources_list_changed,
        }
    }

    /// All that may have changed, for a client that was too slow to be told one by one.
    fn everything(&self) -> Vec<Bytes> {
        let kinds = [Kind::Tools, Kind::Prompts, Kind::Resources];
        let lists = kinds.into_iter().filter(|kind| self.wants(*kind)).map(Outgoing::list_changed);
        let uris = self.filter.resource_subscriptions.iter();
        let updates = uris.map(|uri| Outgoing::resource_updated(uri));
        let tasks = self.filter.task_ids.iter().filter_map(|id| self.task(id));
        lists.chain(updates).chain(tasks).map(|notification| self.encode(&notification)).collect()
    }

    fn wanted_task(&self, change: &TaskChange) -> Option<Outgoing> {
        let named = self.filter.task_ids.iter().any(|id| id == change.id.as_str());
        if named && change.owner == self.owner { self.task(change.id.as_str()) } else { None }
    }

    fn task(&self, id: &str) -> Option<Outgoing> {
        self.tasks.notification(&self.owner, id, Revision::LATEST)
    }

    fn encode(&self, notification: &Outgoing) -> Bytes {
        Bytes::from(notification.encode(Some(&self.id)))
    }
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        match self.step {
            Step::Over => return None,
            Step::Answer => {
                self.step = Step::Over;
                return Some(self.listen.answer());
            }
            Step::Acknowledge => {
                self.step = Step::Tell;
                return Some(self.listen.acknowledgement());
            }
            Step::Tell => {}
        }
        loop {
            if let Some(message) = self.waiting.pop() {
                return Some(message);
            }
            let listen = &self.listen;
            let told = tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) if listen.may_differ(&change) => Err(RecvError::Lagged(1)),
                    change => change.map(|change| listen.wanted(&change)),
                },
                change = self.of_tasks.recv() => change.map(|change| listen.wanted_task(&change)),
                () = listen.ending.cancelled() => Err(RecvError::Closed),
            };
            match told {
                Ok(Some(notification)) => return Some(listen.encode(&notification)),
                Ok(None) => {}
                Err(RecvError::Lagged(_)) => self.waiting = listen.everything(),
                Err(RecvError::Closed) if listen.shares_way => {
                    self.step = Step::Answer;
                    let over = Outgoing::cancelled(&listen.id, "the server ends the subscription");
                    return Some(listen.encode(&over));
                }
                Err(RecvError::Closed) => {
                    self.step = Step::Over;
                    return Some(listen.answer());
                }
            }
        }
    }
}
