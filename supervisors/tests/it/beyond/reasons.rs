//! Why actors end, as their supervisors hear of it.

use supervisors::{ChildState, Context, ExitReason, Restart, Shutdown, Slot, Strategy};

use super::ear::{Heard, ear};
use super::puppet::{Order, Part, Puppet, PuppetRef};
use super::{secs, tireless, until};

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("port {0} is taken")]
struct Taken(u16);

type End = Box<dyn Fn(&PuppetRef)>;

/// How an actor may end, with what reason, and whether a transient one is started again.
fn ends() -> Vec<(&'static str, Part, End, ExitReason, bool)> {
    fn fail(make: impl Fn() -> ractor::ActorProcessingErr + 'static) -> End {
        Box::new(move |puppet| puppet.cast(Order::Fail(make())).unwrap())
    }
    fn stop(why: Option<&'static str>) -> End {
        Box::new(move |puppet| puppet.stop(why.map(str::to_owned)))
    }
    let with_x = || ExitReason::shutdown_with("x");
    let panic: End = Box::new(|puppet| puppet.cast(Order::Panic("bang")).unwrap());
    let kill: End = Box::new(|puppet| puppet.kill());
    let bang = ExitReason::Panic("bang".into());
    vec![
        ("typed", Part::Ok, fail(move || with_x().into()), with_x(), false),
        ("shutdown", Part::Ok, fail(|| ExitReason::Shutdown.into()), ExitReason::Shutdown, false),
        ("normal", Part::Ok, fail(|| ExitReason::Normal.into()), ExitReason::Normal, false),
        ("killed", Part::Ok, fail(|| ExitReason::Killed.into()), ExitReason::Killed, true),
        ("text", Part::Ok, fail(|| "text".into()), ExitReason::error("text"), true),
        ("error", Part::Ok, fail(|| Taken(80).into()), ExitReason::error(Taken(80)), true),
        ("panic", Part::Ok, panic, bang.clone(), true),
        ("stop", Part::Ok, stop(None), ExitReason::Normal, false),
        ("stop killed", Part::Ok, stop(Some("killed")), ExitReason::Normal, false),
        ("kill", Part::Ok, kill, ExitReason::Killed, true),
        ("post_stop", Part::Fail("late"), stop(None), ExitReason::error("late"), true),
        ("post_stop typed", Part::Reason(with_x()), stop(None), with_x(), false),
        ("post_stop panic", Part::Panic("bang"), stop(Some("x")), bang, true),
        (
            "post_stop is not called after an error",
            Part::Fail("late"),
            fail(|| "text".into()),
            ExitReason::error("text"),
            true,
        ),
    ]
}

/// Lets an actor end, and tells what was reported, and its state and run then.
async fn play(restart: Restart, part: Part, end: &End) -> (Vec<Heard>, ChildState, u32) {
    let ((ear, mut reports), slot) = (ear(), Slot::new());
    let puppet = Puppet { post_stop: part, ..Puppet::default() };
    let spec = puppet.spec("a").restart(restart).slot(&slot);
    let sup = tireless(Strategy::OneForOne).name("app").observer(ear);
    let root = sup.child(spec).start().await.unwrap();
    reports.drain();
    end(&slot.get().unwrap());
    let mut child = None;
    until("its end is dealt with", async || {
        let now = root.which_child("a").await.unwrap();
        let done = now.run == 2 || now.state == ChildState::Stopped;
        child = Some(now);
        done
    })
    .await;
    let child = child.unwrap();
    (reports.drain(), child.state, child.run)
}

#[tokio::test]
async fn each_end_has_its_reason() {
    for (name, part, end, reason, _) in ends() {
        let (heard, state, run) = play(Restart::Permanent, part, &end).await;
        assert_eq!((state, run), (ChildState::Running, 2), "{name}");
        let contexts: Vec<_> = heard.iter().map(|heard| heard.context).collect();
        let expected =
            [Context::ChildTerminated { restart: true }, Context::Progress { restart: true }];
        assert_eq!(contexts, expected, "{name}");
        assert_eq!(heard[0].reason, reason, "{name}");
        assert_eq!((&*heard[0].supervisor, &*heard[0].child), ("app", "a"));
    }
}

#[tokio::test]
async fn transient_actors_come_back_after_abnormal_ends_only() {
    for (name, part, end, reason, again) in ends() {
        let (heard, state, run) = play(Restart::Transient, part, &end).await;
        let terminated: Vec<_> = heard
            .iter()
            .filter(|heard| heard.context == Context::ChildTerminated { restart: true })
            .map(|heard| &heard.reason)
            .collect();
        if again {
            assert_eq!((state, run), (ChildState::Running, 2), "{name}");
            assert_eq!(terminated, [&reason], "{name}");
        } else {
            assert_eq!((state, run), (ChildState::Stopped, 1), "{name}");
            assert!(heard.is_empty(), "{name}: {heard:?}");
        }
    }
}

#[tokio::test]
async fn an_error_keeps_its_type() {
    let end: End = Box::new(|puppet| puppet.cast(Order::Fail(Taken(443).into())).unwrap());
    let (heard, ..) = play(Restart::Permanent, Part::Ok, &end).await;
    let ExitReason::Error(error) = &heard[0].reason else { panic!("{heard:?}") };
    assert_eq!(error.downcast_ref::<Taken>(), Some(&Taken(443)));
}

#[tokio::test]
async fn what_goes_wrong_while_an_actor_stops_is_reported() {
    let timeout = Shutdown::Timeout(secs(5));
    let bang = || Part::Panic("bang");
    let cases = [
        (Part::Ok, timeout, None),
        (Part::Fail("late"), timeout, Some(ExitReason::error("late"))),
        (bang(), timeout, Some(ExitReason::Panic("bang".into()))),
        (Part::Reason(ExitReason::Shutdown), timeout, None),
        (Part::Fail("late"), Shutdown::BrutalKill, None),
    ];
    for (post_stop, shutdown, expected) in cases {
        let (ear, mut reports) = ear();
        let puppet = Puppet { post_stop: post_stop.clone(), ..Puppet::default() };
        let sup = tireless(Strategy::OneForOne).observer(ear);
        let root = sup.child(puppet.spec("a").shutdown(shutdown)).start().await.unwrap();
        reports.drain();
        root.terminate_child("a").await.unwrap();
        let heard = reports.drain();
        assert!(heard.iter().all(|heard| heard.context == Context::ShutdownError), "{heard:?}");
        let reasons: Vec<_> = heard.into_iter().map(|heard| heard.reason).collect();
        assert_eq!(reasons, Vec::from_iter(expected), "{post_stop:?}");
    }
}
