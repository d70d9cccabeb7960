//! Sharded supervisors.

use supervisors::{
    ChildError, ChildSpec, DynamicSupervisor, ExitReason, Link, Root, ShardedRef,
    ShardedSupervisor, SpecError, StartError,
};

use super::puppet::{Order, Puppet, PuppetRef};
use super::{Alive, one_for_one, secs, until};

type Shards = Root<ShardedRef<(), PuppetRef>>;

fn shards_of(number: usize, alive: &Alive) -> ShardedSupervisor<(), PuppetRef> {
    let alive = alive.clone();
    let shard = DynamicSupervisor::new("job", move |(): (), link: Link| {
        link.actor(Puppet { alive: alive.clone(), ..Puppet::default() }, ())
    });
    ShardedSupervisor::new(number, shard).intensity(3, secs(60))
}

/// How many children each shard has.
fn sizes(root: &Shards) -> Vec<usize> {
    let active = |tree: Option<&supervisors::Tree>| tree.map_or(0, |tree| tree.counts.active);
    root.tree().children.iter().map(|shard| active(shard.tree.as_ref())).collect()
}

/// The tree shows a supervisor a little later than its slot or its starter hears of it.
async fn until_shown(root: &Shards) {
    let all = async || root.tree().children.iter().all(|shard| shard.tree.is_some());
    until("all shards are shown", all).await;
}

/// Starts a child, and finds out in which shard.
async fn start(root: &Shards, key: &str) -> (usize, PuppetRef) {
    let before = sizes(root);
    let puppet = root.start_child(key, ()).await.unwrap().value().unwrap();
    let after = sizes(root);
    let grown: Vec<_> = (0..after.len()).filter(|&at| after[at] == before[at] + 1).collect();
    assert_eq!(grown.len(), 1, "{before:?} {after:?}");
    (grown[0], puppet)
}

async fn kill_supervisor_of(puppet: &PuppetRef) {
    puppet.cast(Order::KillSupervisor).unwrap();
    until("its end", async || puppet.get_status() == ractor::ActorStatus::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_always_leads_to_the_same_shard() {
    let alive = Alive::default();
    let root = shards_of(4, &alive).start().await.unwrap();
    until_shown(&root).await;
    let mut first = Vec::new();
    for n in 0..40 {
        first.push(start(&root, &format!("key {n}")).await);
    }
    assert!(sizes(&root).iter().all(|&size| size > 0), "{:?}", sizes(&root));
    let killed = first[0].0;
    kill_supervisor_of(&first[0].1).await;
    until("its return", async || root.start_child("key 0", ()).await.is_ok()).await;
    until_shown(&root).await;
    for _ in 0..3 {
        for (n, (shard, _)) in first.iter().enumerate() {
            assert_eq!(start(&root, &format!("key {n}")).await.0, *shard);
        }
    }
    assert_eq!(root.tree().children[killed].restarts, 1);
    assert_eq!(root.tree().restarts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_was_killed_comes_back_and_the_others_do_not_notice() {
    let alive = Alive::default();
    let root = shards_of(3, &alive).start().await.unwrap();
    until_shown(&root).await;
    let mut all = Vec::new();
    for n in 0..60 {
        all.push(start(&root, &format!("key {n}")).await);
    }
    let killed = all[0].0;
    let size = sizes(&root)[killed];
    all[0].1.cast(Order::KillSupervisor).unwrap();
    // Meanwhile everybody is answered: who belongs to that shard maybe with `NoProc`.
    let (mut refused, mut started) = (0, 0);
    until("the restart", async || {
        for (n, (shard, _)) in all.iter().enumerate() {
            match root.start_child(format!("key {n}").as_str(), ()).await {
                Ok(child) => {
                    started += 1;
                    child.value().unwrap().stop(None);
                }
                Err(ChildError::NoProc) if *shard == killed => refused += 1,
                Err(error) => panic!("{error} in shard {shard}, {killed} was killed"),
            }
        }
        root.tree().restarts == 1
    })
    .await;
    assert!(started > 0, "{refused} were refused");
    until("what was killed is gone", async || alive.now() == 60 - size).await;
    for (shard, puppet) in &all {
        let lives = puppet.get_status() == ractor::ActorStatus::Running;
        assert_eq!(lives, *shard != killed, "a child of shard {shard}; {killed} was killed");
    }
    assert_eq!(root.count_children().await.unwrap().active, 60 - size);
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(alive.now(), 0);
    assert_eq!(root.start_child("key 0", ()).await.unwrap_err(), ChildError::NoProc);
    assert_eq!(root.count_children().await, Err(ChildError::NoProc));
}

#[tokio::test]
async fn shards_that_are_killed_too_often_end_all_of_it() {
    let alive = Alive::default();
    let root = shards_of(2, &alive).start().await.unwrap();
    for _ in 0..4 {
        let mut puppet = None;
        until("a child", async || {
            puppet = root.start_child("key", ()).await.ok().and_then(|child| child.value());
            puppet.is_some()
        })
        .await;
        kill_supervisor_of(&puppet.unwrap()).await;
    }
    assert_eq!(root.exited().await, ExitReason::Shutdown);
    assert_eq!(alive.now(), 0);
}

#[tokio::test]
async fn no_shards_are_an_error_with_a_name() {
    let alive = Alive::default();
    let error = shards_of(0, &alive).start().await.unwrap_err();
    assert_eq!(error, StartError::Spec(SpecError::NoShards));
    assert!(error.to_string().contains("`shards` is zero"), "{error}");
    let puppet = Puppet { alive: alive.clone(), ..Puppet::default() }.spec("first");
    let nested = ChildSpec::sharded("jobs", shards_of(0, &alive));
    let error = one_for_one().child(puppet).child(nested).start().await.unwrap_err();
    assert_eq!(error.to_string(), format!("child \"jobs\": {}", SpecError::NoShards));
    assert_eq!(alive.ever(), 0, "nothing was started");
}
