//! Bytes per idle child: the growth of the resident set of a fresh process per figure, since a
//! process that has measured before would find its memory there already.

use std::future::pending;
use std::process::Command;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{ChildSpec, DynamicSupervisor, Restart, Strategy, Supervisor};
use tokio::task::JoinSet;

use crate::children::Kind;
use crate::pool::Shape;

/// The argument that makes a process measure one figure and print it.
pub(crate) const FLAG: &str = "--bytes-per-child";

/// Has the figure measured by another process; `None` where the system does not tell.
pub(crate) fn bytes_per_child(shape: Shape, kind: Kind, children: usize) -> Option<f64> {
    let itself = std::env::current_exe().ok()?;
    let children = children.to_string();
    let arguments = [FLAG, shape.name(), kind.name(), &children];
    let output = Command::new(itself).args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// In the other process: measures, and gives the text to print.
pub(crate) async fn measure(arguments: &[String]) -> Option<String> {
    let [shape, kind, children] = arguments else { return None };
    let children: usize = children.parse().ok()?;
    let kind = Kind::ALL.into_iter().find(|of| of.name() == kind)?;
    let grown = match (shape.as_str(), kind) {
        ("dynamic", _) => dynamic(kind, children).await?,
        ("one_for_one", _) => one_for_one(kind, children).await?,
        (_, Kind::Task) => {
            let before = resident_bytes()?;
            let mut tasks = JoinSet::new();
            for _ in 0..children {
                tasks.spawn(pending::<()>());
            }
            resident_bytes()?.checked_sub(before)?
        }
        (_, Kind::Actor) => {
            let before = resident_bytes()?;
            let mut actors = Vec::new();
            for _ in 0..children {
                actors.push(Actor::spawn(None, Idle, ()).await.ok()?.0);
            }
            resident_bytes()?.checked_sub(before)?
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "no such process has 2^53 bytes")]
    Some(format!("{:.0}", grown as f64 / children as f64))
}

async fn dynamic(kind: Kind, children: usize) -> Option<usize> {
    let supervisor = match kind {
        Kind::Task => DynamicSupervisor::new("child", |_: usize, link| {
            std::future::ready(link.task(pending::<()>()))
        }),
        Kind::Actor => DynamicSupervisor::new("child", |_: usize, link| async {
            link.actor(Idle, ()).await.map(|child| child.map(drop))
        }),
    };
    let root = supervisor.restart(Restart::Permanent).start().await.ok()?;
    let before = resident_bytes()?;
    for index in 0..children {
        root.start_child(index).await.ok()?;
    }
    resident_bytes()?.checked_sub(before)
}

/// The specifications are counted too.
async fn one_for_one(kind: Kind, children: usize) -> Option<usize> {
    let root = Supervisor::new(Strategy::OneForOne).start().await.ok()?;
    let before = resident_bytes()?;
    for index in 0..children {
        let id = index.to_string();
        let started = match kind {
            Kind::Task => root.start_child(ChildSpec::task(id, pending::<()>)).await.map(drop),
            Kind::Actor => root.start_child(ChildSpec::actor(id, || (Idle, ()))).await.map(drop),
        };
        started.ok()?;
    }
    resident_bytes()?.checked_sub(before)
}

fn resident_bytes() -> Option<usize> {
    // Unlike the counters of /proc/self/statm these are exact, and in a known unit.
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}

struct Idle;

impl Actor for Idle {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
