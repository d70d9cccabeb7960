//! Tests of the pace, in paused time.

use futures_util::future::BoxFuture;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::*;
use crate::protocol::{Ask, AskError, Level};

/// A client that notes what it is told, and when, in milliseconds.
struct Client {
    start: Instant,
    told: Mutex<Vec<(u64, String)>>,
}

impl Client {
    fn new() -> Self {
        Self { start: Instant::now(), told: Mutex::default() }
    }

    fn take(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl ClientLink for Client {
    fn notify(&self, notification: &Outgoing) {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        let what = notification.params.as_ref().map_or("", |params| params.get());
        self.told.lock().unwrap().push((at, what.to_owned()));
    }

    fn ask(&self, _: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        Box::pin(std::future::pending())
    }

    fn log_level(&self) -> Option<Level> {
        None
    }

    fn can_wait(&self) -> bool {
        false
    }
}

fn step(pace: &Pace, client: &Client, done: f64) {
    pace.progress(client, done, || Some(Outgoing::new("p", &json!(done))));
}

fn said(pace: &Pace, client: &Client) {
    pace.log(client, || Outgoing::new("l", &json!("said")));
}

#[tokio::test(start_paused = true)]
async fn the_newest_step_wins_and_the_last_is_never_lost() {
    let (unsent, client) = (Unsent::default(), Client::new());
    let pace = Pace::new(unsent.clone());
    let work = async {
        for done in 0..1_000 {
            step(&pace, &client, f64::from(done));
        }
        sleep(Duration::from_millis(250)).await;
        for done in [1_000.0, 1_001.0, 1_002.0] {
            step(&pace, &client, done);
        }
    };
    tokio::select! {
        biased;
        () = work => {}
        never = pace.keep_up(&client) => match never {},
    }
    pace.flush(&client);
    let told = client.take();
    let burst: Vec<_> = (0..PROGRESS.burst).map(|done| (0, format!("{done}.0"))).collect();
    let (first, rest) = told.split_at(burst.len());
    assert_eq!(first, burst);
    let expected = [(100, "999.0"), (250, "1000.0"), (250, "1002.0")];
    assert_eq!(rest, expected.map(|(at, done)| (at, done.to_owned())));
    assert_eq!(unsent.progress.get(), 1_000 - 16 - 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_grow_or_is_no_number_is_not_told() {
    let (pace, client) = (Pace::new(Unsent::default()), Client::new());
    for done in [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0, 0.5, 2.0] {
        step(&pace, &client, done);
    }
    assert_eq!(client.take(), [(0, "1.0".to_owned()), (0, "2.0".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn messages_past_the_bound_are_lost_and_counted() {
    let (unsent, client) = (Unsent::default(), Client::new());
    let pace = Pace::new(unsent.clone());
    for _ in 0..1_000 {
        said(&pace, &client);
    }
    let burst = LOG.burst as usize;
    assert_eq!(client.take().len(), burst);
    assert_eq!(unsent.log.get(), 1_000 - u64::from(LOG.burst));
    sleep(LOG.every * 3).await;
    for _ in 0..10 {
        said(&pace, &client);
    }
    assert_eq!(client.take().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_comes_behind_the_progress_before_it() {
    let (pace, client) = (Pace::new(Unsent::default()), Client::new());
    for done in 0..20 {
        step(&pace, &client, f64::from(done));
    }
    said(&pace, &client);
    let told: Vec<_> = client.take().into_iter().rev().map(|(_, what)| what).take(2).collect();
    assert_eq!(told, ["\"said\"", "19.0"]);
}
