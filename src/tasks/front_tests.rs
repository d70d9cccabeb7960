//! Tests of a task's life below a real supervisor: its ends, whoever brings them, its owner, its
//! limits, and that nothing is left of it.

use serde_json::json;
use supervisors::ChildInfo;
use tokio::time::advance;

use super::super::Inside;
use super::super::world_tests::{
    Client, LEGACY, MODERN, World, endless, form, id_of, ms, new_task, parse, result, value,
};
use super::*;
use crate::tasks::wire::RELATED_TASK;

/// The children that work now.
async fn working(world: &World) -> Vec<ChildInfo> {
    world.slot.wait().await.which_children().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_created_task_is_found_at_once_and_works() {
    let world = World::start().await;
    for revision in [LEGACY, MODERN] {
        let (work, _dropped) = endless();
        let created = world.tasks.create(&world.owner, new_task(revision, None, work)).await;
        let created = value(&created.unwrap());
        let found = world.get(&id_of(&created), revision);
        assert_eq!(found["status"], "working");
        match revision {
            LEGACY => assert_eq!(created["task"], found),
            _ => assert_eq!(
                (&created["resultType"], &created["ttlMs"]),
                (&json!("task"), &found["ttlMs"])
            ),
        }
    }
    assert_eq!(working(&world).await.len(), 2);
    assert_eq!(world.counted("working"), Some(2));
}

#[tokio::test(start_paused = true)]
async fn the_work_s_outcome_ends_the_task() {
    let world = World::start().await;
    let table = [
        (result(r#"{"a":1}"#), "completed", "completed"),
        (result(r#"{"isError":true}"#), "failed", "completed"),
        (Err(RpcError::resource_not_found("a:b")), "failed", "failed"),
    ];
    for (outcome, legacy, modern) in table {
        let given = outcome.clone();
        let id = world.create(LEGACY, None, |_| async { given }).await;
        world.until(&id, LEGACY, legacy).await;
        let told = world.until(&id, MODERN, modern).await;
        assert_eq!(
            (told.get("result").is_some(), told.get("error").is_some()),
            match &outcome {
                Ok(_) => (true, false),
                Err(_) => (false, true),
            }
        );
        let client: Arc<dyn ClientLink> = Client::silent();
        let fetched = world.tasks.result(&world.owner, &id, client).await;
        match (fetched, outcome) {
            (Ok(fetched), Ok(given)) => {
                let mut expected = value(&given);
                expected["_meta"] = json!({ RELATED_TASK: { "taskId": id } });
                assert_eq!(value(&fetched), expected);
            }
            (fetched, given) => assert_eq!(fetched, given),
        }
    }
    world.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_dies_fails_its_task_once() {
    let world = World::start().await;
    let mut changes = world.tasks.changes();
    let later = world.create(MODERN, None, |_| async { panic!("on purpose") }).await;
    let work = |_: Inside| -> std::future::Ready<Outcome> { panic!("on purpose") };
    let at_once = world.create(MODERN, None, work).await;
    let (work, dropped) = endless();
    let killed = world.create(MODERN, None, work).await;
    for id in [&later, &at_once] {
        world.until(id, MODERN, "failed").await;
    }
    world.until_idle_but(1).await;
    let key = working(&world).await[0].key;
    world.slot.wait().await.terminate_child(key).await.unwrap();
    dropped.notified().await;
    for id in [&later, &at_once, &killed] {
        let error = &world.get(id, MODERN)["error"];
        assert_eq!(error["code"], -32603);
        assert_eq!(error["data"], json!({ "reason": "crashed", "part": "task" }));
    }
    world.until_idle().await;
    let mut told: Vec<String> = Vec::new();
    while let Ok(change) = changes.try_recv() {
        told.push(change.id.as_str().to_owned());
    }
    told.sort();
    let mut expected = [later, at_once, killed];
    expected.sort();
    assert_eq!(told, expected, "each ends once");
}

#[tokio::test(start_paused = true)]
async fn tasks_outlive_their_supervisor_and_new_ones_wait_for_the_next() {
    let world = World::start().await;
    let done = world.create(MODERN, None, |_| async { result("{}") }).await;
    world.until(&done, MODERN, "completed").await;
    let (work, dropped) = endless();
    let running = world.create(MODERN, None, work).await;
    world.root.terminate_child("tasks").await.unwrap();
    dropped.notified().await;
    world.until(&running, MODERN, "failed").await;
    world.get(&done, MODERN);

    let create = world.create(MODERN, None, |_| async { result("{}") });
    let restart = async {
        advance(ms(1_000)).await;
        world.root.restart_child("tasks").await.unwrap();
    };
    let (id, ()) = tokio::join!(create, restart);
    world.until(&id, MODERN, "completed").await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_can_t_be_started_leaves_nothing() {
    let world = World::start().await;
    world.root.terminate_child("tasks").await.unwrap();
    let (work, dropped) = endless();
    let error = world.tasks.create(&world.owner, new_task(MODERN, None, work)).await.unwrap_err();
    assert_eq!(error.code, Code::InternalError);
    dropped.notified().await;
    assert!(world.tasks.is_empty());

    // The client goes away while its task is being created.
    let (work, dropped) = endless();
    let create = world.tasks.create(&world.owner, new_task(MODERN, None, work));
    assert!(timeout(ms(1), create).await.is_err());
    dropped.notified().await;
    assert!(world.tasks.is_empty());
    assert_eq!(world.counted("working"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_the_work_and_is_final() {
    let world = World::start().await;
    for revision in [LEGACY, MODERN] {
        let (work, dropped) = endless();
        let id = world.create(revision, None, work).await;
        let cancel = || world.tasks.cancel(&world.owner, &id, revision);
        let heard = value(&cancel().unwrap());
        dropped.notified().await;
        world.until_idle().await;
        assert_eq!(world.get(&id, revision)["status"], "cancelled");
        match revision {
            LEGACY => {
                assert_eq!(heard, world.get(&id, LEGACY));
                let error = cancel().unwrap_err();
                assert_eq!(error.code, Code::InvalidParams);
                assert!(error.message.contains("\"cancelled\""), "{}", error.message);
                let client: Arc<dyn ClientLink> = Client::silent();
                let error = world.tasks.result(&world.owner, &id, client).await.unwrap_err();
                assert_eq!(error.code, Code::Cancelled);
            }
            _ => {
                assert_eq!(heard, json!({ "resultType": "complete" }));
                assert_eq!(value(&cancel().unwrap()), heard);
                let task = world.get(&id, MODERN);
                assert!(task.get("error").is_none() && task.get("result").is_none());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_cancels_what_it_started_still_has_its_own_outcome() {
    let world = World::start().await;
    let work = |inside: Inside| async move {
        inside.cancelled.cancel();
        tokio::task::yield_now().await;
        Err(RpcError::timed_out(5))
    };
    let id = world.create(MODERN, None, work).await;
    let task = world.until(&id, MODERN, "failed").await;
    assert_eq!(task["error"]["data"]["limitMs"], 5);
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_too_long_fails_and_is_dropped() {
    let world = World::start_with(Config { timeout_ms: 5_000, ..Config::default() }).await;
    let (work, dropped) = endless();
    let id = world.create(MODERN, None, work).await;
    let task = world.until(&id, MODERN, "failed").await;
    dropped.notified().await;
    assert_eq!(task["error"]["data"], json!({ "reason": "timeout", "limitMs": 5_000 }));
}

async fn asks_in_vain(inside: Inside) -> Outcome {
    inside.client.ask(form("?")).await?;
    result("{}")
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_thousand_tasks() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for number in 0..1_000_u64 {
        let ttl_ms = Some(10_000 + number * 7 % 1_000);
        ids.push(match number % 3 {
            0 => world.create(LEGACY, ttl_ms, |_| async { result("{}") }).await,
            1 => world.create(MODERN, ttl_ms, endless().0).await,
            _ => world.create(LEGACY, ttl_ms, asks_in_vain).await,
        });
    }
    assert_eq!(world.tasks.len(), 1_000);
    let client: Arc<dyn ClientLink> = Client::silent();
    let waiting = world.tasks.result(&world.owner, &ids[998], client);
    let (outcome, ()) = tokio::join!(waiting, tokio::time::sleep(ms(11_000)));
    assert_eq!(outcome.unwrap_err().code, Code::TimedOut);
    assert!(world.tasks.is_empty());
    for id in ids {
        let error = world.tasks.get(&world.owner, &id, MODERN).unwrap_err();
        assert_eq!(error.code, Code::InvalidParams);
    }
    world.until_idle().await;
    for state in ["working", "input_required", "completed", "failed"] {
        assert_eq!(world.counted(state), Some(0), "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_its_owner_s_alone() {
    let world = World::start().await;
    let other = Owner::new("somebody else");
    let (work, dropped) = endless();
    let id = world.create(MODERN, None, work).await;
    let tasks = &world.tasks;
    let client: Arc<dyn ClientLink> = Client::silent();
    let refused = [
        tasks.get(&other, &id, MODERN),
        tasks.cancel(&other, &id, MODERN),
        tasks.update(&other, &id, BTreeMap::new()),
        tasks.result(&other, &id, client).await,
        tasks.get(&world.owner, "no such id", LEGACY),
    ];
    let unknown = RpcError::invalid_params("unknown task");
    assert!(refused.into_iter().all(|refused| refused == Err(unknown.clone())));
    assert!(tasks.owns(&world.owner, &id) && !tasks.owns(&other, &id));
    assert!(tasks.notification(&other, &id, MODERN).is_none());
    assert_eq!(value(&tasks.list(&other, None).unwrap()), json!({ "tasks": [] }));
    tasks.forget(&other);
    assert_eq!(world.get(&id, MODERN)["status"], "working");
    tasks.forget(&world.owner);
    dropped.notified().await;
    assert!(tasks.is_empty() && !tasks.owns(&world.owner, &id));
}

#[tokio::test(start_paused = true)]
async fn all_of_an_owner_s_tasks_are_listed_page_by_page() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for _ in 0..PAGE_SIZE + 5 {
        ids.push(world.create(LEGACY, None, |_| async { result("{}") }).await);
        advance(ms(1)).await;
    }
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = value(&world.tasks.list(&world.owner, cursor.as_deref()).unwrap());
        listed.extend(page["tasks"].as_array().unwrap().iter().map(id_of));
        cursor = page.get("nextCursor").map(|cursor| cursor.as_str().unwrap().to_owned());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let error = world.tasks.list(&world.owner, Some("x")).unwrap_err();
    assert_eq!(error.code, Code::InvalidParams);
}

#[tokio::test(start_paused = true)]
async fn past_a_limit_tasks_are_refused() {
    let world = World::start_with(Config { max_per_owner: 1, ..Config::default() }).await;
    let (work, _dropped) = endless();
    world.create(MODERN, None, work).await;
    let (work, _dropped) = endless();
    let refused = world.tasks.create(&world.owner, new_task(MODERN, None, work)).await;
    assert_eq!(refused, Err(RpcError::overloaded("tasks.max_per_owner")));
    let counted = world.metrics.encode().unwrap();
    assert!(counted.contains(r#"erlmcp_rejected_total{reason="tasks.max_per_owner"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_in_each_era_s_words() {
    let world = World::start().await;
    let mut changes = world.tasks.changes();
    let id = world.create(LEGACY, None, |_| async { result("{}") }).await;
    let change = changes.recv().await.unwrap();
    assert_eq!((&change.owner, change.id.as_str()), (&world.owner, &*id));
    for (revision, method, member) in
        [(LEGACY, "notifications/tasks/status", "ttl"), (MODERN, "notifications/tasks", "result")]
    {
        let told = world.tasks.notification(&change.owner, change.id.as_str(), revision).unwrap();
        let params = parse(told.params.as_deref());
        assert_eq!((told.method, &params["status"]), (method, &json!("completed")));
        assert!(params.get(member).is_some() && params.get("resultType").is_none());
    }
}
