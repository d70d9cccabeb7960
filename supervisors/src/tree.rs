//! The whole tree at a glance: a board that each supervisor keeps, and its picture.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::exit::ExitReason;
use crate::machine::{ChildInfo, ChildKey, ChildState, Counts};
use crate::policy::{ChildId, ChildType};

/// What a supervisor shows of itself. It is written with each change, in constant time, and read
/// without asking the supervisor, so that a look at the tree costs the tree nothing and works
/// also while a supervisor is busy.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Sheet>);

#[derive(Debug)]
struct Sheet {
    name: Arc<str>,
    strategy: &'static str,
    ended: Option<ExitReason>,
    counts: Counts,
    restarts: u64,
    zombies: usize,
    children: HashMap<ChildKey, Line>,
    /// Numbers the lines, since the table has no order.
    next: u64,
}

#[derive(Debug)]
struct Line {
    order: u64,
    info: ChildInfo,
    restarts: u64,
    below: Option<Arc<Board>>,
}

impl Board {
    pub(crate) fn new(name: Arc<str>, strategy: &'static str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Sheet {
            name,
            strategy,
            ended: None,
            counts: Counts::default(),
            restarts: 0,
            zombies: 0,
            children: HashMap::new(),
            next: 0,
        })))
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        // What a panicking writer left is still the best picture there is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child's entry changed, or went.
    pub(crate) fn set(&self, key: ChildKey, info: Option<ChildInfo>) {
        let sheet = &mut *self.sheet();
        let Some(info) = info else {
            sheet.children.remove(&key);
            return;
        };
        if let Some(line) = sheet.children.get_mut(&key) {
            if info.state == ChildState::Starting {
                // What it was before is over; if it is a supervisor, it attaches itself anew.
                line.below = None;
            }
            line.info = info;
            return;
        }
        let line = Line { order: sheet.next, info, restarts: 0, below: None };
        sheet.next += 1;
        sheet.children.insert(key, line);
    }

    pub(crate) fn count(&self, counts: Counts, zombies: usize) {
        let mut sheet = self.sheet();
        sheet.counts = counts;
        sheet.zombies = zombies;
    }

    pub(crate) fn restarted(&self, key: ChildKey) {
        let mut sheet = self.sheet();
        sheet.restarts += 1;
        if let Some(line) = sheet.children.get_mut(&key) {
            line.restarts += 1;
        }
    }

    /// A supervisor was started as this child.
    pub(crate) fn attach(&self, key: ChildKey, below: Arc<Self>) {
        if let Some(line) = self.sheet().children.get_mut(&key) {
            line.below = Some(below);
        }
    }

    /// The supervisor was reconfigured.
    pub(crate) fn arrange(&self, strategy: &'static str, order: &[ChildKey]) {
        let sheet = &mut *self.sheet();
        sheet.strategy = strategy;
        for key in order {
            if let Some(line) = sheet.children.get_mut(key) {
                line.order = sheet.next;
                sheet.next += 1;
            }
        }
    }

    /// The supervisor has ended; the first reason is the one.
    pub(crate) fn close(&self, reason: ExitReason) {
        self.sheet().ended.get_or_insert(reason);
    }

    pub(crate) fn tree(&self) -> Tree {
        let (mut lines, mut tree) = {
            let sheet = self.sheet();
            // Only this is done under the lock, for which the supervisor may wait.
            let lines: Vec<_> = sheet.children.values().map(Line::node).collect();
            (lines, Tree::of(&sheet))
        };
        lines.sort_unstable_by_key(|(order, ..)| *order);
        tree.children = lines
            .into_iter()
            .map(|(_, node, below)| Node { tree: below.map(|below| below.tree()), ..node })
            .collect();
        tree
    }
}

impl Line {
    /// Its place, the node without what is below it, and that.
    fn node(&self) -> (u64, Node, Option<Arc<Board>>) {
        let running = self.info.state == ChildState::Running;
        let node = Node {
            id: self.info.id.clone(),
            child_type: self.info.child_type,
            state: self.info.state,
            restarts: self.restarts,
            tree: None,
        };
        (self.order, node, self.below.clone().filter(|_| running))
    }
}

/// A supervisor and everything below it, as it was at one moment. Beyond OTP, where one asks
/// each supervisor in turn.
///
/// `Display` draws it as text, `serde` turns it into JSON.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Tree {
    /// The supervisor's path from the root.
    pub name: Arc<str>,
    /// `one_for_one`, `one_for_all`, `rest_for_one` or `simple_one_for_one`.
    pub strategy: &'static str,
    /// Why it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<ExitReason>,
    /// How many children it has.
    pub counts: Counts,
    /// How often its children were restarted since it started.
    pub restarts: u64,
    /// Children that were killed and go on.
    pub zombies: usize,
    /// Its children in start order; a dynamic supervisor shows only their number.
    pub children: Vec<Node>,
}

/// A child in a [`Tree`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Node {
    /// Its name.
    pub id: ChildId,
    /// Worker or supervisor.
    pub child_type: ChildType,
    /// Where it is in its life.
    pub state: ChildState,
    /// How often it was restarted since its supervisor started.
    pub restarts: u64,
    /// What is below it, where it is a supervisor that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        write!(f, "{name}  {}", Summary(self))?;
        self.draw_children(f, "")
    }
}

impl Tree {
    fn of(sheet: &Sheet) -> Self {
        Self {
            name: sheet.name.clone(),
            strategy: sheet.strategy,
            ended: sheet.ended.clone(),
            counts: sheet.counts,
            restarts: sheet.restarts,
            zombies: sheet.zombies,
            children: Vec::new(),
        }
    }

    fn draw_children(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        for (at, child) in self.children.iter().enumerate() {
            let last = at + 1 == self.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            write!(f, "\n{indent}{branch}{}  {}", child.id, child.state)?;
            if child.restarts > 0 {
                write!(f, ", restarts {}", child.restarts)?;
            }
            if let Some(tree) = &child.tree {
                write!(f, "  {}", Summary(tree))?;
                tree.draw_children(f, &format!("{indent}{below}"))?;
            }
        }
        Ok(())
    }
}

/// A supervisor's own line.
struct Summary<'a>(&'a Tree);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tree { strategy, counts, zombies, restarts, ended, .. } = self.0;
        write!(f, "{strategy}")?;
        if let Some(reason) = ended {
            write!(f, ", ended ({reason})")?;
        }
        if self.0.children.is_empty() {
            write!(f, ", active {}", counts.active)?;
            if *restarts > 0 {
                write!(f, ", restarts {restarts}")?;
            }
        }
        if *zombies > 0 {
            write!(f, ", zombies {zombies}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
        })
    }
}
