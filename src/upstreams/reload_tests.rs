//! Other upstreams while calls run.

use std::time::Duration;

use super::fake::{World, spec, specs, until};
use super::{Difference, NoUpstream, State, Why};
use crate::protocol::Code;

#[tokio::test(start_paused = true)]
async fn the_difference_is_applied_and_nothing_else() {
    let world = World::start(specs([spec("git"), spec("time"), spec("web")])).await;
    until(|| world.tools().len() == 6).await;
    let mut hidden = spec("time");
    hidden.tools.deny = vec!["hang".to_owned()];
    let mut other = spec("web");
    other.instances = 2;
    let new = specs([hidden, other, spec("files")]);
    let expected = Difference {
        added: vec!["files".into()],
        removed: vec!["git".into()],
        replaced: vec!["web".into()],
        changed: vec!["time".into()],
    };
    assert_eq!(world.upstreams.difference(&new), expected);
    assert_eq!(world.upstreams.apply(new.clone()).await.unwrap(), expected);
    let names = ["files__echo", "files__hang", "time__echo", "web__echo", "web__hang"];
    until(|| world.tools() == names).await;
    let starts = |name: &str| world.fake.of(name).len();
    until(|| starts("web") == 3).await;
    assert_eq!((starts("git"), starts("time"), starts("files")), (1, 1, 1));
    assert!(world.fake.of("time")[0].runs() && !world.fake.of("git")[0].runs());
    assert!(world.upstreams.difference(&new).is_empty());
    assert!(matches!(world.upstreams.why("time__hang"), Why::Hidden { .. }));
    assert!(matches!(world.upstreams.why("git__echo"), Why::UnknownServer { .. }));
    assert!(world.published.load().provider("git").is_none());
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_that_goes_have_time_to_finish() {
    let world = World::start(specs([spec("git")])).await;
    until(|| world.tools().len() == 2).await;
    let git = world.fake.running("git");
    let (lost, ()) = tokio::join!(world.call("git", "hang"), async {
        until(|| git.was_asked("tools/call hang")).await;
        let begun = tokio::time::Instant::now();
        world.upstreams.apply(specs([])).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(5), "it had its shutdown time");
    });
    assert_eq!(lost.unwrap_err().code, Code::UpstreamLost);
    assert!(!git.runs() && world.tools().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_reloads_lose_no_call_of_those_that_stay() {
    let world = World::start(specs([spec("git"), spec("time")])).await;
    until(|| world.tools().len() == 4).await;
    for round in 0..100 {
        let new =
            if round % 2 == 0 { specs([spec("git")]) } else { specs([spec("git"), spec("web")]) };
        let calls = (0..10).map(|_| world.call("git", "echo"));
        let (applied, calls) =
            tokio::join!(world.upstreams.apply(new), futures_util::future::join_all(calls));
        applied.unwrap();
        assert!(calls.iter().all(Result::is_ok), "round {round}");
    }
    assert_eq!(world.fake.of("git").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_added_survives_its_supervisor() {
    let world = World::start(specs([spec("git")])).await;
    world.upstreams.apply(specs([spec("web")])).await.unwrap();
    world.reaches("web", State::Ready).await;
    let web = world.fake.running("web");
    world.root.terminate_child("upstreams").await.unwrap();
    until(|| !web.runs()).await;
    world.root.restart_child("upstreams").await.unwrap();
    until(|| world.fake.of("web").len() == 2).await;
    world.reaches("web", State::Ready).await;
    assert_eq!(world.fake.of("git").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_disabled_does_not_start() {
    let mut off = spec("git");
    off.enabled = false;
    let world = World::start(specs([off])).await;
    world.reaches("git", State::Disabled).await;
    assert!(world.published.load().provider("git").is_none());
    assert_eq!(world.upstreams.restart("git"), Err(NoUpstream::Disabled("git".into())));
    world.upstreams.apply(specs([spec("git")])).await.unwrap();
    world.reaches("git", State::Ready).await;
    until(|| world.tools().len() == 2).await;
    let mut off = spec("git");
    off.enabled = false;
    world.upstreams.apply(specs([off])).await.unwrap();
    until(|| world.published.load().provider("git").is_none()).await;
    assert!(!world.fake.of("git")[0].runs() && world.tools().is_empty());
    assert_eq!(world.upstreams.list()[0].state, State::Disabled);
}
