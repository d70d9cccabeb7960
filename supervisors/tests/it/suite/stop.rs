//! How supervisors stop: in reverse order, each child in its own time and in its own way.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{ChildSpec, ExitReason, Restart, Shutdown, Slot, Strategy};
use tokio::time::Instant;

use super::look::{counts, eventually, finish, finish_pool, show, shows};
use super::world::{Kind, OnStop, World, both};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn sup_stop_infinity() {
    both(async |world| {
        let day = Duration::from_secs(24 * 3600);
        let below = world.root_of(Strategy::OneForOne, 2, &["a"]);
        let root = world
            .root(Strategy::OneForOne, 2)
            .child(ChildSpec::supervisor("below", below).shutdown(Shutdown::Infinity))
            .child(world.child("b").shutdown(Shutdown::Infinity));
        let root = root.start().await.unwrap();
        world.on_stop("b", OnStop::After(day));
        world.expect(&["start a#1", "start b#1"]).await;
        let begin = Instant::now();
        finish(&world, root, &["exit b#1 shutdown", "exit a#1 shutdown"]).await;
        assert!(begin.elapsed() >= day);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout() {
    both(async |world| {
        let root = ["a", "b", "c"].iter().fold(world.root(Strategy::OneForOne, 2), |root, id| {
            root.child(world.child(id).shutdown(Shutdown::Timeout(SECOND)))
        });
        let root = root.start().await.unwrap();
        world.on_stop("b", OnStop::Hang);
        world.expect(&["start a#1", "start b#1", "start c#1"]).await;
        let begin = Instant::now();
        let end = [
            "exit c#1 shutdown",
            "exit b#1 killed",
            "root shutdown_error b killed",
            "exit a#1 shutdown",
        ];
        finish(&world, root, &end).await;
        assert!((SECOND..2 * SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    })
    .await;
}

/// The lines of the ends of the children with these numbers.
fn ends(ids: std::ops::Range<u32>, reason: &str) -> Vec<String> {
    ids.map(|id| format!("exit {id}#1 {reason}")).collect()
}

fn texts(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout_dynamic() {
    both(async |world| {
        let root = world.dynamic(2).shutdown(Shutdown::Timeout(SECOND)).start().await.unwrap();
        for id in 0..10 {
            root.start_child(id.to_string()).await.unwrap();
        }
        world.forget();
        for id in 0..5 {
            world.on_stop(&id.to_string(), OnStop::Hang);
        }
        let begin = Instant::now();
        assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
        assert!((SECOND..2 * SECOND).contains(&begin.elapsed()), "one time for all");
        world.expect_any(&texts(&ends(5..10, "shutdown"))).await;
        world.expect_any(&texts(&ends(0..5, "killed"))).await;
        // Five children with the same error are one report.
        world.expect(&["pool shutdown_error pool killed"]).await;
        world.quiet();
    })
    .await;
}

#[tokio::test]
async fn sup_stop_brutal_kill() {
    both(async |world| {
        let root = world
            .root(Strategy::OneForOne, 2)
            .child(world.child("a"))
            .child(world.child("b").shutdown(Shutdown::BrutalKill));
        let root = root.start().await.unwrap();
        world.expect(&["start a#1", "start b#1"]).await;
        finish(&world, root, &["exit b#1 killed", "exit a#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_stop_brutal_kill_dynamic() {
    both(async |world| {
        let root = world.dynamic(2).shutdown(Shutdown::BrutalKill).start().await.unwrap();
        for id in 0..10 {
            root.start_child(id.to_string()).await.unwrap();
        }
        world.forget();
        finish_pool(&world, root, &texts(&ends(0..10, "killed"))).await;
    })
    .await;
}

fn reasons() -> [ExitReason; 4] {
    let with = ExitReason::shutdown_with("test");
    [ExitReason::Normal, ExitReason::Shutdown, with, ExitReason::error("other")]
}

/// While the last child takes its time, twelve others end by themselves. Each end is judged when
/// its child's turn to be stopped comes, and none of them is taken for a crash.
#[tokio::test(start_paused = true)]
async fn sup_stop_race() {
    both(async |world| {
        let mut root = world.root(Strategy::OneForOne, 0).child(world.child("a"));
        let mut plan = Vec::new();
        for restart in [Restart::Temporary, Restart::Transient, Restart::Permanent] {
            for (number, reason) in reasons().into_iter().enumerate() {
                let id = format!("{restart:?}{number}").to_lowercase();
                root = root.child(world.child(&id).restart(restart));
                plan.push((id, reason));
            }
        }
        let root = root.child(world.child("z").shutdown(Shutdown::Timeout(2 * SECOND)));
        let root = root.start().await.unwrap();
        world.on_stop("z", OnStop::After(SECOND));
        world.take(14).await;
        let race = async {
            tokio::time::sleep(SECOND / 5).await;
            for (id, reason) in &plan {
                world.exit(id, reason.clone());
            }
        };
        let (stopped, ()) = tokio::join!(root.stop(ExitReason::Shutdown), race);
        assert_eq!(stopped, ExitReason::Shutdown);
        let ends: Vec<_> = plan.iter().map(|(id, why)| format!("exit {id}#1 {why}")).collect();
        world.expect_any(&texts(&ends)).await;
        world
            .expect(&[
                "exit z#1 shutdown",
                "root shutdown_error permanent3 error: other",
                "root shutdown_error permanent2 shutdown: test",
                "root shutdown_error permanent0 normal",
                "root shutdown_error transient3 error: other",
                "root shutdown_error temporary3 error: other",
                "exit a#1 shutdown",
            ])
            .await;
        world.quiet();
    })
    .await;
}

#[tokio::test]
async fn sup_stop_non_shutdown_exit_dynamic() {
    both(async |world| {
        for restart in [Restart::Temporary, Restart::Transient, Restart::Permanent] {
            let root = world.dynamic(2).restart(restart).start().await.unwrap();
            for (id, reason) in reasons().into_iter().enumerate() {
                world.on_stop(&id.to_string(), OnStop::Reply(reason));
                root.start_child(id.to_string()).await.unwrap();
            }
            world.forget();
            let mut end = vec![
                "exit 0#1 normal",
                "exit 1#1 shutdown",
                "exit 2#1 shutdown: test",
                "exit 3#1 error: other",
                "pool shutdown_error pool error: other",
            ];
            if restart == Restart::Permanent {
                end.push("pool shutdown_error pool normal");
                end.push("pool shutdown_error pool shutdown: test");
            }
            finish_pool(&world, root, &end).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_shutdown() {
    both(async |world| {
        let root = world.dynamic(2).restart(Restart::Permanent);
        let root = root.shutdown(Shutdown::Timeout(2 * SECOND)).start().await.unwrap();
        for (id, seconds) in [("a", 1), ("b", 1), ("c", 5)] {
            world.on_stop(id, OnStop::After(seconds * SECOND));
            root.start_child(id.into()).await.unwrap();
        }
        world.forget();
        let begin = Instant::now();
        let end = [
            "exit a#1 shutdown",
            "exit b#1 shutdown",
            "exit c#1 killed",
            "pool shutdown_error pool killed",
        ];
        finish_pool(&world, root, &end).await;
        // The longest of the three times, not their sum.
        assert!((2 * SECOND..3 * SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    })
    .await;
}

#[tokio::test]
async fn order_of_children() {
    both(async |world| {
        let ids = ["ch7", "ch3", "ch10", "ch2", "ch5"];
        let root = world.root_of(Strategy::RestForOne, 2, &ids).start().await.unwrap();
        world
            .expect(&["start ch7#1", "start ch3#1", "start ch10#1", "start ch2#1", "start ch5#1"])
            .await;
        world.crash("ch10", "boom");
        world.expect(&["exit ch10#1 error: boom"]).await;
        world.expect(&["root child_terminated ch10 error: boom"]).await;
        world.expect(&["exit ch5#1 shutdown", "exit ch2#1 shutdown"]).await;
        world.expect(&["start ch10#2", "start ch2#2", "start ch5#2"]).await;
        assert_eq!(show(&root).await, "ch5#2 ch2#2 ch10#2 ch3#1 ch7#1");
        let end = [
            "exit ch5#2 shutdown",
            "exit ch2#2 shutdown",
            "exit ch10#2 shutdown",
            "exit ch3#1 shutdown",
            "exit ch7#1 shutdown",
        ];
        finish(&world, root, &end).await;
    })
    .await;
}

/// An actor that cuts its link, so that ractor tells its supervisor nothing.
struct Naughty;

impl Actor for Naughty {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(
        &self,
        myself: ActorRef<()>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let Some(supervisor) = myself.try_get_supervisor() {
            myself.unlink(supervisor);
        }
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("asked to".into())
    }
}

#[tokio::test(start_paused = true)]
async fn child_unlink() {
    let world = World::new(Kind::Actor);
    let slot = Slot::new();
    let naughty = ChildSpec::actor("naughty", || (Naughty, ())).slot(&slot);
    let root = world.root(Strategy::OneForOne, 2).child(naughty).start().await.unwrap();
    let unlinked = async || slot.get().is_some_and(|actor| actor.try_get_supervisor().is_none());
    eventually("it has cut its link", unlinked).await;
    // Its end is noticed all the same, be it by itself or on request.
    slot.get().unwrap().cast(()).unwrap();
    shows(&root, "naughty#2").await;
    world.expect(&["root child_terminated naughty error: asked to"]).await;
    eventually("the next one has, too", unlinked).await;
    let begin = Instant::now();
    root.terminate_child("naughty").await.unwrap();
    assert!(begin.elapsed() < SECOND, "nobody waited for its time to stop");
    assert_eq!(counts(&root).await, [1, 0, 0, 1]);
    finish(&world, root, &[]).await;
}
