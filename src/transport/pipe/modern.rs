//! The modern requests of a pipe: tasks of the one who serves it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Pipe, lock};
use crate::protocol::call::Filter;
use crate::protocol::meta::{self, Checked, Extras};
use crate::protocol::{Asked, Call, Code, Era, RequestId, ResultObject, Revision, RpcError};
use crate::provider::Who;
use crate::session::listen::{self, Listen};
use crate::session::modern::Begun;
use crate::session::work::{NOBODY, Outcome, Planned};
use crate::tasks::Owner;
use crate::telemetry::Observation;
use crate::transport::http::endpoint::Endpoint;
use crate::transport::http::mcp;

impl Pipe {
    pub(super) async fn modern(&mut self, request: Asked<'_>) {
        let params = &request.params;
        let parsed = meta::check_bare(&request).and_then(|checked| {
            let call = Call::parse(checked.method, params)?;
            if let Call::Listen(filter) = &call {
                listen::check(filter, checked.capabilities)?;
            }
            Ok((checked, call, Extras::parse(params)?))
        });
        let parts = &self.link.endpoint.0;
        let method = &request.method;
        let mut seen = Observation::begin(&parts.metrics, &request.id, method, Revision::LATEST);
        let error = match parsed {
            Ok((checked, call, extras)) => {
                let cancelled = CancellationToken::new();
                match self.enter(&request.id, &cancelled) {
                    Ok(()) => {
                        let scope = &self.link.scope;
                        mcp::note_target(&self.link.endpoint, scope, &call, |target| {
                            seen.goes_to(target);
                        });
                        let asked = Accepted { id: request.id, checked, seen, cancelled };
                        return self.work(asked, call, extras).await;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        seen.finish(&Err(error.clone()));
        self.send(Era::Modern, Some(request.id), Err(error)).await;
    }

    /// Notes a request among the running ones.
    fn enter(&self, id: &RequestId, cancelled: &CancellationToken) -> Result<(), RpcError> {
        let mut running = lock(&self.running);
        if running.contains_key(id) {
            let why = "Invalid request: a request with this id is still running";
            return Err(RpcError::new(Code::InvalidRequest, why));
        }
        if running.len() >= self.link.endpoint.0.max_in_flight_per_client {
            return Err(RpcError::overloaded("requests.max_in_flight_per_session"));
        }
        running.insert(id.clone(), cancelled.clone());
        Ok(())
    }

    async fn work(&mut self, asked: Accepted, call: Call, extras: Extras) {
        let Ok(room) = self.link.out.clone().reserve_owned().await else { return };
        let endpoint = self.link.endpoint.clone();
        let parts = Arc::clone(&endpoint.0);
        let answer = Answer {
            room: Some(room),
            id: asked.id.clone(),
            revision: asked.checked.revision,
            endpoint,
            seen: Some(asked.seen),
            running: Arc::clone(&self.running),
            cancelled: asked.cancelled.clone(),
        };
        let cancelled = asked.cancelled.clone();
        let spent = answer.seen.as_ref().map(Observation::spent).unwrap_or_default();
        if let Call::Listen(filter) = call {
            let stream = self.listen(asked.id, filter, &cancelled);
            // The stream's last message is its answer.
            let entry = answer.streamed();
            self.tasks.spawn(async move {
                let _entry = entry;
                let _ = cancelled.run_until_cancelled(stream).await;
            });
            return;
        }
        let Some(place) = parts.admission.admit() else {
            return answer.give(Err(mcp::overloaded_error(&self.link.endpoint)));
        };
        let begun = parts.work.begin(
            &self.link.scope,
            asked.checked,
            call,
            extras,
            spent,
            cancelled.child_token(),
        );
        let (work, mut messages) = match begun {
            Err(error) => return answer.give(Err(error)),
            Ok(Begun { planned: Planned::Answer(outcome), .. }) => return answer.give(outcome),
            Ok(Begun { planned: Planned::Run(work), messages }) => (work, messages),
        };
        let out = self.link.out.clone();
        self.tasks.spawn(async move {
            let _place = place;
            let carry = async {
                while let Some(message) = messages.recv().await {
                    if !cancelled.is_cancelled() {
                        let _ = out.send(message).await;
                    }
                }
            };
            let work = cancelled.run_until_cancelled(work);
            // The messages end with the work, which holds their other end.
            match tokio::join!(work, carry).0 {
                Some(Err(error)) if error.code == Code::Cancelled => answer.withhold(),
                Some(outcome) => answer.give(outcome),
                None => answer.withhold(),
            }
        });
    }

    fn listen(
        &self,
        id: RequestId,
        filter: Filter,
        cancelled: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let parts = &self.link.endpoint.0;
        let ending = parts.ending.child_token();
        let listen = Listen {
            who: Who::nobody(),
            id,
            filter,
            scope: self.link.scope.clone(),
            owner: Owner::new(NOBODY),
            tasks: parts.work.tasks.clone(),
            ending,
            server: parts.server.clone(),
            shares_way: true,
        };
        let open = parts.metrics.open_stream("modern", self.link.transport.as_str());
        let messages = listen.messages(&parts.work.published);
        let (out, cancelled) = (self.link.out.clone(), cancelled.clone());
        async move {
            let _open = open;
            let mut messages = std::pin::pin!(messages);
            while let Some(message) = messages.next().await {
                if cancelled.is_cancelled() || out.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A modern request that passed its checks.
struct Accepted {
    id: RequestId,
    checked: Checked,
    seen: Observation,
    cancelled: CancellationToken,
}

/// Owes a modern request its answer; dropped without one, it tells of a crash.
struct Answer {
    room: Option<mpsc::OwnedPermit<Bytes>>,
    id: RequestId,
    revision: Revision,
    endpoint: Endpoint,
    seen: Option<Observation>,
    running: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
    cancelled: CancellationToken,
}

impl Answer {
    fn give(mut self, outcome: Outcome) {
        self.conclude(outcome);
    }

    /// The answer comes another way; what is left is the request's entry among the running ones.
    fn streamed(mut self) -> Self {
        self.room = None;
        if let Some(seen) = self.seen.take() {
            seen.finish(&Ok(ResultObject::empty()));
        }
        self
    }

    /// A cancelled request has no answer.
    fn withhold(mut self) {
        self.room = None;
        if let Some(seen) = self.seen.take() {
            seen.finish(&Err(RpcError::cancelled()));
        }
    }

    fn conclude(&mut self, outcome: Outcome) {
        // The id of a cancelled request is free again, and may be another's by now.
        if !self.cancelled.is_cancelled() {
            lock(&self.running).remove(&self.id);
        }
        if let Some(seen) = self.seen.take() {
            seen.finish(&outcome);
        }
        if let Some(room) = self.room.take() {
            let response = self.endpoint.response(self.id.clone(), self.revision, outcome);
            room.send(Bytes::from(response.encode(Era::Modern)));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.conclude(Err(RpcError::crashed("transport")));
    }
}
