//! The table against a plain account of what happened, and the rules of who is asked.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::protocol::{AskKind, Code};

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn ask() -> Ask {
    Ask { kind: AskKind::ListRoots, params: None }
}

fn of(principal: &str, session: Option<&str>) -> Whose {
    Whose { principal: principal.into(), session: session.map(Arc::from) }
}

fn poll<C>(table: &mut Table<C>, id: u64) -> Option<Happening> {
    match table.poll(id, Waker::noop()) {
        Poll::Ready(happening) => Some(happening),
        Poll::Pending => None,
    }
}

/// What may come, in any order. Numbers choose among what there is, and a bit beyond.
#[derive(Debug, Clone)]
enum Input {
    Begin { is_call: bool },
    Sent(u64),
    Answer(u64, bool),
    Poll(u64),
    End(u64),
    Forget(u64),
    Ask { of: Option<u64>, id: i64 },
    Withdraw(i64),
    Settle(u64),
    Close,
}

fn input() -> impl Strategy<Value = Input> {
    let id = || 0..12_u64;
    prop_oneof![
        4 => any::<bool>().prop_map(|is_call| Input::Begin { is_call }),
        3 => id().prop_map(Input::Sent),
        4 => (id(), any::<bool>()).prop_map(|(id, good)| Input::Answer(id, good)),
        4 => id().prop_map(Input::Poll),
        2 => id().prop_map(Input::End),
        1 => id().prop_map(Input::Forget),
        3 => (proptest::option::of(id()), 0..6_i64).prop_map(|(of, id)| Input::Ask { of, id }),
        1 => (0..6_i64).prop_map(Input::Withdraw),
        2 => id().prop_map(Input::Settle),
        1 => Just(Input::Close),
    ]
}

/// What a request is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Running { is_call: bool },
    Answered,
    Over,
}

#[derive(Default)]
struct Account {
    requests: BTreeMap<u64, Known>,
    outcomes: BTreeMap<u64, usize>,
    /// Ids of the server's questions that are open, and answered so far.
    open: BTreeSet<i64>,
    closed: bool,
}

impl Account {
    fn is_running(&self, id: u64) -> bool {
        matches!(self.requests.get(&id), Some(Known::Running { .. }))
    }

    fn in_flight(&self) -> usize {
        self.requests.values().filter(|known| **known == Known::Running { is_call: true }).count()
    }

    fn took(&mut self, id: &RequestId) {
        let RequestId::Integer(id) = id else { panic!("{id:?}") };
        assert!(self.open.remove(id), "{id} is answered, and was not open");
    }
}

fn apply(table: &mut Table<u64>, account: &mut Account, input: &Input) {
    match input {
        Input::Begin { is_call } => {
            let begun = table.begin(is_call.then(|| (of("", None), 0)));
            assert_eq!(begun.is_ok(), !account.closed);
            if let Ok(id) = begun {
                let new = account.requests.insert(id, Known::Running { is_call: *is_call });
                assert_eq!(new, None, "an id came again");
            }
        }
        Input::Sent(id) => table.sent(*id),
        Input::Answer(id, good) => {
            let outcome = match good {
                true => Ok(raw("{}")),
                false => Err(Fault::Answered(RpcError::new(Code::Other(1), "e"))),
            };
            let strays = table.strays();
            table.answer(*id, outcome);
            let counts = account.is_running(*id);
            assert_eq!(table.strays() > strays, !counts);
            if counts {
                account.requests.insert(*id, Known::Answered);
            }
        }
        Input::Poll(id) => {
            let happening = poll(table, *id);
            let answered = account.requests.get(id) == Some(&Known::Answered);
            assert_eq!(matches!(happening, Some(Happening::Done(_))), answered);
            if answered {
                account.requests.insert(*id, Known::Over);
                *account.outcomes.entry(*id).or_default() += 1;
            }
        }
        Input::End(id) => {
            let farewell = table.end(*id);
            assert!(!farewell.cancel || account.is_running(*id));
            farewell.questions.iter().for_each(|id| account.took(id));
            if account.requests.contains_key(id) {
                account.requests.insert(*id, Known::Over);
            }
        }
        // Only the node's own requests are forgotten, and nobody polls or ends them again.
        Input::Forget(id)
            if account.requests.get(id) == Some(&Known::Running { is_call: false }) =>
        {
            table.forget(*id);
            table.answer(*id, Ok(raw("{}")));
            account.requests.insert(*id, Known::Over);
        }
        Input::Forget(_) => {}
        Input::Ask { .. } | Input::Withdraw(_) | Input::Settle(_) => {
            apply_question(table, account, input);
        }
        Input::Close => {
            table.close("it ended");
            account.closed = true;
            account.open.clear();
            for known in account.requests.values_mut() {
                if matches!(known, Known::Running { .. }) {
                    *known = Known::Answered;
                }
            }
        }
    }
    assert_eq!(table.in_flight(), account.in_flight());
}

fn apply_question(table: &mut Table<u64>, account: &mut Account, input: &Input) {
    match input {
        Input::Ask { of, id } => {
            let Ok(owner) = table.owner(*of) else { return };
            assert_eq!(account.requests.get(&owner), Some(&Known::Running { is_call: true }));
            let asked = table.ask(owner, RequestId::Integer(*id), ask());
            assert_eq!(asked.is_ok(), account.open.insert(*id));
        }
        Input::Withdraw(id) => {
            table.withdraw(&RequestId::Integer(*id));
            account.open.remove(id);
        }
        Input::Settle(number) => {
            if let Some(id) = table.settle(*number) {
                account.took(&id);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn each_request_has_one_outcome_whatever_comes(
        inputs in proptest::collection::vec(input(), 0..120),
    ) {
        let (mut table, mut account) = (Table::default(), Account::default());
        for input in inputs.iter().chain([&Input::Close]) {
            apply(&mut table, &mut account, input);
        }
        // Whoever still waits is told, and then nothing is left.
        let waiting: Vec<_> = account.requests.keys().copied().collect();
        for id in waiting {
            apply(&mut table, &mut account, &Input::Poll(id));
            apply(&mut table, &mut account, &Input::End(id));
        }
        prop_assert!(account.outcomes.values().all(|outcomes| *outcomes == 1));
        prop_assert!(table.requests.is_empty() && table.questions.is_empty());
    }
}

#[test]
fn a_question_belongs_to_the_request_on_whose_stream_it_came() {
    let mut table = Table::default();
    let first = table.begin(Some((of("a", Some("1")), "one"))).unwrap();
    let second = table.begin(Some((of("b", Some("2")), "two"))).unwrap();
    let own = table.begin(None).unwrap();
    assert_eq!(table.owner(Some(first)), Ok(first));
    assert_eq!(table.owner(Some(second)), Ok(second));
    // The node's own requests have no client, and unknown ones are nobody's.
    assert_eq!(table.owner(Some(own)), Err(NoOwner::Idle));
    assert_eq!(table.owner(Some(99)), Err(NoOwner::Idle));
    table.answer(first, Ok(raw("{}")));
    assert_eq!(table.owner(Some(first)), Err(NoOwner::Idle));
}

#[test]
fn without_a_stream_it_belongs_to_the_only_client() {
    let cases: [(&[Whose], Result<u64, NoOwner>); 7] = [
        (&[], Err(NoOwner::Idle)),
        (&[of("", None)], Ok(1)),
        (&[of("", None), of("", None)], Err(NoOwner::Ambiguous)),
        (&[of("a", Some("1")), of("b", Some("2"))], Err(NoOwner::Ambiguous)),
        (&[of("", Some("1")), of("", Some("1"))], Ok(2)),
        (&[of("a", None), of("a", None), of("a", Some("1"))], Ok(3)),
        (&[of("a", None), of("b", None), of("a", None)], Err(NoOwner::Ambiguous)),
    ];
    for (callers, expected) in cases {
        let mut table = Table::default();
        for whose in callers {
            table.begin(Some((whose.clone(), ()))).unwrap();
        }
        table.begin(None).unwrap();
        assert_eq!(table.owner(None), expected, "{callers:?}");
        assert_eq!(table.hearer(None).is_some(), callers.len() == 1, "{callers:?}");
    }
}

#[test]
fn what_is_asked_waits_until_it_is_taken_answered_or_withdrawn() {
    let mut table = Table::default();
    let id = table.begin(Some((of("", None), ()))).unwrap();
    table.ask(id, 7.into(), ask()).unwrap();
    assert!(table.ask(id, 7.into(), ask()).is_err(), "an id that is in use");
    table.ask(id, "b".into(), ask()).unwrap();
    table.withdraw(&"b".into());
    let Some(Happening::Asked(question)) = poll(&mut table, id) else { panic!("nothing asked") };
    assert!(poll(&mut table, id).is_none(), "what was withdrawn in time is never seen");
    table.withdraw(&7.into());
    assert!(matches!(poll(&mut table, id), Some(Happening::Withdrawn(n)) if n == question.number));
    assert_eq!(table.settle(question.number), None);
    for number in 0..i64::try_from(MAX_QUESTIONS).unwrap() {
        table.ask(id, number.into(), ask()).unwrap();
    }
    assert!(table.ask(id, "more".into(), ask()).is_err());
    assert_eq!(table.end(id).questions.len(), MAX_QUESTIONS);
}

#[test]
fn an_end_says_whether_the_server_may_have_seen_the_request() {
    let mut table = Table::default();
    let (unsent, sent) =
        (table.begin(None).unwrap(), table.begin(Some((of("", None), ()))).unwrap());
    table.sent(sent);
    table.close("it crashed");
    table.close("once more");
    for (id, was_sent) in [(unsent, false), (sent, true)] {
        let Some(Happening::Done(Err(Fault::Closed { cause, sent }))) = poll(&mut table, id) else {
            panic!("no end");
        };
        assert_eq!((&*cause, sent), ("it crashed", was_sent));
        assert!(poll(&mut table, id).is_none(), "an outcome comes once");
        assert_eq!(table.end(id), Farewell::default());
    }
    assert!(matches!(table.begin(None), Err(Fault::Closed { sent: false, .. })));
}
