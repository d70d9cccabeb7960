//! What a supervisor keeps of its children: of temporary ones, nothing.

use std::sync::Arc;

use supervisors::{
    ChildError, ChildSpec, ChildState, DynamicSupervisor, ExitReason, Link, Restart, Strategy,
    Supervisor,
};

use super::look::{Fixed, eventually};
use super::world::{World, both};

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];

/// The start parameters are counted references here; OTP's case measures memory.
#[tokio::test]
async fn do_not_save_start_parameters_for_temporary_children() {
    for restart in RESTARTS {
        let pool = DynamicSupervisor::new("pool", |large: Arc<()>, link: Link| async move {
            drop(large);
            link.task(std::future::pending::<()>())
        });
        let root = pool.restart(restart).start().await.unwrap();
        let large = Arc::new(());
        for _ in 0..100 {
            root.start_child(large.clone()).await.unwrap();
        }
        let kept = if restart == Restart::Temporary { 0 } else { 100 };
        assert_eq!(Arc::strong_count(&large) - 1, kept, "simple_one_for_one {restart:?}");
    }
    for (strategy, restart) in STRATEGIES.iter().flat_map(|s| RESTARTS.map(|r| (*s, r))) {
        let root = Supervisor::new(strategy).start().await.unwrap();
        let large = Arc::new(());
        for number in 0..100 {
            let parameters = large.clone();
            let child = ChildSpec::task(number.to_string(), move || {
                let _ = &parameters;
                std::future::pending::<()>()
            });
            root.start_child(child.restart(restart)).await.unwrap();
        }
        let kept = if restart == Restart::Temporary { 0 } else { 100 };
        assert_eq!(Arc::strong_count(&large) - 1, kept, "{strategy:?} {restart:?}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Kill,
    Normal,
    Abnormal,
    Supervisor,
}

#[tokio::test]
async fn do_not_save_child_specs_for_temporary_children() {
    both(async |world| {
        for strategy in STRATEGIES {
            for end in [End::Kill, End::Normal, End::Abnormal, End::Supervisor] {
                let root = world.root(strategy, 20).start().await.unwrap();
                is_saved(&world, &root, "permanent", Restart::Permanent, end).await;
                is_saved(&world, &root, "transient", Restart::Transient, end).await;
                is_not_saved(&world, &root, end).await;
                assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
                assert_eq!(world.alive(), 0);
            }
        }
    })
    .await;
}

async fn ends(world: &World, root: &Fixed, id: &str, end: End) {
    match end {
        End::Kill => world.exit(id, ExitReason::Killed),
        End::Normal => world.exit(id, ExitReason::Normal),
        End::Abnormal => world.crash(id, "x"),
        End::Supervisor => root.terminate_child(id).await.unwrap(),
    }
}

async fn is_saved(world: &World, root: &Fixed, id: &str, restart: Restart, end: End) {
    root.start_child(world.child(id).restart(restart)).await.unwrap();
    ends(world, root, id, end).await;
    let stays = end == End::Supervisor || (restart, end) == (Restart::Transient, End::Normal);
    eventually("its end is dealt with", async || {
        let child = root.which_child(id).await.unwrap();
        (child.state, child.run)
            == if stays { (ChildState::Stopped, 1) } else { (ChildState::Running, 2) }
    })
    .await;
    let again = root.start_child(world.child(id)).await.unwrap_err();
    if stays {
        assert_eq!(again, ChildError::AlreadyPresent);
        assert!(root.restart_child(id).await.unwrap().key().is_some());
    } else {
        assert!(matches!(again, ChildError::AlreadyStarted(_)), "{again}");
    }
}

async fn is_not_saved(world: &World, root: &Fixed, end: End) {
    let child = world.child("temporary").restart(Restart::Temporary);
    let key = root.start_child(child.clone()).await.unwrap().key();
    ends(world, root, "temporary", end).await;
    eventually("it is forgotten", async || root.which_child("temporary").await.is_err()).await;
    assert_ne!(root.start_child(child).await.unwrap().key(), key);
}
