//! Commands as process trees, and the wires to them: with real processes, which misbehave.

mod ends;
mod floods;
mod holder;
mod orphans;
mod starts;
mod stops;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use erlmcp::protocol::Incoming;
use erlmcp::provider::upstream::process::{
    Launcher, MESSAGE_LIMIT_BYTES, Settings, StartError, Vitals, open,
};
use erlmcp::provider::upstream::spec::Command;
use erlmcp::provider::upstream::{Closing, Failure, Inbox, Order, Tail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::{until, within};

/// Longer than any of these tests takes: who stops by it hangs.
const LONG: Duration = Duration::from_secs(600);
/// Long enough for a shell to notice that it has to stop.
const SHORT: Duration = Duration::from_millis(600);

/// What came over the wire.
#[derive(Default)]
struct Mail(Mutex<Vec<String>>);

impl Inbox for Mail {
    fn message(&self, message: Incoming, _: Option<u64>) {
        let told = match message {
            Incoming::Request(request) => format!("asks {}", request.method),
            Incoming::Notification(told) => format!("tells {}", told.method),
            Incoming::Response { id, outcome } => {
                format!("answers {} {}", id.unwrap(), outcome.unwrap().get())
            }
        };
        self.0.lock().unwrap().push(told);
    }

    fn failed(&self, id: u64, failure: Failure) {
        self.0.lock().unwrap().push(format!("fails {id}: {failure}"));
    }
}

impl Mail {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn has(&self, what: &str) {
        until(|| self.0.lock().unwrap().iter().any(|mail| mail == what)).await;
    }
}

/// How children are started: with a holder, and without.
fn launchers() -> [Launcher; 2] {
    [held(), Launcher::none(&environment())]
}

fn held() -> Launcher {
    Launcher::at(crate::process::PROGRAM, &environment())
}

fn environment() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

/// A running child.
struct Child {
    orders: mpsc::Sender<Order>,
    work: JoinSet<Closing>,
    mail: Arc<Mail>,
    tail: Tail,
    vitals: Vitals,
}

impl Child {
    /// A shell that runs this script.
    fn shell(launcher: &Launcher, shutdown: Duration, script: &str) -> Self {
        let args = vec!["-c".to_owned(), script.to_owned()];
        let command = Command { program: "sh".to_owned(), args, ..Command::default() };
        Self::start(launcher, shutdown, &command).unwrap()
    }

    fn start(
        launcher: &Launcher,
        shutdown: Duration,
        command: &Command,
    ) -> Result<Self, StartError> {
        let (mail, tail) = (Arc::new(Mail::default()), Tail::default());
        let message_limit_bytes = MESSAGE_LIMIT_BYTES;
        let settings = Settings { name: "child".to_owned(), shutdown, message_limit_bytes };
        let (wire, vitals) = open(settings, command, launcher, tail.clone(), mail.clone())?;
        let mut work = JoinSet::new();
        work.spawn(wire.work);
        Ok(Self { orders: wire.orders, work, mail, tail, vitals })
    }

    async fn order(&self, text: &str) {
        self.orders.send(Order::Message(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
    }

    /// How it ended by itself.
    async fn ended(&mut self) -> Closing {
        within(self.work.join_next()).await.unwrap().unwrap()
    }

    /// Gives no orders any more; how it ended.
    async fn stop(mut self) -> Closing {
        drop(self.orders);
        within(self.work.join_next()).await.unwrap().unwrap()
    }

    /// Process ids that it told on standard error, so many of them, as `pid N`.
    async fn pids(&self, count: usize) -> Vec<u32> {
        let read = || -> Vec<u32> {
            let lines = self.tail.last(usize::MAX);
            lines.iter().filter_map(|line| line.strip_prefix("pid ")?.trim().parse().ok()).collect()
        };
        until(|| read().len() == count).await;
        read()
    }

    async fn says(&self, line: &str) {
        until(|| self.tail.last(usize::MAX).iter().any(|said| said == line)).await;
    }
}

/// Whether there is such a process, be it a zombie.
fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn all_gone(pids: &[u32]) -> bool {
    !pids.iter().copied().any(exists)
}

fn send(signal: &str, pid: u32) {
    let done = std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(done.unwrap().success());
}

fn parent(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let ids = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    ids.split_whitespace().map(|id| id.parse().unwrap()).collect()
}
