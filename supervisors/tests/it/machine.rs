//! The machines by hand: what no script can show, since it needs a clock, a race or a zombie.

use std::time::Duration;

use supervisors::machine::{
    ChildError, ChildKey, Context, Done, Dynamic, DynamicCall, Effect, Fixed, FixedCall, Input,
    Machine, Outcome,
};
use supervisors::{
    Backoff, ChildState, ChildType, ExitReason, Flags, Intensity, Restart, Shutdown, SpecInfo,
    Strategy,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn flags(restarts: u32) -> Flags {
    Flags {
        intensity: Intensity { restarts, period: ms(1000) },
        kill_grace: ms(500),
        ..Flags::new(Strategy::OneForOne)
    }
}

fn spec(id: &str, restart: Restart) -> SpecInfo {
    SpecInfo {
        restart,
        shutdown: Shutdown::Timeout(ms(100)),
        ..SpecInfo::new(id, ChildType::Worker)
    }
}

/// A machine, with a world that starts every child at once and otherwise does nothing.
struct Bench<M: Machine> {
    machine: M,
    at: Duration,
    runs: Vec<(ChildKey, u32)>,
    log: Vec<String>,
    fail_starts: bool,
}

impl<M: Machine<Reply = &'static str>> Bench<M> {
    fn new(machine: M) -> Self {
        let mut bench =
            Self { machine, at: ms(0), runs: Vec::new(), log: Vec::new(), fail_starts: false };
        bench.feed(Input::Boot);
        bench.log.clear();
        bench
    }

    fn feed(&mut self, input: Input<M::Call>) {
        self.machine.handle(self.at, input);
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Start { key, run } => {
                    self.log.push(format!("start {run}"));
                    self.runs.push((key, run));
                    let outcome = match self.fail_starts {
                        true => Outcome::Failed(ExitReason::error("nope")),
                        false => Outcome::Running,
                    };
                    self.machine.handle(self.at, Input::Started { key, run, outcome });
                }
                Effect::Shutdown(_) => self.log.push("shutdown".into()),
                Effect::Kill(_) => self.log.push("kill".into()),
                Effect::Retry { .. } => self.log.push("retry".into()),
                Effect::Report(report) => match report.context {
                    Context::Progress { .. } => {}
                    context => self.log.push(format!("{context:?}")),
                },
                Effect::Reply(call, answer) => self.log.push(format!("{call}: {answer:?}")),
                Effect::Exit(reason) => self.log.push(format!("exit {reason}")),
                Effect::Changed(_) | Effect::Reconfigured { .. } | Effect::Booted(_) => {}
            }
        }
    }

    /// The `n`-th run that was started ends.
    fn end(&mut self, n: usize, reason: ExitReason) {
        let (key, run) = self.runs[n];
        self.feed(Input::Exited { key, run, reason });
    }

    fn tick(&mut self, at: Duration) {
        self.at = at;
        self.feed(Input::Tick);
    }

    fn took(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

fn fixed(flags: Flags, specs: &[(&str, Restart)]) -> Bench<Fixed<(), &'static str>> {
    let specs = specs.iter().map(|&(id, restart)| (spec(id, restart), ())).collect();
    Bench::new(Fixed::new(flags, specs, 7).unwrap())
}

fn dynamic(flags: Flags, own: Option<Intensity>) -> Bench<Dynamic<u32, &'static str>> {
    let template = spec("session", Restart::Permanent);
    let copy = |argument: &u32| *argument;
    Bench::new(Dynamic::new(flags, template, own, Some(copy), 7).unwrap())
}

#[test]
fn an_exit_of_an_earlier_run_is_no_news() {
    let mut bench = fixed(flags(5), &[("a", Restart::Permanent)]);
    bench.end(0, ExitReason::error("x"));
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "start 2"]);
    bench.end(0, ExitReason::error("x"));
    assert_eq!(bench.took(), [""; 0], "run 1 ended before");
    bench.end(1, ExitReason::error("x"));
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "start 3"]);
}

#[test]
fn the_window_is_as_long_as_it_says() {
    let mut bench = fixed(flags(1), &[("a", Restart::Permanent)]);
    for (run, at) in [(0, 0), (1, 1001), (2, 2002)] {
        bench.at = ms(at);
        bench.end(run, ExitReason::Killed);
        assert_eq!(bench.took().last().unwrap(), &format!("start {}", run + 2));
    }
    bench.at = ms(3002);
    bench.end(3, ExitReason::Killed);
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "GaveUp", "exit shutdown"]);
}

#[test]
fn who_does_not_obey_is_killed_and_who_survives_that_is_let_go() {
    let mut bench = fixed(flags(1), &[("a", Restart::Permanent)]);
    bench.feed(Input::Call(FixedCall::Terminate("a".into(), "terminate")));
    assert_eq!(bench.took(), ["shutdown"]);
    assert_eq!(bench.machine.deadline(), Some(ms(100)));
    bench.tick(ms(99));
    assert_eq!(bench.took(), [""; 0]);
    bench.tick(ms(100));
    assert_eq!(bench.took(), ["kill"]);
    assert_eq!(bench.machine.deadline(), Some(ms(600)));
    bench.tick(ms(600));
    assert_eq!(bench.took(), ["Zombie", "ShutdownError", "terminate: Ok(Ok)"]);
    bench.end(0, ExitReason::Killed);
    assert_eq!(bench.took(), [""; 0], "the zombie's late end is no news");
    let child = bench.machine.find(&"a".into()).unwrap();
    assert_eq!(child.state, ChildState::Stopped);
}

#[test]
fn calls_wait_while_a_child_is_stopped_and_keep_their_order() {
    let mut bench = fixed(flags(1), &[("a", Restart::Permanent), ("b", Restart::Temporary)]);
    bench.feed(Input::Call(FixedCall::Terminate("a".into(), "first")));
    bench.feed(Input::Call(FixedCall::Restart("a".into(), "second")));
    bench.feed(Input::Call(FixedCall::Delete("b".into(), "third")));
    assert_eq!(bench.took(), ["shutdown"]);
    bench.end(0, ExitReason::Shutdown);
    let log = bench.took();
    assert_eq!(log[0], "first: Ok(Ok)");
    assert_eq!(log[1], "start 2");
    assert!(log[2].starts_with("second: Ok(Running"), "{log:?}");
    assert_eq!(log[3], format!("third: {:?}", Err::<Done, _>(ChildError::Running)));
}

#[test]
fn a_failed_restart_is_retried_behind_what_is_queued() {
    let mut bench = fixed(flags(5), &[("a", Restart::Permanent)]);
    bench.fail_starts = true;
    bench.end(0, ExitReason::Killed);
    let failed = ["ChildTerminated { restart: true }", "start 2", "StartError", "retry"];
    assert_eq!(bench.took(), failed);
    // A call that was queued before the retry cancels it.
    bench.feed(Input::Call(FixedCall::Terminate("a".into(), "terminate")));
    let (key, run) = bench.runs[1];
    bench.feed(Input::Retry { key, run });
    assert_eq!(bench.took(), ["terminate: Ok(Ok)"]);
}

#[test]
fn pauses_grow_and_can_be_cancelled() {
    let backoff = Backoff { initial: ms(10), jitter: 0.0, ..Backoff::default() };
    let patient = Flags { backoff: Some(backoff), ..flags(9) };
    let mut bench = fixed(patient, &[("a", Restart::Permanent)]);
    bench.end(0, ExitReason::Killed);
    assert_eq!(bench.machine.deadline(), Some(ms(10)));
    bench.tick(ms(9));
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }"]);
    bench.tick(ms(10));
    assert_eq!(bench.took(), ["start 2"]);
    bench.fail_starts = true;
    bench.end(1, ExitReason::Killed);
    bench.tick(ms(30));
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "start 3", "StartError"]);
    assert_eq!(bench.machine.deadline(), Some(ms(70)));
    bench.feed(Input::Call(FixedCall::Terminate("a".into(), "terminate")));
    bench.tick(ms(70));
    assert_eq!(bench.took(), ["terminate: Ok(Ok)"]);
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn one_churning_child_does_not_spend_its_siblings_budget() {
    let own = Intensity { restarts: 1, period: ms(1000) };
    let mut bench = dynamic(flags(0), Some(own));
    bench.feed(Input::Call(DynamicCall::Start(1, "one")));
    bench.feed(Input::Call(DynamicCall::Start(2, "two")));
    bench.took();
    bench.end(0, ExitReason::Killed);
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "start 2"]);
    bench.end(2, ExitReason::Killed);
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "ChildGaveUp"]);
    assert_eq!(bench.machine.counts().workers, 1);
    bench.end(1, ExitReason::Killed);
    assert_eq!(bench.took(), ["ChildTerminated { restart: true }", "start 2"]);
}

#[test]
fn dynamic_children_share_one_time_to_stop() {
    let mut bench = dynamic(flags(1), None);
    for argument in 0..3 {
        bench.feed(Input::Call(DynamicCall::Start(argument, "start")));
    }
    bench.took();
    bench.feed(Input::Stop(ExitReason::Shutdown));
    assert_eq!(bench.took(), ["shutdown"; 3]);
    bench.end(1, ExitReason::Shutdown);
    bench.tick(ms(100));
    assert_eq!(bench.took(), ["kill"; 2]);
    bench.end(0, ExitReason::Killed);
    bench.tick(ms(600));
    assert_eq!(bench.took(), ["Zombie", "ShutdownError", "ShutdownError", "exit shutdown"]);
}

#[test]
fn keys_are_known_only_where_they_were_given_out() {
    let mut here = dynamic(flags(1), None);
    let mut there = dynamic(flags(1), None);
    here.feed(Input::Call(DynamicCall::Start(1, "start")));
    there.feed(Input::Call(DynamicCall::Start(1, "start")));
    let (key, _) = here.runs[0];
    there.took();
    there.feed(Input::Call(DynamicCall::Terminate(key, "foreign")));
    assert_eq!(there.took(), ["foreign: Err(NotFound)"]);
    here.took();
    here.feed(Input::Call(DynamicCall::Terminate(key, "own")));
    here.end(0, ExitReason::Shutdown);
    here.feed(Input::Call(DynamicCall::Terminate(key, "again")));
    assert_eq!(here.took(), ["shutdown", "own: Ok(Ok)", "again: Ok(Ok)"]);
}
