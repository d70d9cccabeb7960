//! Storms: clients open, call, cancel, answer, leave and come back at random, while actors are
//! killed under them. Whatever happens, each request has one outcome, and nothing is left behind.
//!
//! A seed gives what is done and in which order; how it interleaves with the node's work is up to
//! the machine. `ERLMCP_STORM_SEED=… cargo test -- hostile::storm` blows one storm again, and
//! `ERLMCP_STORMS=…` blows more of them.

mod exchange;
mod weather;

use std::time::{SystemTime, UNIX_EPOCH};

use weather::Weather;

/// Storms that always blow; those that found something belong here, too.
const SEEDS: [u64; 2] = [1, 2];
/// What is done in one storm.
const STEPS: usize = 250;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("it is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_outcome_and_nothing_is_left() {
    let seeds: Vec<u64> = match (variable("ERLMCP_STORM_SEED"), variable("ERLMCP_STORMS")) {
        (Some(seed), _) => vec![seed],
        (None, None) => SEEDS.to_vec(),
        (None, Some(count)) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            (now..now + count).collect()
        }
    };
    for seed in seeds {
        println!("storm {seed}");
        let mut weather = Weather::new(seed).await;
        for _ in 0..STEPS {
            weather.step().await;
        }
        weather.calm().await;
    }
}
