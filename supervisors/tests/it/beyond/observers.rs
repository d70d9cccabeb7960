//! Observers that panic, and specifications that can't be followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use supervisors::{
    AutoShutdown, Backoff, ChildError, ChildSpec, DynamicSupervisor, Event, ExitReason, Link,
    Observer, Restart, Slot, StartError, Supervisor,
};

use super::puppet::{Order, Puppet};
use super::{for_ever, one_for_one, secs, until_run};

/// Panics whenever it hears something.
#[derive(Default)]
struct Faint(AtomicUsize);

impl Observer for Faint {
    fn on_event(&self, event: &Event<'_>) {
        self.0.fetch_add(1, SeqCst);
        panic!("{:?}", event.context);
    }
}

#[tokio::test]
async fn an_observer_that_panics_does_no_harm() {
    let (faint, slot) = (Arc::new(Faint::default()), Slot::new());
    let below = one_for_one().child(ChildSpec::task("x", for_ever));
    let root = one_for_one()
        .observer(faint.clone())
        .intensity(9, secs(60))
        .child(ChildSpec::supervisor("below", below))
        .child(Puppet::default().spec("a").slot(&slot))
        .start()
        .await
        .unwrap();
    assert_eq!(faint.0.load(SeqCst), 3, "a progress report each, also from below");
    slot.get().unwrap().cast(Order::Panic("told to")).unwrap();
    until_run(&root, "a", 2).await;
    assert_eq!(faint.0.load(SeqCst), 5, "an end and a restart");
    let bad = ChildSpec::<()>::new("bad", |_| async { Err(ExitReason::error("no")) });
    root.start_child(bad).await.unwrap_err();
    root.terminate_child("below").await.unwrap();
    root.restart_child("below").await.unwrap();
    assert_eq!(root.count_children().await.unwrap().active, 2);
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    assert!(faint.0.load(SeqCst) > 5);
}

/// Flaws, and what their errors have to name.
fn flawed() -> Vec<(Supervisor, &'static [&'static str])> {
    let task = |id: &str| ChildSpec::task(id, for_ever);
    let backoff = |backoff| one_for_one().backoff(backoff);
    let default = Backoff::default();
    let dynamic =
        || DynamicSupervisor::new("x", |(): (), link: Link| async { link.task(for_ever()) });
    let any = || one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
    let below = one_for_one().child(task("")).child(task("b"));
    vec![
        (one_for_one().child(task("")), &["`id`", "empty"]),
        (one_for_one().child(task("b")).child(task("b")), &["`id`", "\"b\"", "unique"]),
        (
            one_for_one().child(task("b").restart(Restart::Transient).significant(true)),
            &["\"b\"", "`significant`", "`auto_shutdown = never`"],
        ),
        (any().child(task("b").significant(true)), &["`significant`", "`restart = permanent`"]),
        (one_for_one().intensity(1, Duration::ZERO), &["`intensity.period`", "above zero"]),
        (backoff(Backoff { factor: 0.9, ..default }), &["`backoff.factor`", "at least 1"]),
        (backoff(Backoff { jitter: -0.1, ..default }), &["`backoff.jitter`", "between 0 and 1"]),
        (
            backoff(Backoff { max: Duration::ZERO, ..default }),
            &["`backoff.max`", "not be below `initial`"],
        ),
        (
            one_for_one()
                .child(ChildSpec::dynamic("d", dynamic().child_intensity(1, Duration::ZERO))),
            &["\"d\"", "`child_intensity.period`"],
        ),
        (
            one_for_one().child(ChildSpec::dynamic(
                "d",
                dynamic().backoff(Backoff { jitter: f64::NAN, ..default }),
            )),
            &["\"d\"", "`backoff.jitter`"],
        ),
        (
            one_for_one().child(ChildSpec::supervisor(
                "c",
                one_for_one().child(ChildSpec::supervisor("d", below)),
            )),
            &["\"c\"", "\"d\"", "`id`"],
        ),
    ]
}

fn has_all(error: &impl std::fmt::Display, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text:?} does not name {words:?}");
}

#[tokio::test]
async fn a_specification_that_can_not_be_followed_starts_nothing() {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = started.clone();
    let good = ChildSpec::new("good", move |link: Link| {
        counted.fetch_add(1, SeqCst);
        std::future::ready(link.task(for_ever()))
    });
    for (flawed, words) in flawed() {
        // Something that would start, below and behind the flaw.
        let above = one_for_one()
            .child(good.clone())
            .child(ChildSpec::supervisor("e", one_for_one().child(good.clone())));
        has_all(&flawed.validate().unwrap_err(), words);
        let flawed = flawed.child(good.clone());
        match flawed.clone().start().await {
            Err(StartError::Spec(error)) => has_all(&error, words),
            other => panic!("{other:?}"),
        }
        let nested = above.child(ChildSpec::supervisor("nested", flawed));
        match nested.start().await {
            Err(StartError::Spec(error)) => has_all(&error, words),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(started.load(SeqCst), 0);
    let _root = one_for_one().child(good).start().await.unwrap();
    assert_eq!(started.load(SeqCst), 1, "it would have been seen");
}

#[tokio::test]
async fn a_call_with_one_changes_nothing() {
    let root = one_for_one().child(ChildSpec::task("good", for_ever)).start().await.unwrap();
    let before = root.which_children().await.unwrap();
    for (flawed, words) in flawed() {
        match root.start_child(ChildSpec::supervisor("bad", flawed.clone())).await {
            Err(ChildError::Spec(error)) => has_all(&error, words),
            other => panic!("{other:?}"),
        }
        match root.reconfigure(flawed).await {
            Err(ChildError::Spec(error)) => has_all(&error, words),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(root.which_children().await.unwrap(), before);
    assert_eq!(root.tree().to_string(), "root  one_for_one\n└─ good  running");
}
