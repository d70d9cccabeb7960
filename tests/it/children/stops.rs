//! Children that are stopped, or whose wire is dropped: whatever they do, nothing is left.

use std::time::Instant;

use erlmcp::provider::upstream::wire::{Order, Why};
use tokio::sync::mpsc::error::TrySendError;

use super::ends::DAEMON;
use super::{Child, LONG, SHORT, all_gone, held, launchers, parent, send};
use crate::harness::until;

#[tokio::test]
async fn the_end_of_its_input_is_enough_for_a_good_child() {
    for launcher in launchers() {
        let script =
            "trap 'echo terminated >&2' TERM; while read -r line; do :; done; echo bye >&2";
        let child = Child::shell(&launcher, LONG, script);
        let tail = child.tail.clone();
        child.stop().await;
        assert_eq!(tail.last(9), ["bye"]);
    }
}

#[tokio::test]
async fn sigterm_comes_next_to_the_whole_group() {
    for launcher in launchers() {
        let script = r#"
            sh -c 'trap "echo child >&2; exit" TERM; echo ready >&2; while :; do sleep 0.01; done' &
            trap 'wait; echo leader >&2; exit' TERM; while :; do sleep 0.01; done"#;
        let child = Child::shell(&launcher, 4 * SHORT, script);
        child.says("ready").await;
        let (tail, asked) = (child.tail.clone(), Instant::now());
        let closing = child.stop().await;
        assert!(asked.elapsed() >= 2 * SHORT, "SIGTERM came too early");
        assert_eq!((closing.why, closing.cause.as_str()), (Why::Told, "was stopped"));
        let said = tail.last(9);
        for line in ["child", "leader"] {
            assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
        }
    }
}

#[tokio::test]
async fn sigkill_comes_last_and_to_everything() {
    let script = format!("{DAEMON} trap '' TERM; echo pid $$ >&2; while :; do sleep 1; done");
    let child = Child::shell(&held(), SHORT, &script);
    let pids = child.pids(3).await;
    let closing = child.stop().await;
    assert_eq!(closing.cause, "was told to stop, did not within 600ms, and was killed");
    assert!(all_gone(&pids));
    let script = "trap '' TERM; echo pid $$ >&2; while :; do sleep 1; done";
    let child = Child::shell(&launchers()[1], SHORT, script);
    let pids = child.pids(1).await;
    let closing = child.stop().await;
    assert_eq!(closing.cause, "was told to stop, did not within 600ms, and was killed");
    assert!(all_gone(&pids));
}

#[tokio::test]
async fn a_child_that_was_halted_is_stopped_too() {
    for launcher in launchers() {
        let child = Child::shell(&launcher, SHORT, "echo pid $$ >&2; read -r line");
        let pids = child.pids(1).await;
        send("-STOP", pids[0]);
        assert_eq!(child.stop().await.why, Why::Told);
        assert!(all_gone(&pids));
    }
}

#[tokio::test]
async fn so_is_one_that_was_halted_with_its_holder() {
    let child = Child::shell(&held(), SHORT, "echo pid $$ >&2; read -r line");
    let pids = child.pids(1).await;
    let holder = parent(pids[0]);
    send("-STOP", holder);
    send("-STOP", pids[0]);
    assert_eq!(child.stop().await.why, Why::Told);
    assert!(all_gone(&pids) && !super::exists(holder));
}

#[tokio::test]
async fn a_wire_that_is_dropped_takes_everything_along() {
    for (launcher, daemon, count) in [(held(), DAEMON, 3), (launchers()[1].clone(), "", 1)] {
        let script = format!("{daemon} trap '' TERM; echo pid $$ >&2; while :; do sleep 1; done");
        let child = Child::shell(&launcher, LONG, &script);
        let pids = child.pids(count).await;
        drop(child);
        until(|| all_gone(&pids)).await;
    }
    let child = Child::shell(&held(), LONG, "echo pid $$ >&2; read -r line");
    let pids = child.pids(1).await;
    let holder = parent(pids[0]);
    send("-STOP", holder);
    drop(child);
    until(|| all_gone(&pids) && !super::exists(holder)).await;
}

#[tokio::test]
async fn a_child_that_reads_nothing_backs_up_and_stops() {
    for launcher in launchers() {
        let child = Child::shell(&launcher, SHORT, "echo pid $$ >&2; exec sleep 1000");
        let pids = child.pids(1).await;
        let order = || Order::Message(vec![b'x'; 64 * 1024].into());
        let mut taken = 0;
        while taken < 10_000 {
            match child.orders.try_send(order()) {
                Ok(()) => taken += 1,
                Err(TrySendError::Full(_)) => {
                    // The writer has had its chance, and took no more.
                    let before = child.orders.capacity();
                    for _ in 0..1_000 {
                        tokio::task::yield_now().await;
                    }
                    if child.orders.capacity() == before {
                        break;
                    }
                }
                Err(TrySendError::Closed(_)) => panic!("the wire ended"),
            }
        }
        assert!(taken < 1_200, "{taken} orders of 64 KB are more than the queue and the pipe");
        assert_eq!(child.stop().await.why, Why::Told);
        assert!(all_gone(&pids));
    }
}
