//! Starts that hang, fail and panic.

use supervisors::{
    ChildError, ChildSpec, Context, DynamicSupervisor, ExitReason, Link, Root, StartError,
    Strategy, SupervisorRef,
};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::ear::ear;
use super::puppet::{Part, Puppet};
use super::{Alive, for_ever, ms, one_for_one, secs, tireless};

/// Hangs from its `from`-th run on.
fn hanging(id: &str, from: u32, alive: &Alive) -> ChildSpec {
    let alive = alive.clone();
    let spec = ChildSpec::new(id, move |link: Link| {
        let one = alive.one();
        async move {
            if link.run() >= from {
                for_ever().await;
            }
            link.task(async move {
                let _one = one;
                for_ever().await;
            })
        }
    });
    spec.start_timeout(Some(ms(100)))
}

async fn works(root: &Root<SupervisorRef>) {
    root.start_child(ChildSpec::task("good", for_ever)).await.unwrap();
    root.terminate_child("good").await.unwrap();
    root.delete_child("good").await.unwrap();
}

fn is_late(reason: &ExitReason) {
    assert!(matches!(reason, ExitReason::Error(_)), "{reason:?}");
    assert!(reason.to_string().contains("not done after 100ms"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_fails_after_its_limit() {
    let alive = Alive::default();
    let begun = Instant::now();
    let error = one_for_one().child(hanging("a", 1, &alive)).start().await.unwrap_err();
    assert!(begun.elapsed() >= ms(100) && begun.elapsed() < ms(105), "{:?}", begun.elapsed());
    let StartError::Child(failed) = error else { panic!("{error:?}") };
    assert_eq!(failed.id.as_str(), "a");
    is_late(&failed.reason);

    let root = one_for_one().start().await.unwrap();
    let begun = Instant::now();
    match root.start_child(hanging("a", 1, &alive)).await {
        Err(ChildError::Start(reason)) => is_late(&reason),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() >= ms(100) && begun.elapsed() < ms(105), "{:?}", begun.elapsed());
    assert_eq!(alive.now(), 0, "what hung is gone");
    works(&root).await;

    // A call in between waits, and no longer than that.
    root.start_child(hanging("b", 2, &alive)).await.unwrap();
    root.terminate_child("b").await.unwrap();
    let (again, count) = tokio::join!(root.restart_child("b"), root.count_children());
    assert!(matches!(again, Err(ChildError::Start(_))), "{again:?}");
    assert_eq!(count.unwrap().active, 0);
    works(&root).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_hangs_is_an_attempt_that_counts() {
    let (ear, mut reports) = ear();
    let spec = ChildSpec::new("a", |link: Link| async move {
        if link.run() > 1 {
            for_ever().await;
        }
        link.task(async { Err::<(), _>("once") })
    });
    let sup = one_for_one().intensity(3, secs(60)).observer(ear);
    let root = sup.child(spec.start_timeout(Some(ms(100)))).start().await.unwrap();
    for _ in 0..3 {
        is_late(&reports.find(Context::StartError).await.reason);
    }
    reports.find(Context::GaveUp).await;
    assert_eq!(root.exited().await, ExitReason::Shutdown);
}

/// All ways in which a start may fail, and with what reason.
fn failing(alive: &Alive) -> Vec<(ChildSpec, ExitReason)> {
    let panic = |text: &str| ExitReason::Panic(text.into());
    let pre = |pre_start| {
        let (alive, post_stop) = (alive.clone(), Part::Ok);
        let puppet = Puppet { pre_start, post_stop, alive };
        ChildSpec::new("bad", move |link: Link| {
            let starting = link.actor(puppet.clone(), ());
            async { starting.await.map(|child| child.map(drop)) }
        })
    };
    let left = alive.clone();
    let typed = ExitReason::shutdown_with("not today");
    let because = typed.clone();
    vec![
        (
            ChildSpec::new("bad", |_| -> std::future::Ready<_> { panic!("at once") }),
            panic("at once"),
        ),
        (ChildSpec::new("bad", |_| async { panic!("when polled") }), panic("when polled")),
        (
            ChildSpec::new("bad", |_| async {
                yield_now().await;
                sleep(ms(10)).await;
                panic!("later")
            }),
            panic("later"),
        ),
        (
            ChildSpec::new("bad", |_| async { Err(ExitReason::error("no")) }),
            ExitReason::error("no"),
        ),
        (
            ChildSpec::new("bad", move |link: Link| {
                let one = left.one();
                async move {
                    let _child = link.task(async move {
                        let _one = one;
                        for_ever().await;
                    })?;
                    yield_now().await;
                    panic!("with a child")
                }
            }),
            panic("with a child"),
        ),
        (ChildSpec::new("bad", move |_| std::future::ready(Err(because.clone()))), typed.clone()),
        (pre(Part::Panic("in pre_start")), panic("in pre_start")),
        (pre(Part::Fail("no port")), ExitReason::error("no port")),
        (pre(Part::Reason(typed.clone())), typed),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_tells_why_and_leaves_nothing() {
    let alive = Alive::default();
    let root = one_for_one().start().await.unwrap();
    for (spec, reason) in failing(&alive) {
        let error = root.start_child(spec.clone()).await.unwrap_err();
        assert_eq!(error, ChildError::Start(reason.clone()));
        assert_eq!(alive.now(), 0, "{reason}");
        assert!(root.which_children().await.unwrap().is_empty(), "{reason}");
        works(&root).await;
        let error = one_for_one().child(spec).start().await.unwrap_err();
        let StartError::Child(failed) = error else { panic!("{error:?}") };
        assert_eq!(failed.reason, reason);
        assert_eq!(alive.now(), 0, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again() {
    let alive = Alive::default();
    for (bad, reason) in failing(&alive) {
        let (ear, mut reports) = ear();
        let puppet = Puppet { alive: alive.clone(), ..Puppet::default() };
        let slot = supervisors::Slot::new();
        let sup = tireless(Strategy::OneForOne).observer(ear);
        let root = sup.child(puppet.spec("bad").slot(&slot)).start().await.unwrap();
        // From now on it starts as it should not.
        root.reconfigure(tireless(Strategy::OneForOne).child(bad)).await.unwrap();
        slot.get().unwrap().kill();
        for _ in 0..3 {
            assert_eq!(reports.find(Context::StartError).await.reason, reason);
        }
        root.reconfigure(tireless(Strategy::OneForOne).child(hanging("bad", u32::MAX, &alive)))
            .await
            .unwrap();
        reports.find(Context::Progress { restart: true }).await;
        assert_eq!(alive.now(), 1, "{reason}");
        root.stop(ExitReason::Shutdown).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_in_a_dynamic_supervisor() {
    let parts = [Part::Panic("p"), Part::Fail("f"), Part::Reason(ExitReason::Killed), Part::Ok];
    let alive = Alive::default();
    let counted = alive.clone();
    let root = DynamicSupervisor::new("x", move |pre_start: Part, link: Link| {
        link.actor(Puppet { pre_start, alive: counted.clone(), ..Puppet::default() }, ())
    });
    let root = root.start().await.unwrap();
    let mut answers = Vec::new();
    for part in parts {
        answers.push(root.start_child(part).await.map(|_| "started"));
    }
    let failed = |reason| Err(ChildError::Start(reason));
    let (panic, error) = (ExitReason::Panic("p".into()), ExitReason::error("f"));
    assert_eq!(answers, [failed(panic), failed(error), failed(ExitReason::Killed), Ok("started")]);
    assert_eq!((root.count_children().await.unwrap().workers, alive.now()), (1, 1));
}
