//! The life of an upstream, with servers that live in the test and a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use super::fake::{Fake, Mood, World, spec, specs, until};
use super::{Pace, State, Why};
use crate::protocol::{Code, Kind};
use crate::provider::Event;
use crate::provider::upstream::wire;
use crate::telemetry::metrics::{UpstreamLabels, UpstreamRestartLabels};

#[tokio::test(start_paused = true)]
async fn an_upstream_starts_and_serves_while_the_node_is_there_already() {
    let fake = Arc::new(Fake::default());
    fake.have(&["echo", "hang"]);
    *fake.handshake.lock().unwrap() = Duration::from_millis(100);
    let world = World::start_with(specs([spec("git")]), fake, Pace::default()).await;
    let error = world.call("git", "echo").await.unwrap_err();
    assert_eq!(error.code, Code::UpstreamDown);
    world.reaches("git", State::Ready).await;
    until(|| world.tools() == ["git__echo", "git__hang"]).await;
    assert_eq!(world.call("git", "echo").await.unwrap().get("server"), Some(r#""git""#));
    let status = world.upstreams.list().remove(0);
    assert_eq!((status.instances.len(), status.tools, status.restarts), (1, 2, 0));
    assert_eq!(status.instances[0].server, "git");
    let labels = |state| UpstreamLabels { upstream: "git".into(), state };
    let shown = |state| world.metrics.upstream_state.get_or_create(&labels(state)).get();
    assert_eq!((shown("ready"), shown("starting")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_crash_costs_the_calls_under_way_and_no_list() {
    let world = World::start(specs([spec("git")])).await;
    until(|| !world.tools().is_empty()).await;
    let mut changes = world.published.changes();
    let (lost, ()) = tokio::join!(world.call("git", "hang"), async {
        let instance = world.fake.running("git");
        until(|| instance.was_asked("tools/call hang")).await;
        instance.end(wire::Why::Crashed, "it was killed by signal 9");
    });
    let lost = lost.unwrap_err();
    assert_eq!(lost.code, Code::UpstreamLost);
    assert!(lost.message.contains("signal 9"), "{lost:?}");
    let begun = Instant::now();
    world.reaches("git", State::Ready).await;
    world.call("git", "echo").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    sleep(Duration::from_secs(5)).await;
    assert!(changes.try_recv().is_err(), "who listens is told nothing");
    let labels = UpstreamRestartLabels { upstream: "git".into(), reason: "crashed" };
    assert_eq!(world.metrics.upstream_restarts.get_or_create(&labels).get(), 1);
    let end = world.upstreams.list().remove(0).last_end.unwrap();
    assert!(end.cause.contains("signal 9"));
    assert_eq!(end.stderr.last().unwrap(), "the last words");
}

#[tokio::test(start_paused = true)]
async fn one_that_keeps_dying_is_left_alone_and_comes_back() {
    let world = World::start(specs([spec("git"), spec("time")])).await;
    until(|| world.tools().len() == 4).await;
    world.fake.be(Mood::Dying);
    world.fake.running("git").end(wire::Why::Crashed, "it exited with status 1");
    world.reaches("git", State::Quarantined).await;
    assert_eq!(world.fake.of("git").len(), 1 + 5, "five restarts are bad luck");
    assert_eq!(world.upstreams.list()[0].restarts, 5);
    until(|| world.tools() == ["time__echo", "time__hang"]).await;
    let begun = Instant::now();
    let error = world.call("git", "echo").await.unwrap_err();
    assert_eq!((error.code, begun.elapsed()), (Code::UpstreamDown, Duration::ZERO));
    let data = error.data.unwrap();
    assert_eq!((&data["state"], &data["upstream"]), (&json!("quarantined"), &json!("git")));
    match world.upstreams.why("git__echo") {
        Why::Down { state: State::Quarantined, known: true, last_end, next_try_s, .. } => {
            assert!(last_end.unwrap().cause.contains("status 1") && next_try_s.is_some());
        }
        other => panic!("{other:?}"),
    }
    world.call("time", "echo").await.unwrap();
    world.fake.be(Mood::Kind);
    sleep(Duration::from_secs(61)).await;
    until(|| world.tools().len() == 4).await;
    assert!(matches!(world.upstreams.why("git__echo"), Why::Healthy { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_operator_brings_it_back_at_once() {
    let world = World::start(specs([spec("git")])).await;
    world.reaches("git", State::Ready).await;
    world.fake.be(Mood::Missing);
    world.fake.running("git").end(wire::Why::Finished, "it exited with status 0");
    world.reaches("git", State::Quarantined).await;
    assert_eq!(&*world.upstreams.board("git").unwrap().cause(), "there is no such command");
    world.fake.be(Mood::Kind);
    world.upstreams.restart("git").unwrap();
    world.reaches("git", State::Ready).await;
    world.upstreams.restart("git").unwrap();
    until(|| world.fake.of("git").len() == 3 && !world.fake.of("git")[1].runs()).await;
    world.reaches("git", State::Ready).await;
    assert!(world.upstreams.restart("hg").is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_any_more_is_started_anew() {
    let world = World::start(specs([spec("git")])).await;
    world.reaches("git", State::Ready).await;
    let first = world.fake.running("git");
    // As long as it answers it is left alone.
    sleep(Duration::from_secs(300)).await;
    assert!(first.runs() && first.was_asked("ping"));
    first.is_mute.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    until(|| !first.runs()).await;
    assert!(begun.elapsed() <= Duration::from_secs(41), "{:?}", begun.elapsed());
    world.reaches("git", State::Ready).await;
    assert!(world.upstreams.list()[0].last_end.as_ref().unwrap().cause.contains("hangs"));
}

#[tokio::test(start_paused = true)]
async fn one_that_works_may_be_silent_for_longer() {
    let world = World::start(specs([spec("git")])).await;
    world.reaches("git", State::Ready).await;
    let first = world.fake.running("git");
    let call = world.call("git", "hang");
    let ends = async {
        until(|| first.was_asked("tools/call hang")).await;
        first.is_mute.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        until(|| !first.runs()).await;
        begun.elapsed()
    };
    let (lost, after) = tokio::join!(call, ends);
    assert_eq!(lost.unwrap_err().code, Code::UpstreamLost);
    assert!(after >= Duration::from_secs(119) && after <= Duration::from_secs(200), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_given_up() {
    let fake = Arc::new(Fake::default());
    fake.be(Mood::Mute);
    let slow = specs([{
        let mut spec = spec("git");
        spec.start_timeout = Duration::from_secs(10);
        spec
    }]);
    let world = World::start_with(slow, fake, Pace::default()).await;
    world.reaches("git", State::Quarantined).await;
    until(|| world.fake.of("git").iter().all(|instance| !instance.runs())).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_keeper_takes_its_instances_along_and_begins_anew() {
    let world = World::start(specs([spec("git"), spec("time")])).await;
    until(|| world.tools().len() == 4).await;
    let (git, time) = (world.fake.running("git"), world.fake.running("time"));
    let keeper = world.upstreams.board("git").unwrap().keeper.get().unwrap();
    let (lost, ()) = tokio::join!(world.call("git", "hang"), async {
        until(|| git.was_asked("tools/call hang")).await;
        keeper.kill();
    });
    assert_eq!(lost.unwrap_err().code, Code::UpstreamLost);
    until(|| !git.runs() && world.fake.of("git").len() == 2).await;
    world.reaches("git", State::Ready).await;
    world.call("git", "echo").await.unwrap();
    assert!(time.runs());
    assert_eq!(world.tools().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn lists_follow_their_server() {
    let world = World::start(specs([spec("git")])).await;
    until(|| world.tools().len() == 2).await;
    let mut changes = world.published.changes();
    world.fake.have(&["echo", "hang", "log", "größe"]);
    let instance = world.fake.running("git");
    for _ in 0..10 {
        let method = "notifications/tools/list_changed";
        instance.say(&json!({ "jsonrpc": "2.0", "method": method }));
    }
    until(|| world.tools().len() == 3).await;
    assert_eq!(changes.recv().await.unwrap().what, Event::ListChanged(Kind::Tools));
    let asked = instance.asked.lock().unwrap().iter().filter(|what| *what == "tools/list").count();
    assert_eq!(asked, 2, "changes in a row are read once");
    match world.upstreams.why("git__größe") {
        Why::Refused { reason, .. } => assert!(reason.contains("'ö'"), "{reason}"),
        other => panic!("{other:?}"),
    }
    match world.upstreams.why("git__lgo") {
        Why::UnknownTool { near, .. } => assert_eq!(&*near[0], "git__log"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.upstreams.why("hg__log"), Why::UnknownServer { .. }));
    match world.upstreams.why("git") {
        Why::Server { status } => assert_eq!((status.tools, status.refused.len()), (3, 1)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn many_start_without_starving_anybody() {
    let fake = Arc::new(Fake::default());
    fake.have(&["echo"]);
    *fake.handshake.lock().unwrap() = Duration::from_millis(100);
    let many = specs((0..200).map(|number| spec(&format!("s{number}"))));
    let world = World::start_with(many, fake, Pace::default()).await;
    let begun = Instant::now();
    until(|| world.tools().len() == 200).await;
    assert_eq!(world.fake.most_starting.load(Ordering::SeqCst), 16);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn slow_starters_do_not_hold_up_the_others() {
    let fake = Arc::new(Fake::default());
    fake.have(&["echo"]);
    fake.be(Mood::Mute);
    let slow = specs((0..16).map(|number| spec(&format!("slow{number}"))));
    let world = World::start_with(slow, fake, Pace::default()).await;
    until(|| world.fake.instances.lock().unwrap().len() == 16).await;
    world.fake.be(Mood::Kind);
    let mut more = world.upstreams.specs();
    more.extend(specs([spec("quick")]));
    world.upstreams.apply(more).await.unwrap();
    advance(Duration::from_secs(6)).await;
    world.reaches("quick", State::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn all_stop_side_by_side() {
    let world = World::start(specs((0..50).map(|number| spec(&format!("s{number}"))))).await;
    until(|| world.tools().len() == 100).await;
    world.upstreams.close().await;
    assert!(world.fake.instances.lock().unwrap().iter().all(|instance| !instance.runs()));
    assert_eq!(world.call("s1", "echo").await.unwrap_err().code, Code::UpstreamDown);
    world.root.stop(supervisors::ExitReason::Shutdown).await;
}
