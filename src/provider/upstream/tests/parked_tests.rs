//! Calls whose server asks a client that can't be asked while they run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Request, asked, failed, provider};
use super::fake::{Fake, legacy, reason};
use crate::protocol::Code;
use crate::provider::Questions;
use crate::provider::upstream::parked::{self, Limits};
use crate::provider::upstream::{Connection, Order, Over, Parked, UpstreamProvider};

fn form(message: &str) -> Value {
    json!({ "message": message, "requestedSchema": { "type": "object" } })
}

fn accept(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

struct World {
    connection: Arc<Connection>,
    fake: Fake,
    parked: Parked,
    provider: UpstreamProvider,
    client: Arc<Client>,
    /// Questions that the server asked in parked calls.
    questions: i64,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let (connection, fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
        let parked = Parked::new(limits);
        let provider = provider(&connection, &parked);
        let client = Arc::new(Client::modern("p"));
        Self { connection, fake, parked, provider, client, questions: 0 }
    }

    /// A call that ends with these questions, and its id at the server.
    async fn park(&mut self, messages: &[&str]) -> (Request, Questions, u64) {
        let request = Request::echo(&self.client, "{}").with_token("5");
        let (fake, questions) = (&mut self.fake, &mut self.questions);
        let play = async {
            let asked = fake.request().await;
            for message in messages {
                *questions += 1;
                fake.ask(*questions, "elicitation/create", &form(message), Some(asked.id));
            }
            asked.id
        };
        let (outcome, id) = tokio::join!(request.send(&self.provider), play);
        (request, asked(outcome), id)
    }
}

fn keys(questions: &Questions) -> Vec<&str> {
    questions.asks.keys().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn the_clients_next_request_goes_on_with_the_same_call() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, id) = world.park(&["Who?"]).await;
    assert_eq!(keys(&round), ["question-1"]);
    let params = round.asks["question-1"].params.as_deref().unwrap().get();
    assert_eq!(params, form("Who?").to_string());
    assert_eq!((world.parked.count(), world.connection.in_flight()), (1, 1));
    let next = request.again(&round, &[("question-1", accept("Ada"))]);
    let play = async {
        let answer = world.fake.message().await;
        assert_eq!((&answer["id"], &answer["result"]), (&json!(1), &accept("Ada")));
        // It is not called again; what it tells goes to the request that goes on.
        let progress = format!(r#"{{"progressToken":{id},"progress":1}}"#);
        world.fake.tell("notifications/progress", &progress);
        // And it asks again, in a round of its own.
        world.fake.ask(2, "elicitation/create", &form("Sure?"), None);
    };
    let (outcome, ()) = tokio::join!(next.send(&world.provider), play);
    let round = asked(outcome);
    assert_eq!(keys(&round), ["question-2"], "keys never come again");
    assert_eq!(world.client.told(), [r#"notifications/progress {"progressToken":5,"progress":1}"#]);
    let last = next.again(&round, &[("question-2", accept("yes"))]);
    let play = async {
        assert_eq!(world.fake.message().await["result"], accept("yes"));
        world.fake.answer(id, r#"{"content":[1.0]}"#);
    };
    let (result, ()) = tokio::join!(last.send(&world.provider), play);
    assert_eq!(result.unwrap(), r#"{"content":[1.0]}"#);
    assert_eq!((world.parked.count(), world.connection.in_flight()), (0, 0));
    assert!(world.fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn several_questions_are_one_round_and_the_unanswered_come_again() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, id) = world.park(&["One?", "Two?"]).await;
    assert_eq!(keys(&round), ["question-1", "question-2"]);
    let next = request.again(&round, &[("question-2", accept("2"))]);
    let again = asked(next.send(&world.provider).await);
    assert_eq!(keys(&again), ["question-1"]);
    assert_eq!(world.fake.message().await["id"], 2);
    // The server takes its other question back, and is done.
    world.fake.tell("notifications/cancelled", r#"{"requestId":1}"#);
    world.fake.answer(id, "{}");
    next.again(&again, &[]).send(&world.provider).await.unwrap();
    assert!(world.fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_once_and_only_for_its_principal() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, id) = world.park(&["Who?"]).await;
    let next = request.again(&round, &[("question-1", accept("Ada"))]);
    let other = next.clone().by(&Arc::new(Client::modern("q")));
    let error = failed(other.send(&world.provider).await);
    assert_eq!((error.code, reason(&error)), (Code::UpstreamLost, "parked_call_gone"));
    let play = async {
        world.fake.message().await;
        world.fake.answer(id, "{}");
    };
    let (first, second, ()) =
        tokio::join!(next.send(&world.provider), next.send(&world.provider), play);
    first.unwrap();
    assert_eq!(reason(&failed(second)), "parked_call_gone");
    assert_eq!(reason(&failed(next.send(&world.provider).await)), "parked_call_gone");
    assert!(world.fake.is_idle(), "nothing was run again");
}

#[tokio::test(start_paused = true)]
async fn what_happens_meanwhile_is_there_for_the_next_request() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, id) = world.park(&["Who?"]).await;
    // It stops waiting for the answer.
    world.fake.answer(id, r#"{"late":1}"#);
    let next = request.again(&round, &[("question-1", accept("Ada"))]);
    assert_eq!(next.send(&world.provider).await.unwrap(), r#"{"late":1}"#);
    // It never took its question back, so it is still answered.
    assert_eq!(world.fake.message().await["result"], accept("Ada"));

    let (request, round, _) = world.park(&["Who?"]).await;
    world.connection.close("killed by signal 9");
    let next = request.again(&round, &[("question-1", accept("Ada"))]);
    let error = failed(next.send(&world.provider).await);
    assert_eq!(reason(&error), "upstream_lost");
    assert!(error.message.contains("killed by signal 9"));
}

/// The call is cancelled at its server, and its question refused.
#[tokio::test(start_paused = true)]
async fn a_parked_call_does_not_hold_up_the_end_of_its_server() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, _) = world.park(&["Who?"]).await;
    world.connection.close("it is told to stop");
    world.fake.closed().await;
    assert_eq!(world.parked.count(), 1);
    let next = request.again(&round, &[("question-1", accept("Ada"))]);
    assert_eq!(failed(next.send(&world.provider).await).code, Code::UpstreamLost);
}

async fn assert_cancelled(fake: &mut Fake, call: u64) {
    let (mut cancelled, mut refused, mut abandoned) = (0, 0, 0);
    for _ in 0..3 {
        match fake.order().await {
            Order::Abandon(id) if id == call => abandoned += 1,
            Order::Message(text) => {
                let message: Value = serde_json::from_slice(&text).unwrap();
                cancelled += usize::from(message["params"]["requestId"] == call);
                refused += usize::from(message.get("error").is_some());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cancelled, refused, abandoned), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_stays_away_for_too_long_finds_the_call_cancelled() {
    let mut world = World::new(Limits::default()).await;
    let parked = world.parked.clone();
    let mut expiry = std::pin::pin!(parked::run(parked));
    let play = async {
        let (request, round, id) = world.park(&["Who?"]).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        let (.., second) = world.park(&["Who?"]).await;
        tokio::time::sleep(Duration::from_secs(301)).await;
        assert_cancelled(&mut world.fake, id).await;
        assert_eq!(world.parked.count(), 1);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_cancelled(&mut world.fake, second).await;
        let next = request.again(&round, &[("question-1", accept("Ada"))]);
        assert_eq!(reason(&failed(next.send(&world.provider).await)), "parked_call_gone");
        assert_eq!(world.connection.in_flight(), 0);
    };
    tokio::select! {
        () = &mut expiry => panic!("it never ends"),
        () = play => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_left_takes_its_call_along() {
    let mut world = World::new(Limits::default()).await;
    let (request, round, id) = world.park(&["Who?", "And?"]).await;
    let both = [("question-1", accept("1"))];
    let mut next = request.again(&round, &both).send(&world.provider);
    let again = asked((&mut next).await);
    assert_eq!(
        (keys(&again), world.fake.message().await["id"].clone()),
        (vec!["question-2"], json!(1))
    );
    let mut last = request_again(&world, &again).send(&world.provider);
    tokio::select! {
        biased;
        _ = &mut last => panic!("nothing was answered"),
        answer = world.fake.message() => assert_eq!(answer["id"], 2),
    }
    drop(last);
    assert_eq!(world.fake.message().await["params"]["requestId"], id);
    assert_eq!((world.parked.count(), world.connection.in_flight()), (0, 0));
}

fn request_again(world: &World, round: &Questions) -> Request {
    Request::echo(&world.client, "{}").again(round, &[("question-2", accept("2"))])
}

#[tokio::test(start_paused = true)]
async fn calls_are_parked_within_bounds() {
    let small = Limits { max: 3, max_per_principal: 2, ..Limits::default() };
    let cases: [(Limits, &[&str], usize); 3] = [
        (small, &["p", "p"], 2),
        (small, &["p", "q", "r"], 3),
        (Limits { max_bytes: 100, ..small }, &["p"], 1),
    ];
    for (limits, principals, parked) in cases {
        let mut world = World::new(limits).await;
        for principal in principals {
            world.client = Arc::new(Client::modern(principal));
            world.park(&["Who?"]).await;
        }
        let request = Request::echo(&world.client, "{}");
        let play = async {
            let asked = world.fake.request().await;
            world.fake.ask(9, "elicitation/create", &form("Who?"), Some(asked.id));
            asked.id
        };
        let (outcome, id) = tokio::join!(request.send(&world.provider), play);
        assert_eq!(failed(outcome).code, Code::Overloaded);
        assert_eq!(world.parked.count(), parked);
        assert_cancelled(&mut world.fake, id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_in_particular_has_only_the_nodes_bound() {
    let mut world = World::new(Limits { max_per_principal: 1, ..Limits::default() }).await;
    world.client = Arc::new(Client::modern(""));
    let first = world.park(&["Who?"]).await;
    // With another call of nobody's, only the stream tells whose a question is.
    let request = Request::echo(&world.client, "{}");
    let play = async {
        let asked = world.fake.request().await;
        world.fake.ask(9, "elicitation/create", &form("Who?"), Some(asked.id));
    };
    let (outcome, ()) = tokio::join!(request.send(&world.provider), play);
    asked(outcome);
    assert_eq!(world.parked.count(), 2);
    drop(first);
}
