//! Tests of questions inside tasks, in both eras, and of what else goes to the client.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use super::super::Inside;
use super::super::machine::Outcome;
use super::super::wire::RELATED_TASK;
use super::super::world_tests::{
    Client, LEGACY, MODERN, World, form, id_of, ms, new_task, parse, raw, result, value,
};
use super::*;
use crate::protocol::{Code, RpcError};
use crate::tasks::Config;

/// Asks two things at once, and answers with what it was answered.
async fn asks_two(inside: Inside) -> Outcome {
    let (a, b) = tokio::join!(inside.client.ask(form("a")), inside.client.ask(form("b")));
    result(&format!(r#"{{"a":{},"b":{}}}"#, a?.get(), b?.get()))
}

/// Asks one thing, and answers with what it was answered.
async fn asks_one(inside: Inside) -> Outcome {
    result(&format!(r#"{{"a":{}}}"#, inside.client.ask(form("a")).await?.get()))
}

fn answers(all: &[(&str, &str)]) -> BTreeMap<String, Box<RawValue>> {
    all.iter().map(|(key, answer)| ((*key).to_owned(), raw(answer))).collect()
}

#[tokio::test(start_paused = true)]
async fn modern_clients_see_the_questions_and_answer_them_in_parts() {
    let world = World::start().await;
    let id = world.create(MODERN, None, asks_two).await;
    let keys = |task: &serde_json::Value| {
        task["inputRequests"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let mut task = world.until(&id, MODERN, "input_required").await;
    while keys(&task).len() < 2 {
        tokio::task::yield_now().await;
        task = world.get(&id, MODERN);
    }
    assert_eq!(keys(&task), ["q1", "q2"]);
    let question = json!({ "method": "elicitation/create", "params": { "message": "a" } });
    assert_eq!(task["inputRequests"]["q1"], question);

    let update = |all| world.tasks.update(&world.owner, &id, answers(all));
    let refused = update(&[("q1", "{}"), ("q2", "5")]).unwrap_err();
    assert_eq!(refused.code, Code::InvalidParams);
    let heard = value(&update(&[("q2", r#"{"b":1}"#), ("unknown", "5")]).unwrap());
    assert_eq!(heard, json!({ "resultType": "complete" }));
    let task = world.get(&id, MODERN);
    assert_eq!((&task["status"], keys(&task)), (&json!("input_required"), vec!["q1".to_owned()]));
    // The second answer to a question changes nothing.
    update(&[("q2", r#"{"b":2}"#)]).unwrap();
    update(&[("q1", r#"{"a":1}"#)]).unwrap();
    let task = world.until(&id, MODERN, "completed").await;
    let given = json!({ "a": { "a": 1 }, "b": { "b": 1 }, "resultType": "complete" });
    assert_eq!(task["result"], given);
    update(&[("q1", "{}")]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn legacy_clients_are_asked_while_they_wait_for_the_result() {
    let world = World::start().await;
    let id = world.create(LEGACY, None, asks_two).await;
    world.until(&id, LEGACY, "input_required").await;
    assert!(world.get(&id, LEGACY).get("inputRequests").is_none());
    let client = Client::new(Ok(r#"{"action":"accept"}"#));
    let fetched = world.tasks.result(&world.owner, &id, client.clone()).await;
    let related = json!({ RELATED_TASK: { "taskId": id } });
    let accepted = json!({ "action": "accept" });
    let expected = json!({ "a": accepted, "b": accepted, "_meta": related });
    assert_eq!(value(&fetched.unwrap()), expected);
    let mut asked = client.asked();
    asked.sort_by_key(ToString::to_string);
    let question = |message| json!({ "message": message, "_meta": related });
    let mut expected = [question("a"), question("b")];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(asked, expected);
}

#[tokio::test(start_paused = true)]
async fn a_question_outlives_the_client_that_goes_away_under_it() {
    let world = World::start().await;
    let id = world.create(LEGACY, None, asks_one).await;
    let silent = Client::silent();
    {
        let waiting = world.tasks.result(&world.owner, &id, silent.clone());
        tokio::select! {
            _ = waiting => panic!("nobody answered"),
            () = silent.was_asked.notified() => {}
        }
    }
    let gone = Client::new(Err(AskError::Gone));
    let waiting = world.tasks.result(&world.owner, &id, gone.clone());
    assert!(timeout(ms(10), waiting).await.is_err());
    assert_eq!(world.get(&id, LEGACY)["status"], "input_required");

    // Two wait at once: both are asked, the first answer counts, and both have the result.
    let (silent, client) = (Client::silent(), Client::new(Ok(r#"{"n":1}"#)));
    let (one, two) = tokio::join!(
        world.tasks.result(&world.owner, &id, silent.clone()),
        world.tasks.result(&world.owner, &id, client.clone()),
    );
    let expected = json!({ "a": { "n": 1 }, "_meta": { RELATED_TASK: { "taskId": id } } });
    assert_eq!((value(&one.unwrap()), value(&two.unwrap())), (expected.clone(), expected));
    assert_eq!((silent.asked().len(), client.asked().len(), gone.asked().len()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_the_work() {
    let world = World::start().await;
    let id = world.create(LEGACY, None, asks_one).await;
    let refusal = AskError::Refused { code: -1, message: "no".into() };
    let client = Client::new(Err(refusal.clone()));
    let fetched = world.tasks.result(&world.owner, &id, client).await;
    assert_eq!(fetched, Err(RpcError::from(refusal)));
    assert_eq!(world.get(&id, LEGACY)["status"], "failed");
}

#[tokio::test(start_paused = true)]
async fn questions_are_taken_back_when_nobody_waits_for_their_answer() {
    let world = World::start_with(Config { ask_timeout_ms: 4_000, ..Config::default() }).await;
    let started = Instant::now();
    let id = world
        .create(MODERN, None, |inside| async move {
            let abandoned = timeout(ms(1_000), inside.client.ask(form("a"))).await;
            assert!(abandoned.is_err());
            sleep(ms(1_000)).await;
            let in_time = inside.client.ask(form("b")).await.map(|_| ());
            assert_eq!(in_time, Err(AskError::TimedOut));
            std::future::pending().await
        })
        .await;
    let keys = |task: serde_json::Value| task["inputRequests"].clone();
    assert!(keys(world.until(&id, MODERN, "input_required").await).get("q1").is_some());
    world.until(&id, MODERN, "working").await;
    assert!(keys(world.until(&id, MODERN, "input_required").await).get("q2").is_some());
    world.until(&id, MODERN, "working").await;
    assert!(started.elapsed() >= ms(6_000) && started.elapsed() < ms(6_100));
    world.tasks.cancel(&world.owner, &id, MODERN).unwrap();
    world.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_takes_back_the_questions() {
    let world = World::start().await;
    let id = world.create(MODERN, None, asks_two).await;
    world.until(&id, MODERN, "input_required").await;
    world.tasks.cancel(&world.owner, &id, MODERN).unwrap();
    world.until_idle().await;
    let task = world.get(&id, MODERN);
    assert!(task["status"] == "cancelled" && task.get("inputRequests").is_none());
    world.tasks.update(&world.owner, &id, answers(&[("q1", "{}")])).unwrap();
}

#[tokio::test(start_paused = true)]
async fn legacy_tasks_tell_their_progress_as_long_as_client_and_task_live() {
    let world = World::start().await;
    let progress = || Outgoing::new("notifications/progress", &json!({ "progress": 1.0 }));
    for (revision, client_lives) in [(LEGACY, true), (LEGACY, false), (MODERN, true)] {
        let tells = revision == LEGACY && client_lives;
        let (go, gone) = (Arc::new(Notify::new()), Client::silent());
        let client: Arc<dyn ClientLink> = gone.clone();
        let (link, linked) = oneshot::channel();
        let went = go.clone();
        let mut new = new_task(revision, None, move |inside| async move {
            went.notified().await;
            inside.client.notify(&progress());
            assert_eq!(inside.client.log_level(), tells.then_some(Level::Warning));
            let _ = link.send(inside.client);
            result("{}")
        });
        new.client = Some(Arc::downgrade(&client));
        let id = id_of(&value(&world.tasks.create(&world.owner, new).await.unwrap()));
        let told = gone.told.clone();
        if !client_lives {
            drop((client, gone));
        }
        go.notify_one();
        world.until(&id, revision, "completed").await;
        // Not any more: the task has ended.
        linked.await.unwrap().notify(&progress());
        let told: Vec<_> = told
            .lock()
            .unwrap()
            .iter()
            .map(|told| (told.method, parse(told.params.as_deref())))
            .collect();
        let params = json!({ "progress": 1.0, "_meta": { RELATED_TASK: { "taskId": id } } });
        let expected = tells.then_some(("notifications/progress", params));
        assert_eq!(told, Vec::from_iter(expected), "{revision} {client_lives}");
    }
}
