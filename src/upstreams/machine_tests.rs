//! Tables and random histories for the rules of supervision.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ONE: MemberId = MemberId(1);

fn policy(restart: Restart) -> Policy {
    let window = Duration::from_secs(60);
    Policy { restart, max_restarts: 5, window, on_demand: false }
}

/// A machine with a clock.
struct Bench {
    machine: Machine,
    now: Duration,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let mut machine = Machine::new(policy);
        assert_eq!(machine.on(Input::Open(ONE), Duration::ZERO, 1.0), [Effect::Start(ONE)]);
        Self { machine, now: Duration::ZERO }
    }

    fn on(&mut self, input: Input) -> Vec<Effect> {
        self.machine.on(input, self.now, 1.0)
    }

    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.on(Input::Tick)
    }

    /// The instance ends; gives the pause until the next one, none where there is no next one.
    fn end(&mut self, end: End) -> Option<Duration> {
        let effects = self.on(Input::Ended(ONE, end));
        if effects == [Effect::Start(ONE)] {
            return Some(Duration::ZERO);
        }
        assert_eq!(effects, []);
        let due = self.machine.due()? - self.now;
        assert_eq!(self.pass(due - Duration::from_nanos(1)), []);
        assert_eq!(self.pass(Duration::from_nanos(1)), [Effect::Start(ONE)]);
        Some(due)
    }

    fn state(&self) -> State {
        self.machine.state()
    }
}

fn millis(pause: Option<Duration>) -> Option<u128> {
    pause.map(|pause| pause.as_millis())
}

#[test]
fn the_first_restart_is_at_once_and_the_next_ones_pause_for_longer() {
    let mut bench = Bench::new(Policy { max_restarts: 20, ..policy(Restart::Permanent) });
    let mut pauses = Vec::new();
    for _ in 0..10 {
        bench.on(Input::Ready(ONE));
        assert_eq!(bench.state(), State::Ready);
        pauses.extend(millis(bench.end(End::Crashed)));
        assert_eq!(bench.state(), State::Restarting);
    }
    assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
}

#[test]
fn one_restart_too_many_within_the_window_is_a_quarantine() {
    let mut bench = Bench::new(policy(Restart::Permanent));
    for _ in 0..5 {
        bench.on(Input::Ready(ONE));
        assert!(bench.end(End::Crashed).unwrap() < QUARANTINE);
    }
    bench.on(Input::Ready(ONE));
    assert_eq!(bench.on(Input::Ended(ONE, End::Crashed)), []);
    assert_eq!(bench.state(), State::Quarantined);
    // Each try that doesn't get ready doubles it.
    let mut lasted = Vec::new();
    for _ in 0..6 {
        let due = bench.machine.due().unwrap() - bench.now;
        lasted.push(due.as_secs());
        assert_eq!(bench.pass(due), [Effect::Start(ONE)]);
        assert_eq!(bench.state(), State::Restarting);
        assert_eq!(bench.on(Input::Ended(ONE, End::Crashed)), []);
        assert_eq!(bench.state(), State::Quarantined);
    }
    assert_eq!(lasted, [60, 120, 240, 480, 900, 900]);
}

#[test]
fn restarts_that_lie_far_apart_are_no_quarantine() {
    let mut bench = Bench::new(policy(Restart::Permanent));
    for _ in 0..50 {
        bench.on(Input::Ready(ONE));
        bench.pass(Duration::from_secs(13));
        assert!(bench.end(End::Crashed).is_some_and(|pause| pause <= LONGEST_PAUSE));
        assert_eq!(bench.state(), State::Restarting);
    }
}

#[test]
fn who_never_gets_ready_is_quarantined_however_slowly_it_fails() {
    let mut bench = Bench::new(policy(Restart::Permanent));
    for _ in 0..5 {
        bench.pass(Duration::from_secs(300));
        bench.end(End::Crashed).unwrap();
    }
    bench.pass(Duration::from_secs(300));
    bench.on(Input::Ended(ONE, End::Crashed));
    assert_eq!(bench.state(), State::Quarantined);
}

#[test]
fn to_be_ready_for_longer_than_the_window_makes_all_forgotten() {
    let mut bench = Bench::new(policy(Restart::Permanent));
    for _ in 0..5 {
        bench.on(Input::Ready(ONE));
        bench.end(End::Crashed).unwrap();
    }
    bench.on(Input::Ready(ONE));
    bench.pass(Duration::from_secs(61));
    for _ in 0..5 {
        bench.on(Input::Ended(ONE, End::Crashed));
        if let Some(due) = bench.machine.due() {
            let left = due - bench.now;
            bench.pass(left);
        }
        assert_eq!(bench.state(), State::Restarting);
        bench.on(Input::Ready(ONE));
    }
    bench.on(Input::Ended(ONE, End::Crashed));
    assert_eq!(bench.state(), State::Quarantined);
}

#[test]
fn restart_types_say_who_comes_back() {
    use End::{Crashed, Finished};
    use Restart::{Permanent, Temporary, Transient};
    let table = [
        (Permanent, Finished, true),
        (Permanent, Crashed, true),
        (Transient, Finished, false),
        (Transient, Crashed, true),
        (Temporary, Finished, false),
        (Temporary, Crashed, false),
    ];
    for (restart, end, comes_back) in table {
        let mut bench = Bench::new(policy(restart));
        bench.on(Input::Ready(ONE));
        assert_eq!(bench.end(end).is_some(), comes_back, "{restart:?} {end:?}");
        if !comes_back {
            assert_eq!(bench.state(), State::Disabled);
            assert_eq!(bench.pass(Duration::from_secs(86_400)), []);
            assert_eq!(bench.on(Input::Restart), [Effect::Start(ONE)]);
        }
    }
}

#[test]
fn a_lost_session_is_no_crash_unless_it_is_lost_at_once() {
    let mut bench = Bench::new(policy(Restart::Permanent));
    for _ in 0..100 {
        bench.on(Input::Ready(ONE));
        bench.pass(SETTLED);
        assert_eq!(bench.end(End::SessionLost), Some(Duration::ZERO));
    }
    for _ in 0..6 {
        bench.on(Input::Ready(ONE));
        let effects = bench.on(Input::Ended(ONE, End::SessionLost));
        if effects.is_empty() && bench.state() != State::Quarantined {
            let left = bench.machine.due().unwrap() - bench.now;
            bench.pass(left);
        }
    }
    assert_eq!(bench.state(), State::Quarantined);
}

#[test]
fn an_operator_s_restart_works_in_every_state() {
    let restart_and_ready = |bench: &mut Bench, effects: &[Effect]| {
        assert_eq!(bench.on(Input::Restart), effects);
        if effects == [Effect::Stop(ONE)] {
            assert_eq!(bench.state(), State::Restarting);
            assert_eq!(bench.on(Input::Restart), [], "it is under way");
            assert_eq!(bench.on(Input::Ended(ONE, End::Crashed)), [Effect::Start(ONE)]);
        }
        bench.on(Input::Ready(ONE));
        assert_eq!(bench.state(), State::Ready);
    };
    let mut bench = Bench::new(policy(Restart::Permanent));
    restart_and_ready(&mut bench, &[Effect::Stop(ONE)]);
    restart_and_ready(&mut bench, &[Effect::Stop(ONE)]);
    bench.end(End::Crashed).unwrap();
    bench.on(Input::Ended(ONE, End::Crashed));
    assert_eq!(bench.state(), State::Restarting);
    restart_and_ready(&mut bench, &[Effect::Start(ONE)]);
    while bench.state() != State::Quarantined {
        bench.on(Input::Ended(ONE, End::Crashed));
        if let Some(due) = bench.machine.due().filter(|_| bench.state() != State::Quarantined) {
            let left = due - bench.now;
            bench.pass(left);
        }
    }
    restart_and_ready(&mut bench, &[Effect::Start(ONE)]);
    assert_eq!(bench.end(End::Crashed), Some(Duration::ZERO), "nothing counts any more");
}

#[test]
fn some_of_several_are_a_degraded_upstream() {
    let two = MemberId(2);
    let mut bench = Bench::new(policy(Restart::Permanent));
    assert_eq!(bench.state(), State::Starting);
    bench.on(Input::Open(two));
    bench.on(Input::Ready(ONE));
    assert_eq!(bench.state(), State::Ready);
    bench.on(Input::Ready(two));
    bench.on(Input::Ended(two, End::Crashed));
    assert_eq!(bench.state(), State::Degraded);
    bench.on(Input::Ready(two));
    assert_eq!(bench.state(), State::Ready);
    assert_eq!(bench.on(Input::Close(two)), [Effect::Stop(two)]);
    assert_eq!(bench.on(Input::Close(two)), []);
    assert_eq!(bench.on(Input::Ended(two, End::Crashed)), [Effect::Forget(two)]);
    assert_eq!(bench.machine.members.keys().collect::<Vec<_>>(), [&ONE]);
}

#[test]
fn what_comes_on_demand_may_be_away() {
    let mut bench = Bench::new(Policy { on_demand: true, ..policy(Restart::Permanent) });
    assert_eq!(bench.state(), State::Starting);
    bench.on(Input::Ready(ONE));
    bench.on(Input::Close(ONE));
    bench.on(Input::Ended(ONE, End::Finished));
    assert_eq!(bench.state(), State::Ready);
    bench.on(Input::Open(MemberId(2)));
    assert_eq!(bench.state(), State::Ready);
    bench.on(Input::Ended(MemberId(2), End::Crashed));
    assert_eq!(bench.state(), State::Restarting);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Open,
    Ready,
    End(End),
    Restart,
    Close,
    Wait(u64),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let end = prop_oneof![Just(End::Finished), Just(End::Crashed), Just(End::SessionLost)];
    let step = prop_oneof![
        1 => Just(Step::Open),
        4 => Just(Step::Ready),
        6 => end.prop_map(Step::End),
        1 => Just(Step::Restart),
        1 => Just(Step::Close),
        4 => (0_u64..100_000).prop_map(Step::Wait),
    ];
    (0_u64..3, step)
}

proptest! {
    /// Whatever happens: a member has one instance at most, what has ended by itself and may come
    /// back is waited for, and what is stopped gets its end noticed.
    #[test]
    fn no_member_starts_twice_and_none_is_forgotten(
        steps in prop::collection::vec(step(), 0..200),
        jitter in 0.0..1.0_f64,
        max_restarts in 0_u32..4,
    ) {
        let restart = Restart::Permanent;
        let policy = Policy { max_restarts, ..policy(restart) };
        let (mut machine, mut now) = (Machine::new(policy), Duration::ZERO);
        let mut running: BTreeMap<MemberId, bool> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (id, step) in steps {
            let id = MemberId(id);
            let input = match step {
                Step::Open => { known.insert(id); Input::Open(id) }
                Step::Ready if running.contains_key(&id) => Input::Ready(id),
                Step::End(end) if running.remove(&id).is_some() => Input::Ended(id, end),
                Step::Restart => Input::Restart,
                Step::Close => Input::Close(id),
                Step::Wait(ms) => { now += Duration::from_millis(ms); Input::Tick }
                Step::Ready | Step::End(_) => continue,
            };
            for effect in machine.on(input, now, jitter) {
                match effect {
                    Effect::Start(id) => {
                        prop_assert!(running.insert(id, false).is_none(), "two of {id:?}");
                    }
                    Effect::Stop(id) => {
                        prop_assert_eq!(running.insert(id, true), Some(false), "stopped twice");
                    }
                    Effect::Forget(id) => {
                        prop_assert!(!running.contains_key(&id));
                        known.remove(&id);
                    }
                }
            }
            let members: BTreeSet<_> = machine.members.keys().copied().collect();
            prop_assert_eq!(members, known.clone());
            let idle = known.iter().any(|id| !running.contains_key(id));
            prop_assert_eq!(machine.due().is_some(), idle, "who doesn't run is waited for");
            prop_assert!(machine.due().is_none_or(|due| due <= now + LONGEST_QUARANTINE));
        }
    }

    #[test]
    fn pauses_grow_and_are_bounded(before in 0_u32..100, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
        let (first, second) = (pause(before, a), pause(before + 1, b));
        prop_assert!(second <= LONGEST_PAUSE);
        prop_assert!(first <= second || first > LONGEST_PAUSE / 2);
        prop_assert!(quarantine(before) <= quarantine(before + 1));
    }
}
