//! What specifications are refused, before anything starts. Most of what OTP has to reject by
//! hand can't be written here.

use std::time::Duration;

use supervisors::{
    AutoShutdown, Backoff, ChildError, DynamicSupervisor, ExitReason, Link, Restart, Shutdown,
    SpecError, StartError, Strategy, Supervisor,
};

use super::look::finish;
use super::world::both;

#[tokio::test]
async fn child_specs() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForOne, 2, &["other"]).start().await.unwrap();
        let refused = root.start_child(world.child("")).await.unwrap_err();
        assert_eq!(refused, ChildError::Spec(SpecError::EmptyId));
        let shutdowns = [
            // The first, since a timer that is set already would hide what is wrong with it.
            Shutdown::Timeout(Duration::MAX),
            Shutdown::Timeout(Duration::ZERO),
            Shutdown::Timeout(Duration::from_secs(1)),
            Shutdown::Infinity,
            Shutdown::BrutalKill,
        ];
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for shutdown in shutdowns {
                let child = world.child("a").restart(restart).shutdown(shutdown);
                root.start_child(child).await.unwrap();
                let spec = root.get_childspec("a").await.unwrap();
                assert_eq!((spec.restart, spec.shutdown), (restart, shutdown));
                root.terminate_child("a").await.unwrap();
                // A temporary one has gone with its specification.
                let deleted = root.delete_child("a").await;
                assert_eq!(deleted.is_ok(), restart != Restart::Temporary, "{deleted:?}");
            }
        }
        let twice = world.root_of(Strategy::OneForOne, 2, &["a", "b", "a"]);
        assert_eq!(twice.validate(), Err(SpecError::DuplicateId { id: "a".into() }));
        world.forget();
        finish(&world, root, &["exit other#1 shutdown"]).await;
    })
    .await;
}

/// The combinations of `significant`, `restart` and `auto_shutdown`.
#[tokio::test]
async fn child_specs_map() {
    both(async |world| {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        for auto in [Never, AnySignificant, AllSignificant] {
            let root = world.root(Strategy::OneForOne, 2).auto_shutdown(auto);
            let running = root.clone().start().await.unwrap();
            for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
                let child = world.child("a").restart(restart);
                assert_eq!(root.clone().child(child.clone()).validate(), Ok(()));
                let child = child.significant(true);
                let id = || "a".into();
                let expected = match (auto, restart) {
                    (Never, _) => Err(SpecError::SignificantWithoutAutoShutdown { id: id() }),
                    (_, Restart::Permanent) => Err(SpecError::SignificantPermanent { id: id() }),
                    _ => Ok(()),
                };
                assert_eq!(root.clone().child(child.clone()).validate(), expected);
                let started = running.start_child(child).await.map(drop);
                assert_eq!(started, expected.map_err(ChildError::Spec));
                // Stops and forgets it, where there is one.
                let _ = running.terminate_child("a").await;
                let _ = running.delete_child("a").await;
            }
            world.forget();
            finish(&world, running, &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn sup_flags() {
    let root = || Supervisor::new(Strategy::OneForOne);
    let refused = root().intensity(2, Duration::ZERO).start().await.unwrap_err();
    assert_eq!(refused, StartError::Spec(SpecError::ZeroPeriod { field: "intensity" }));
    let pool = |period| {
        DynamicSupervisor::new("a", |(): (), link: Link| async { link.task(async {}) })
            .child_intensity(2, period)
    };
    let refused = pool(Duration::ZERO).validate();
    assert_eq!(refused, Err(SpecError::ZeroPeriod { field: "child_intensity" }));
    for period in [Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX] {
        assert_eq!(pool(period).validate(), Ok(()));
        for restarts in [0, 1, u32::MAX] {
            let root = root().intensity(restarts, period).start().await.unwrap();
            assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
        }
    }
    for factor in [0.0, f64::INFINITY, f64::NAN] {
        let backoff = Backoff { factor, ..Backoff::default() };
        let Err(SpecError::Backoff { field, .. }) = root().backoff(backoff).validate() else {
            panic!("{factor} is a fine factor?");
        };
        assert_eq!(field, "factor");
    }
}
