//! Who is alive, kept by the workers themselves: they enter when they start, and are taken out
//! when their state is dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use supervisors::{Context, Event, Observer};
use tokio::time::Instant;

use super::plan::Nature;

/// How long a state may take to be dropped, without an await.
const BLOCKED: Duration = Duration::from_millis(2);

/// What a worker can be told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cmd {
    Error,
    Panic,
    Normal,
    Shutdown,
    /// Deaf from now on; only a kill ends it.
    Hang,
    /// An actor kills itself.
    KillMyself,
    /// An actor kills its supervisor, as nothing in the tree's own interface would.
    KillSupervisor,
    /// Keeps its thread busy without an await; for runtimes with several threads.
    Block(Duration),
}

/// How a start goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Error,
    Panic,
    Ignore,
    Slow(Duration),
    SlowError(Duration),
    SlowPanic,
    /// The worker runs, but its start function goes on for a while.
    Late(Duration),
    /// Never done: the start's time limit has to end it.
    Hang,
}

/// Why a child that should run may have been left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// It ended with `normal` or `shutdown`.
    Orderly,
    /// Somebody called.
    Api,
    /// A caller went away before the answer, so what came of it is not known.
    Unknown,
    /// Its start function did not want to.
    Ignored,
    /// A supervisor that reached its intensity.
    GaveUp,
}

type Poke = Box<dyn Fn(Cmd) + Send + Sync>;

struct Line {
    poke: Option<Poke>,
    kill: Option<Box<dyn Fn() + Send + Sync>>,
    nature: Nature,
    /// It was told or asked to end, and so need not be surprised.
    warned: bool,
}

#[derive(Default)]
struct Book {
    alive: BTreeMap<String, Line>,
    /// How often each worker has started.
    entered: BTreeMap<String, u32>,
    /// How many of its starts went wrong.
    faulted: BTreeMap<String, u32>,
    left: Vec<String>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    excuses: BTreeMap<String, BTreeSet<Excuse>>,
    /// Each supervisor's restarts and failed restarts.
    restarts: BTreeMap<String, Vec<Instant>>,
    /// Children that some call was about, at any time.
    called: BTreeSet<String>,
    /// Children whose start has failed, by their supervisor.
    unstarted: BTreeMap<String, BTreeSet<String>>,
    gave_up: Vec<(String, Instant)>,
    /// Supervisors that were killed by a worker, or by the storm.
    killed: BTreeSet<String>,
    /// Workers that are only ever asked to end, however long it takes.
    gentle: BTreeSet<String>,
    /// There are several threads, so that one may be blocked.
    threads: bool,
    violations: Vec<String>,
    /// What happened, for whoever has to find out why.
    history: Vec<(Instant, String)>,
}

impl Book {
    fn note(&mut self, what: String) {
        self.history.push((Instant::now(), what));
    }
}

/// Shared by all workers of one storm.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A worker begins. A second one under the same name is the worst thing there is.
    ///
    /// One that is `late` may be gone with its start, whose time is limited.
    pub(crate) fn enter(&self, path: &str, nature: Nature, late: bool) -> Entry {
        let mut book = self.book();
        if book.alive.contains_key(path) {
            book.violations.push(format!("{path} is alive twice"));
        }
        book.alive.insert(path.into(), Line { poke: None, kill: None, nature, warned: late });
        *book.entered.entry(path.into()).or_default() += 1;
        book.note(format!("{path} starts"));
        if let Some(excuses) = book.excuses.get_mut(path).filter(|_| !late) {
            excuses.retain(|excuse| *excuse == Excuse::Unknown);
        }
        let drop_blocks = nature.drop_blocks && book.threads;
        let drop_panics = nature.drop_panics;
        Entry { ledger: self.clone(), path: path.into(), drop_panics, drop_blocks }
    }

    /// How to reach a worker that has entered.
    pub(crate) fn reach(&self, path: &str, poke: Poke) {
        if let Some(line) = self.book().alive.get_mut(path) {
            line.poke = Some(poke);
        }
    }

    pub(crate) fn reach_kill(&self, path: &str, kill: Box<dyn Fn() + Send + Sync>) {
        if let Some(line) = self.book().alive.get_mut(path) {
            line.kill = Some(kill);
        }
    }

    /// Who may only be asked to end, and whether there are several threads.
    pub(crate) fn set_up(&self, gentle: BTreeSet<String>, threads: bool) {
        let mut book = self.book();
        (book.gentle, book.threads) = (gentle, threads);
    }

    pub(crate) fn alive(&self) -> Vec<String> {
        self.book().alive.keys().cloned().collect()
    }

    pub(crate) fn is_alive(&self, path: &str) -> bool {
        self.book().alive.contains_key(path)
    }

    /// How often a worker has started, or failed to.
    pub(crate) fn tried(&self, path: &str) -> u32 {
        let book = self.book();
        let number = |of: &BTreeMap<String, u32>| of.get(path).copied().unwrap_or_default();
        number(&book.entered) + number(&book.faulted)
    }

    /// Tells the `pick`-th living worker; its name, if there is one that can do that.
    pub(crate) fn poke(&self, pick: u64, cmd: Cmd) -> Option<String> {
        let book = self.book();
        let fit = |line: &Line| {
            line.poke.is_some() && (line.nature.may_hang || !matches!(cmd, Cmd::Hang))
        };
        let lines: Vec<_> = book.alive.iter().filter(|(_, line)| fit(line)).collect();
        let at = usize::try_from(pick).unwrap().checked_rem(lines.len())?;
        let (path, line) = lines[at];
        line.poke.as_ref()?(cmd);
        Some(path.clone())
    }

    /// Kills the `pick`-th living worker that can be killed from outside.
    pub(crate) fn kill(&self, pick: u64) -> Option<String> {
        let mut book = self.book();
        let lines: Vec<_> = book.alive.iter().filter(|(_, line)| line.kill.is_some()).collect();
        let at = usize::try_from(pick).unwrap().checked_rem(lines.len())?;
        let (path, line) = lines[at];
        line.kill.as_ref()?();
        let path = path.clone();
        drop(lines);
        warn(&mut book, &path);
        Some(path)
    }

    /// How the next start of this worker goes wrong, if it does.
    pub(crate) fn next_fault(&self, path: &str) -> Option<Fault> {
        let book = &mut *self.book();
        let fault = book.faults.get_mut(path)?.pop_front()?;
        *book.faulted.entry(path.into()).or_default() += 1;
        book.note(format!("{path} fails to start: {fault:?}"));
        Some(fault)
    }

    pub(crate) fn plan_faults(&self, path: &str, fault: Fault, times: u64) {
        let mut book = self.book();
        let faults = book.faults.entry(path.into()).or_default();
        faults.extend((0..times).map(|_| fault));
    }

    /// From now on starts succeed.
    pub(crate) fn heal(&self) {
        self.book().faults.clear();
    }

    pub(crate) fn excuse(&self, path: &str, excuse: Excuse) {
        let mut book = self.book();
        if matches!(excuse, Excuse::Api | Excuse::Unknown) {
            book.called.insert(path.into());
        }
        book.excuses.entry(path.into()).or_default().insert(excuse);
    }

    pub(crate) fn excuses(&self, path: &str) -> BTreeSet<Excuse> {
        self.book().excuses.get(path).cloned().unwrap_or_default()
    }

    /// Whether the start of one of this supervisor's children failed and a call then stopped it.
    pub(crate) fn gave_up_start(&self, supervisor: &str) -> bool {
        let book = self.book();
        let mut unstarted = book.unstarted.get(supervisor).into_iter().flatten();
        unstarted.any(|path| book.called.contains(path))
    }

    pub(crate) fn note_kill(&self, supervisor: &str) {
        self.book().killed.insert(supervisor.into());
    }

    pub(crate) fn was_killed(&self, supervisor: &str) -> bool {
        self.book().killed.contains(supervisor)
    }

    pub(crate) fn gave_up(&self) -> Vec<(String, Instant)> {
        self.book().gave_up.clone()
    }

    /// The restarts that were asked of a supervisor within `window` before `end`.
    pub(crate) fn restarts(&self, supervisor: &str, end: Instant, window: Duration) -> usize {
        let book = self.book();
        let times = book.restarts.get(supervisor).into_iter().flatten();
        times.filter(|at| **at <= end && end.duration_since(**at) <= window).count()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.book().violations.clone()
    }

    pub(crate) fn note(&self, what: String) {
        self.book().note(what);
    }

    /// Everything that happened, a line each.
    pub(crate) fn history(&self) -> String {
        let book = self.book();
        let Some((first, _)) = book.history.first() else { return String::new() };
        let line = |(at, what): &(Instant, String)| format!("{:?} {what}\n", *at - *first);
        book.history.iter().map(line).collect()
    }

    /// Forgets who left so far, and later tells who left since, in that order.
    pub(crate) fn take_left(&self) -> Vec<String> {
        std::mem::take(&mut self.book().left)
    }
}

impl Observer for Ledger {
    fn on_event(&self, event: &Event<'_>) {
        let mut book = self.book();
        let supervisor = event.supervisor.to_owned();
        let Event { child, context, reason, .. } = event;
        book.note(format!("{supervisor} reports {context:?} of {child}: {reason}"));
        match event.context {
            Context::Progress { .. } => {
                // A supervisor as a child is running again. What is not known stays unknown, and
                // its own giving up may be heard before its parent tells of its start.
                let child = format!("{supervisor}/{}", event.child);
                if let Some(excuses) = book.excuses.get_mut(&child) {
                    excuses.remove(&Excuse::Api);
                }
            }
            Context::ChildTerminated { restart: true } | Context::StartError => {
                if *context == Context::StartError {
                    let path = format!("{supervisor}/{child}");
                    book.unstarted.entry(supervisor.clone()).or_default().insert(path);
                }
                book.restarts.entry(supervisor).or_default().push(Instant::now());
            }
            Context::GaveUp => {
                book.gave_up.push((supervisor.clone(), Instant::now()));
                book.excuses.entry(supervisor).or_default().insert(Excuse::GaveUp);
            }
            Context::Zombie => {
                let what = format!("{supervisor}/{}: called a zombie", event.child);
                book.violations.push(what);
            }
            _ => {}
        }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn warn(book: &mut Book, path: &str) {
    if let Some(line) = book.alive.get_mut(path) {
        line.warned = true;
    }
}

/// A worker's place in the ledger, dropped with its state.
pub(crate) struct Entry {
    ledger: Ledger,
    pub(crate) path: String,
    drop_panics: bool,
    drop_blocks: bool,
}

impl Entry {
    /// The worker was asked or told to end, or is about to end for a reason of its own.
    pub(crate) fn warned(&self) {
        warn(&mut self.ledger.book(), &self.path);
    }

    /// The worker is about to end in an orderly way, and is not asked to.
    pub(crate) fn ends_orderly(&self) {
        self.ledger.excuse(&self.path, Excuse::Orderly);
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.drop_blocks {
            // Whoever this thread has woken last waits for it; this one takes that place, so that
            // a supervisor that was told too early is run by another thread meanwhile.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                drop(runtime.spawn(async {}));
            }
            std::thread::sleep(BLOCKED);
        }
        let line = {
            let mut book = self.ledger.book();
            book.note(format!("{} is gone", self.path));
            book.left.push(self.path.clone());
            let line = book.alive.remove(&self.path);
            let surprised = line.as_ref().is_some_and(|line| !line.warned);
            let killed = book.killed.iter().any(|above| is_below(&self.path, above));
            if surprised && !killed && book.gentle.contains(&self.path) {
                book.violations.push(format!("{} was killed, and should be asked", self.path));
            }
            line
        };
        // Its senders may own more than this ledger should lock for.
        drop(line);
        assert!(
            !self.drop_panics || std::thread::panicking(),
            "chaos: {} panics while it is dropped",
            self.path
        );
    }
}
