//! The requests under way on one connection, and what its server asks meanwhile. Pure.
//!
//! **Invariant:** each request has exactly one outcome, whatever comes in whatever order; what
//! comes twice, late, or for nobody is counted and has no effect.
//! **Invariant:** each question of the server's is answered at most once, by whoever it belongs to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};

use serde_json::value::RawValue;

use crate::protocol::{Ask, RequestId, RpcError};
use crate::provider::upstream::failure::Failure;

/// Questions of one server that may wait for answers at once.
pub(super) const MAX_QUESTIONS: usize = 64;

/// What a request came to.
pub(in crate::provider::upstream) type Outcome = Result<Box<RawValue>, Fault>;

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::provider::upstream) enum Fault {
    /// The server's own error.
    Answered(RpcError),
    /// This request alone failed.
    Failed(Failure),
    /// The connection ended.
    Closed {
        /// Why.
        cause: Arc<str>,
        /// Whether the server may have seen the request.
        sent: bool,
    },
}

/// Whose a request is, as far as that decides who is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Whose {
    /// The principal; empty where nobody was asked who they are.
    pub(super) principal: Arc<str>,
    /// The session's key, where there is one.
    pub(super) session: Option<Arc<str>>,
}

impl Whose {
    /// Whether both are certainly the same client, or the same person.
    fn is_same(&self, other: &Self) -> bool {
        let same_session = self.session.is_some() && self.session == other.session;
        same_session || (!self.principal.is_empty() && self.principal == other.principal)
    }
}

/// A question for the client behind a request.
#[derive(Debug)]
pub(in crate::provider::upstream) struct Question {
    /// Our number of it.
    pub(in crate::provider::upstream) number: u64,
    /// What is asked.
    pub(in crate::provider::upstream) ask: Ask,
}

/// What happened to a request.
#[derive(Debug)]
pub(in crate::provider::upstream) enum Happening {
    /// It is over.
    Done(Outcome),
    /// Its server asks the client.
    Asked(Question),
    /// Its server doesn't want to know any more.
    Withdrawn(u64),
    /// Its server has begun to listen.
    Acknowledged,
}

/// Why a question goes to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoOwner {
    /// No request runs that it could belong to.
    Idle,
    /// Requests of several clients run, and nothing says to which of them it belongs.
    Ambiguous,
}

/// What is left to be said when somebody stops waiting for a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Farewell {
    /// The server still works on it.
    pub(super) cancel: bool,
    /// Its ids of questions that nobody answers any more.
    pub(super) questions: Vec<RequestId>,
}

/// The table. `C` is what its owner wants to know again of who makes a request; the node's own
/// requests have none.
pub(super) struct Table<C> {
    last_id: u64,
    requests: BTreeMap<u64, Request<C>>,
    /// Requests of clients without an outcome.
    calls: usize,
    last_question: u64,
    questions: BTreeMap<u64, Open>,
    closed: Option<Arc<str>>,
    strays: u64,
}

struct Request<C> {
    caller: Option<(Whose, C)>,
    sent: bool,
    acknowledged: bool,
    forgotten: bool,
    mail: VecDeque<Happening>,
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl<C> Request<C> {
    fn of(caller: Option<(Whose, C)>) -> Self {
        Self {
            caller,
            sent: false,
            acknowledged: false,
            forgotten: false,
            mail: VecDeque::new(),
            outcome: None,
            waker: None,
        }
    }

    fn is_running(&self) -> bool {
        self.outcome.is_none()
    }

    fn is_call(&self) -> bool {
        self.caller.is_some() && self.is_running()
    }
}

/// A question that has no answer yet.
struct Open {
    /// The server's id of it.
    id: RequestId,
    /// The request that it belongs to.
    of: u64,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Self {
            last_id: 0,
            requests: BTreeMap::new(),
            calls: 0,
            last_question: 0,
            questions: BTreeMap::new(),
            closed: None,
            strays: 0,
        }
    }
}

impl<C> Table<C> {
    /// A request begins; this is its id, which never comes again.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub(super) fn begin(&mut self, caller: Option<(Whose, C)>) -> Result<u64, Fault> {
        if let Some(cause) = &self.closed {
            return Err(Fault::Closed { cause: Arc::clone(cause), sent: false });
        }
        self.last_id += 1;
        self.calls += usize::from(caller.is_some());
        self.requests.insert(self.last_id, Request::of(caller));
        Ok(self.last_id)
    }

    /// From now on the server may know of the request.
    pub(super) fn sent(&mut self, id: u64) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.sent = true;
        }
    }

    /// Nobody waits for the outcome of a request that was sent.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(request) = self.requests.get_mut(&id) {
            if request.is_running() {
                request.forgotten = true;
            } else {
                self.requests.remove(&id);
            }
        }
    }

    /// A request is made by somebody else from now on, who goes on where the other stopped.
    pub(super) fn hand_over(&mut self, id: u64, whose: Whose, caller: C) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.caller = Some((whose, caller));
        }
    }

    /// The one outcome of a request; whom it wakes.
    pub(super) fn answer(&mut self, id: u64, outcome: Outcome) -> Option<Waker> {
        let open = self.requests.get_mut(&id).filter(|request| request.is_running());
        let Some(request) = open else {
            self.strays += 1;
            return None;
        };
        self.calls -= usize::from(request.caller.is_some());
        if request.forgotten {
            self.requests.remove(&id);
            return None;
        }
        request.outcome = Some(outcome);
        request.waker.take()
    }

    /// An answer came that names no request.
    pub(super) fn stray(&mut self) {
        self.strays += 1;
    }

    /// The server has begun to listen for a request.
    pub(super) fn acknowledge(&mut self, id: u64) -> Option<Waker> {
        let request = self.requests.get_mut(&id)?;
        if std::mem::replace(&mut request.acknowledged, true) {
            return None;
        }
        request.mail.push_back(Happening::Acknowledged);
        request.waker.take()
    }

    /// What happened next. An outcome comes before all else, and with it the request is forgotten.
    pub(super) fn poll(&mut self, id: u64, waker: &Waker) -> Poll<Happening> {
        let Some(request) = self.requests.get_mut(&id) else { return Poll::Pending };
        if let Some(outcome) = request.outcome.take() {
            self.requests.remove(&id);
            return Poll::Ready(Happening::Done(outcome));
        }
        match request.mail.pop_front() {
            Some(happening) => Poll::Ready(happening),
            None => {
                request.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Nobody waits for a request any more, answered or not.
    pub(super) fn end(&mut self, id: u64) -> Farewell {
        let request = self.requests.remove(&id).filter(Request::is_running);
        self.calls -= usize::from(request.as_ref().is_some_and(Request::is_call));
        let mut farewell = Farewell::default();
        if self.closed.is_some() {
            return farewell;
        }
        farewell.cancel = request.is_some_and(|request| request.sent);
        if !self.questions.is_empty() {
            let over = self.questions.extract_if(.., |_, open| open.of == id);
            farewell.questions = over.map(|(_, open)| open.id).collect();
        }
        farewell
    }

    /// Who makes a request that runs.
    pub(super) fn caller(&self, id: u64) -> Option<&C> {
        let request = self.requests.get(&id).filter(|request| request.is_running());
        request.and_then(|request| request.caller.as_ref()).map(|(_, caller)| caller)
    }

    /// The call that a question belongs to: the one on whose stream it came, else the only one
    /// that runs, else the latest where all are the same client's.
    ///
    /// # Errors
    /// Where it is certainly nobody's, or maybe somebody else's.
    pub(super) fn owner(&self, of: Option<u64>) -> Result<u64, NoOwner> {
        if let Some(id) = of {
            let is_call = self.requests.get(&id).is_some_and(Request::is_call);
            return if is_call { Ok(id) } else { Err(NoOwner::Idle) };
        }
        let mut calls = self.calls().rev();
        let (latest, whose) = calls.next().ok_or(NoOwner::Idle)?;
        if calls.all(|(_, other)| other.is_same(whose)) {
            Ok(latest)
        } else {
            Err(NoOwner::Ambiguous)
        }
    }

    /// The call whose client hears a message: the one on whose stream it came, else the only one.
    pub(super) fn hearer(&self, of: Option<u64>) -> Option<&C> {
        if let Some(id) = of {
            return self.caller(id);
        }
        let mut calls = self.calls();
        match (calls.next(), calls.next()) {
            (Some((id, _)), None) => self.caller(id),
            _ => None,
        }
    }

    fn calls(&self) -> impl DoubleEndedIterator<Item = (u64, &Whose)> {
        let running = self.requests.iter().filter(|(_, request)| request.is_running());
        running.filter_map(|(id, request)| request.caller.as_ref().map(|(whose, _)| (*id, whose)))
    }

    /// The server asks the client behind a request, under an id of its own.
    ///
    /// # Errors
    /// Where too many questions wait already, or that id is in use; the question is given back.
    pub(super) fn ask(&mut self, of: u64, id: RequestId, ask: Ask) -> Result<Option<Waker>, Ask> {
        let twice = self.questions.values().any(|open| open.id == id);
        let Some(request) = self.requests.get_mut(&of) else { return Err(ask) };
        if twice || self.questions.len() >= MAX_QUESTIONS {
            return Err(ask);
        }
        self.last_question += 1;
        let number = self.last_question;
        self.questions.insert(number, Open { id, of });
        request.mail.push_back(Happening::Asked(Question { number, ask }));
        Ok(request.waker.take())
    }

    /// The server withdraws a question.
    pub(super) fn withdraw(&mut self, id: &RequestId) -> Option<Waker> {
        let found = self.questions.iter().find(|(_, open)| open.id == *id);
        let number = found.map(|(number, _)| *number)?;
        let open = self.questions.remove(&number)?;
        let request = self.requests.get_mut(&open.of)?;
        let is_it = |mail: &Happening| match mail {
            Happening::Asked(question) => question.number == number,
            _ => false,
        };
        match request.mail.iter().position(is_it) {
            Some(at) => drop(request.mail.remove(at)),
            None => request.mail.push_back(Happening::Withdrawn(number)),
        }
        request.waker.take()
    }

    /// A question is answered; the id under which the server waits for that, if it still does.
    pub(super) fn settle(&mut self, number: u64) -> Option<RequestId> {
        self.questions.remove(&number).map(|open| open.id)
    }

    /// The connection has ended, and each request with it; whom that wakes.
    pub(super) fn close(&mut self, cause: &str) -> Vec<Waker> {
        if self.closed.is_some() {
            return Vec::new();
        }
        let cause: Arc<str> = cause.into();
        self.closed = Some(Arc::clone(&cause));
        self.requests.retain(|_, request| !request.forgotten);
        self.questions.clear();
        self.calls = 0;
        let running = self.requests.values_mut().filter(|request| request.is_running());
        let wakers = running.filter_map(|request| {
            let (cause, sent) = (Arc::clone(&cause), request.sent);
            request.outcome = Some(Err(Fault::Closed { cause, sent }));
            request.waker.take()
        });
        wakers.collect()
    }

    /// Requests of clients that run.
    pub(super) fn in_flight(&self) -> usize {
        self.calls
    }

    /// Answers that came twice, late, or to nothing that was asked.
    pub(super) fn strays(&self) -> u64 {
        self.strays
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
