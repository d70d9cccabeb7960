//! A session's requests, as a pure state machine: inputs to effects.
//!
//! **Invariant:** every request that is handed in is answered exactly once: refused at once, or
//! started and then answered when its work is done. Every request of ours is settled at most once.

use std::collections::HashMap;

use crate::protocol::{Code, RequestId, RpcError};

/// Names a started request within its session, for the life of the actor. Request ids may come
/// again once they are answered; tickets never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The client sent a request.
    Requested(RequestId),
    /// The work on a request is done.
    Finished(Ticket),
    /// The client cancels a request.
    Cancelled(RequestId),
    /// The client is ready (`notifications/initialized`).
    Initialized,
    /// A running request asks the client something, under an id that never came before.
    Asked(Ticket, AskId),
    /// The client answered a request of ours.
    Replied(RequestId),
    /// Nobody waits for the client's answer any more.
    Unasked(AskId),
}

/// A request of ours to the client. Its id is a text, so that it differs from the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(u64);

/// In front of the number in the ids of our requests.
const ASK_PREFIX: &str = "erlmcp-";
/// Requests of ours that one client may owe us answers to.
const MAX_ASKS: usize = 1_000;

impl AskId {
    /// The request with this number; numbers never come again within a session.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The id on the wire.
    pub fn to_request_id(self) -> RequestId {
        RequestId::Text(format!("{ASK_PREFIX}{}", self.0))
    }

    fn parse(id: &RequestId) -> Option<Self> {
        match id {
            RequestId::Text(text) => text.strip_prefix(ASK_PREFIX)?.parse().ok().map(Self),
            RequestId::Integer(_) | RequestId::Unsigned(_) => None,
        }
    }
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start the work on the request that was handed in.
    Start(Ticket),
    /// Answer the request that was handed in with this error.
    Refuse(RpcError),
    /// Answer a started request with what its work gave.
    Answer(Ticket),
    /// Cancel the work on a started request; its answer follows.
    Cancel(Ticket),
    /// Send the request that was handed in to the client, under its id.
    Send(AskId),
    /// Hand the client's answer to who asked.
    Resolve(AskId),
    /// Tell the client that nobody waits for its answer any more.
    Withdraw(AskId),
    /// Nothing.
    Ignore,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `initialize` is answered.
    Initializing,
    /// The client said that it is ready. Requests before that are served all the same: not all
    /// clients say it.
    Ready,
}

/// The state.
#[derive(Debug)]
pub struct Machine {
    phase: Phase,
    limit: usize,
    next: u64,
    by_id: HashMap<RequestId, Ticket>,
    by_ticket: HashMap<Ticket, RequestId>,
    asks: HashMap<AskId, Ticket>,
}

impl Machine {
    /// A session with no requests, which takes at most `limit` at once.
    pub fn new(limit: usize) -> Self {
        Self {
            phase: Phase::Initializing,
            limit,
            next: 0,
            by_id: HashMap::new(),
            by_ticket: HashMap::new(),
            asks: HashMap::new(),
        }
    }

    /// Takes one input.
    pub fn on(&mut self, input: Input) -> Effect {
        match input {
            Input::Requested(id) => self.requested(id),
            Input::Finished(ticket) => self.finished(ticket),
            Input::Cancelled(id) => {
                self.by_id.get(&id).map_or(Effect::Ignore, |ticket| Effect::Cancel(*ticket))
            }
            Input::Initialized => {
                self.phase = Phase::Ready;
                Effect::Ignore
            }
            Input::Asked(ticket, ask) => self.asked(ticket, ask),
            Input::Replied(id) => match AskId::parse(&id) {
                Some(ask) if self.asks.remove(&ask).is_some() => Effect::Resolve(ask),
                _ => Effect::Ignore,
            },
            Input::Unasked(ask) => match self.asks.remove(&ask) {
                Some(_) => Effect::Withdraw(ask),
                None => Effect::Ignore,
            },
        }
    }

    /// Where the session is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Requests of ours that the client didn't answer.
    pub fn asking(&self) -> usize {
        self.asks.len()
    }

    /// Requests started and not answered.
    pub fn in_flight(&self) -> usize {
        self.by_ticket.len()
    }

    fn requested(&mut self, id: RequestId) -> Effect {
        if self.by_id.contains_key(&id) {
            let why = "Invalid request: a request with this id is still running";
            return Effect::Refuse(RpcError::new(Code::InvalidRequest, why));
        }
        if self.by_ticket.len() >= self.limit {
            return Effect::Refuse(RpcError::overloaded("requests.max_in_flight_per_session"));
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.by_id.insert(id.clone(), ticket);
        self.by_ticket.insert(ticket, id);
        Effect::Start(ticket)
    }

    /// What isn't running any more has nobody to ask for.
    fn asked(&mut self, ticket: Ticket, ask: AskId) -> Effect {
        if !self.by_ticket.contains_key(&ticket) || self.asks.len() >= MAX_ASKS {
            return Effect::Ignore;
        }
        self.asks.insert(ask, ticket);
        Effect::Send(ask)
    }

    fn finished(&mut self, ticket: Ticket) -> Effect {
        match self.by_ticket.remove(&ticket) {
            Some(id) => {
                self.by_id.remove(&id);
                Effect::Answer(ticket)
            }
            None => Effect::Ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_free_again_once_it_is_answered() {
        let mut machine = Machine::new(2);
        assert_eq!(machine.on(Input::Requested(1.into())), Effect::Start(Ticket(0)));
        assert!(matches!(machine.on(Input::Requested(1.into())), Effect::Refuse(_)));
        assert_eq!(machine.on(Input::Requested("1".into())), Effect::Start(Ticket(1)));
        match machine.on(Input::Requested(2.into())) {
            Effect::Refuse(error) => assert_eq!(error.code, Code::Overloaded),
            other => panic!("{other:?}"),
        }
        assert_eq!(machine.on(Input::Cancelled(1.into())), Effect::Cancel(Ticket(0)));
        assert_eq!(machine.on(Input::Finished(Ticket(0))), Effect::Answer(Ticket(0)));
        assert_eq!(machine.on(Input::Finished(Ticket(0))), Effect::Ignore);
        assert_eq!(machine.on(Input::Cancelled(1.into())), Effect::Ignore);
        assert_eq!(machine.on(Input::Requested(1.into())), Effect::Start(Ticket(2)));
    }

    #[test]
    fn answers_reach_who_asked_and_nobody_else() {
        let mut machine = Machine::new(2);
        assert_eq!(machine.on(Input::Asked(Ticket(0), AskId(7))), Effect::Ignore, "nothing runs");
        machine.on(Input::Requested(1.into()));
        assert_eq!(machine.on(Input::Asked(Ticket(0), AskId(7))), Effect::Send(AskId(7)));
        for stray in ["7", "erlmcp-8", "erlmcp-", "erlmcp-x"] {
            assert_eq!(machine.on(Input::Replied(stray.into())), Effect::Ignore, "{stray}");
        }
        assert_eq!(machine.on(Input::Replied(7.into())), Effect::Ignore);
        assert_eq!(machine.on(Input::Replied("erlmcp-7".into())), Effect::Resolve(AskId(7)));
        assert_eq!(machine.on(Input::Replied("erlmcp-7".into())), Effect::Ignore);
        assert_eq!(machine.on(Input::Unasked(AskId(7))), Effect::Ignore);
    }

    #[test]
    fn the_client_says_when_it_is_ready() {
        let mut machine = Machine::new(1);
        assert_eq!(machine.phase(), Phase::Initializing);
        assert_eq!(machine.on(Input::Initialized), Effect::Ignore);
        assert_eq!(machine.phase(), Phase::Ready);
    }

    fn inputs() -> impl Strategy<Value = Vec<Input>> {
        let input = prop_oneof![
            (0_i64..6).prop_map(|id| Input::Requested(id.into())),
            (0_u64..40).prop_map(|ticket| Input::Finished(Ticket(ticket))),
            (0_i64..6).prop_map(|id| Input::Cancelled(id.into())),
            Just(Input::Initialized),
            (0_u64..40).prop_map(|ticket| Input::Asked(Ticket(ticket), AskId(0))),
            (0_u64..80).prop_map(|ask| Input::Replied(AskId(ask).to_request_id())),
            (0_u64..80).prop_map(|ask| Input::Unasked(AskId(ask))),
        ];
        proptest::collection::vec(input, 0..80)
    }

    proptest! {
        /// Every request has one outcome, and none beyond the limit is started.
        #[test]
        fn each_request_is_answered_exactly_once(inputs in inputs(), limit in 0_usize..5) {
            let mut machine = Machine::new(limit);
            let (mut running, mut answered) = (BTreeSet::new(), BTreeSet::new());
            let (mut asked, mut settled) = (BTreeSet::new(), BTreeSet::new());
            let (mut handed_in, mut refused) = (0, 0);
            for (number, mut input) in (0_u64..).zip(inputs) {
                if let Input::Asked(_, ask) = &mut input {
                    *ask = AskId(number);
                }
                handed_in += usize::from(matches!(input, Input::Requested(_)));
                match machine.on(input) {
                    Effect::Start(ticket) => prop_assert!(running.insert(ticket)),
                    Effect::Refuse(_) => refused += 1,
                    Effect::Answer(ticket) => {
                        prop_assert!(running.remove(&ticket) && answered.insert(ticket));
                    }
                    Effect::Cancel(ticket) => prop_assert!(running.contains(&ticket)),
                    Effect::Send(ask) => prop_assert!(asked.insert(ask)),
                    // Each answer reaches who asked once, or nobody waits for it any more.
                    Effect::Resolve(ask) | Effect::Withdraw(ask) => {
                        prop_assert!(asked.contains(&ask) && settled.insert(ask));
                    }
                    Effect::Ignore => {}
                }
                prop_assert!(running.len() <= limit && running.len() == machine.in_flight());
            }
            for ticket in running {
                prop_assert_eq!(machine.on(Input::Finished(ticket)), Effect::Answer(ticket));
                answered.insert(ticket);
            }
            prop_assert_eq!(asked.len() - settled.len(), machine.asking());
            prop_assert_eq!(handed_in, refused + answered.len());
            prop_assert_eq!(machine.in_flight(), 0);
        }
    }
}
