//! Other upstreams while the node runs: the difference is applied as changes of children, and what
//! is the same goes on untouched.

use std::sync::{Arc, PoisonError};

use supervisors::ChildError;

use super::Upstreams;
use super::board::Board;
use super::difference::{Difference, Specs};
use super::keeper::Msg;
use crate::catalogue::ServerName;

/// Why a change could not be applied to the tree.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The supervisor of the upstreams doesn't run.
    #[error("the upstreams' supervisor is not there; try again")]
    NoSupervisor,
    /// It did not start the keeper.
    #[error("the upstream {name:?} did not start")]
    Start {
        /// Whose.
        name: ServerName,
        /// Why.
        #[source]
        source: ChildError,
    },
}

impl Upstreams {
    /// What it is all made of now.
    pub fn specs(&self) -> Specs {
        self.boards().iter().map(|b| (Arc::clone(&b.name), (*b.spec()).clone())).collect()
    }

    /// What would be done to get to these upstreams.
    pub fn difference(&self, new: &Specs) -> Difference {
        Difference::between(&self.specs(), new)
    }

    /// These are the upstreams from now on. Calls to those that go may finish within the time that
    /// these have to stop.
    ///
    /// # Errors
    /// Where the tree can't be changed; what was done up to then stays, and applying the same
    /// again does the rest.
    pub async fn apply(&self, mut new: Specs) -> Result<Difference, ReloadError> {
        let _alone = self.0.reloading.lock().await;
        let difference = self.difference(&new);
        for name in &difference.changed {
            if let (Some(board), Some(spec)) = (self.board(name), new.remove(name)) {
                board.respecify(spec);
                if let Some(keeper) = board.keeper.get() {
                    // One that has just died begins anew from the board.
                    let _ = keeper.cast(Msg::Respecified);
                }
            }
        }
        let going = difference.removed.iter().chain(&difference.replaced);
        let going: Vec<_> = going.filter_map(|name| self.board(name)).collect();
        for board in &going {
            let mut boards = self.0.boards.write().unwrap_or_else(PoisonError::into_inner);
            boards.remove(&board.name);
        }
        for name in &difference.removed {
            // No new call finds it; those under way go on until it has stopped.
            self.shared().published.withdraw(name);
        }
        // Before the supervisor is asked, which could do nothing else meanwhile.
        futures_util::future::join_all(going.iter().map(|board| board.close())).await;
        for board in &going {
            self.end(board).await;
        }
        for name in difference.replaced.iter().chain(&difference.added) {
            if let Some(spec) = new.remove(name) {
                let board = self.add(Arc::clone(name), spec);
                self.begin(board).await?;
            }
        }
        Ok(difference)
    }

    async fn begin(&self, board: Arc<Board>) -> Result<(), ReloadError> {
        if !board.spec().enabled {
            return Ok(());
        }
        let supervisor = self.0.supervisor.get().ok_or(ReloadError::NoSupervisor)?;
        let name = Arc::clone(&board.name);
        match supervisor.start_child(self.keeper(board)).await {
            // A supervisor that has just begun anew has started it already.
            Ok(_) | Err(ChildError::AlreadyStarted(_)) => Ok(()),
            Err(source) => Err(ReloadError::Start { name, source }),
        }
    }

    async fn end(&self, board: &Board) {
        if let Some(supervisor) = self.0.supervisor.get() {
            let name = board.name.to_string();
            // A supervisor that has just begun anew doesn't know it any more.
            let _ = supervisor.terminate_child(name.as_str()).await;
            let _ = supervisor.delete_child(name.as_str()).await;
        }
        self.shared().hide_state(&board.name);
    }
}
