//! Who shares an instance, and who hears of what.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::State;
use super::fake::{Mood, World, spec, specs, until};
use crate::catalogue::Scope;
use crate::protocol::Code;
use crate::provider::upstream::spec::{Share, UpstreamSpec};
use crate::provider::{Circle, Event, Who};

fn shared_by(share: Share) -> UpstreamSpec {
    let mut spec = spec("git");
    spec.share = Some(share);
    spec.idle_timeout = Duration::from_secs(60);
    spec
}

fn session(key: &str) -> Who {
    Who { session: Some(key.into()), ..Who::nobody() }
}

fn principal(name: &str) -> Who {
    Who { principal: name.into(), ..Who::nobody() }
}

#[tokio::test(start_paused = true)]
async fn several_instances_share_the_work() {
    let mut three = spec("git");
    three.instances = 3;
    let world = World::start(specs([three])).await;
    until(|| world.upstreams.list()[0].instances.len() == 3).await;
    let calls = (0..3).map(|_| world.call("git", "hang"));
    let all = futures_util::future::join_all(calls);
    let each_has_one =
        until(|| world.fake.of("git").iter().all(|instance| instance.was_asked("tools/call hang")));
    tokio::select! {
        _ = all => panic!("they hang"),
        () = each_has_one => {}
    }
}

#[tokio::test(start_paused = true)]
async fn each_session_has_an_instance_of_its_own_until_it_ends() {
    let world = World::start(specs([shared_by(Share::Session)])).await;
    world.reaches("git", State::Ready).await;
    until(|| world.tools().len() == 2).await;
    assert_eq!(world.fake.of("git").len(), 1, "one tells what there is");
    for key in ["a", "b", "a", "b"] {
        world.call_as("git", "echo", session(key)).await.unwrap();
    }
    assert_eq!(world.fake.of("git").len(), 3);
    world.upstreams.session_ended(&"a".into());
    until(|| world.fake.of("git").iter().filter(|instance| instance.runs()).count() == 2).await;
    // Nobody uses them, and what there is stays known.
    sleep(Duration::from_secs(120)).await;
    assert!(world.fake.of("git").iter().all(|instance| !instance.runs()));
    assert_eq!(world.tools().len(), 2);
    assert_eq!(world.upstreams.list()[0].state, State::Ready);
    world.call_as("git", "echo", session("b")).await.unwrap();
    assert_eq!(world.fake.of("git").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn those_of_one_principal_share_with_each_other_alone() {
    let world = World::start(specs([shared_by(Share::Principal)])).await;
    world.reaches("git", State::Ready).await;
    let mut same = session("1");
    same.principal = "ann".into();
    for who in [principal("ann"), same, principal("bob")] {
        world.call_as("git", "echo", who).await.unwrap();
    }
    assert_eq!(world.fake.of("git").len(), 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_instance_in_vain_is_told() {
    let world = World::start(specs([shared_by(Share::Session)])).await;
    world.reaches("git", State::Ready).await;
    world.fake.be(Mood::Dying);
    let error = world.call_as("git", "echo", session("a")).await.unwrap_err();
    assert_eq!(error.code, Code::UpstreamDown);
    assert!(error.message.contains("status 1"), "{error:?}");
    world.fake.be(Mood::Kind);
    let mut is_back = false;
    for _ in 0..100 {
        sleep(Duration::from_secs(1)).await;
        is_back = is_back || world.call_as("git", "echo", session("a")).await.is_ok();
    }
    assert!(is_back);
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_is_told_by_the_instance_that_is_theirs() {
    let world = World::start(specs([shared_by(Share::Session)])).await;
    until(|| world.tools().len() == 2).await;
    let mut changes = world.published.changes();
    let scope = Scope::Federated;
    let interest = world.published.subscribe(&scope, "x://a", &session("a")).unwrap();
    // Without any call it gets one.
    until(|| world.fake.of("git").len() == 2).await;
    let theirs = world.fake.of("git").remove(1);
    until(|| theirs.was_asked("resources/subscribe x://a")).await;
    let params = json!({ "uri": "x://a" });
    let method = "notifications/resources/updated";
    theirs.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    let change = changes.recv().await.unwrap();
    assert_eq!(change.what, Event::ResourceUpdated("x://a".to_owned()));
    assert_eq!(change.circle, Circle::Session("a".into()));
    assert!(change.is_seen_by(&scope, &session("a")) && !change.is_seen_by(&scope, &session("b")));
    // It stays as long as somebody listens.
    sleep(Duration::from_secs(600)).await;
    assert!(theirs.runs());
    drop(interest);
    until(|| theirs.was_asked("resources/unsubscribe x://a")).await;
    until(|| !theirs.runs()).await;
}
