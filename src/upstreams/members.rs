//! What a keeper knows of its members beside the rules.

use std::collections::{BTreeMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::exit::Exit;
use super::machine::{Machine, MemberId};
use super::pool::Hope;
use crate::protocol::RpcError;
use crate::provider::{Circle, Who};

/// The members of one upstream.
#[derive(Default)]
pub(super) struct Members(BTreeMap<MemberId, Member>);

struct Member {
    /// Who shares its instances.
    circle: Circle,
    /// Whose they are, where one client has them alone.
    owner: Option<Who>,
    /// By which the one that runs is told to stop.
    stop: Option<CancellationToken>,
    /// How the last one ended.
    cause: String,
    /// The class of that, until the next one starts.
    reason: Option<&'static str>,
}

/// What a member's new instance is started with.
pub(super) struct Started {
    pub(super) circle: Circle,
    pub(super) owner: Option<Who>,
    pub(super) stop: CancellationToken,
    /// How the one before it ended, if there was one.
    pub(super) after: Option<&'static str>,
}

impl Members {
    /// There is one more.
    pub(super) fn add(&mut self, id: MemberId, circle: Circle, owner: Option<&Who>) {
        let (owner, cause) = (owner.cloned(), String::new());
        self.0.insert(id, Member { circle, owner, stop: None, cause, reason: None });
    }

    /// A member's instance is about to start.
    pub(super) fn start(&mut self, id: MemberId) -> Option<Started> {
        let Member { circle, owner, stop, reason, .. } = self.0.get_mut(&id)?;
        let stop = stop.insert(CancellationToken::new()).clone();
        let (circle, owner) = (circle.clone(), owner.clone());
        Some(Started { circle, owner, stop, after: reason.take() })
    }

    /// Tells a member's instance to stop.
    pub(super) fn stop(&self, id: MemberId) {
        if let Some(Member { stop: Some(stop), .. }) = self.0.get(&id) {
            stop.cancel();
        }
    }

    /// Tells all instances to stop.
    pub(super) fn stop_all(&self) {
        self.all().into_iter().for_each(|id| self.stop(id));
    }

    /// A member's instance has ended; gives whether it was told to.
    pub(super) fn ended(&mut self, id: MemberId, exit: &Exit) -> Option<bool> {
        let member = self.0.get_mut(&id)?;
        let was_told = member.stop.take().is_some_and(|stop| stop.is_cancelled());
        member.reason = Some(exit.reason);
        if !was_told {
            member.cause.clone_from(&exit.cause);
        }
        Some(was_told)
    }

    /// A member is gone; gives its circle, where it was the last of that.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Circle> {
        let Member { circle, .. } = self.0.remove(&id)?;
        self.of(&circle).is_empty().then_some(circle)
    }

    /// Those of a circle.
    pub(super) fn of(&self, circle: &Circle) -> Vec<MemberId> {
        let theirs = self.0.iter().filter(|(_, member)| member.circle == *circle);
        theirs.map(|(id, _)| *id).collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<MemberId> {
        self.0.keys().copied().collect()
    }

    /// Whether any instance runs.
    pub(super) fn any_runs(&self) -> bool {
        self.0.values().any(|member| member.stop.is_some())
    }

    /// Tells those who wait for an instance of a circle whose members all rest.
    pub(super) fn hope(&self, machine: &Machine, board: &Board) {
        let coming = self.0.iter().filter(|(id, _)| machine.rests(**id).is_none());
        let coming: HashSet<&Circle> = coming.map(|(_, member)| &member.circle).collect();
        for (id, member) in &self.0 {
            if let Some(state) = machine.rests(*id)
                && !coming.contains(&member.circle)
            {
                let error = RpcError::upstream_down(&board.name, state.as_str(), &member.cause);
                board.pool.hope(&member.circle, Hope::Gone(error));
            }
        }
    }
}
