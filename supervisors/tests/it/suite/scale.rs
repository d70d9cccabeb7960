//! Ten or a hundred times as many children take about ten or a hundred times as long, and not the
//! square of it. As in OTP's suite, the limits are wide: they are after the shape of the curve.

use std::time::{Duration, Instant};

use supervisors::{ChildSpec, DynamicSupervisor, ExitReason, Link, Strategy, Supervisor};

/// The shortest of a few times is the one that other tests disturbed least.
const TRIES: usize = 3;

/// How much longer the larger number takes.
fn scale(small: Duration, large: Duration) -> f64 {
    large.as_secs_f64() / small.as_secs_f64().max(1e-6)
}

#[tokio::test]
async fn simple_one_for_one_scale_many_temporary_children() {
    let pool = DynamicSupervisor::new("pool", |(): (), link: Link| async {
        link.task(std::future::pending::<()>())
    });
    let root = pool.start().await.unwrap();
    let stop_all = async |count: usize| {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let mut keys = Vec::new();
            for _ in 0..count {
                keys.push(root.start_child(()).await.unwrap().key().unwrap());
            }
            let begin = Instant::now();
            for key in keys {
                root.terminate_child(key).await.unwrap();
            }
            best = best.min(begin.elapsed());
        }
        best
    };
    let (small, large) = (stop_all(1000).await, stop_all(10_000).await);
    assert_eq!(root.count_children().await.unwrap().active, 0);
    let scale = scale(small, large);
    assert!(scale < 25.0, "10 times the children: {scale:.1} times as long ({large:?})");
}

#[tokio::test]
async fn scale_start_stop_many_children() {
    let run = async |count: usize| {
        let (mut starts, mut stops) = (Duration::MAX, Duration::MAX);
        for _ in 0..TRIES {
            let root = Supervisor::new(Strategy::OneForOne).start().await.unwrap();
            let begin = Instant::now();
            for number in 0..count {
                let child = ChildSpec::task(number.to_string(), std::future::pending::<()>);
                root.start_child(child).await.unwrap();
            }
            starts = starts.min(begin.elapsed());
            let begin = Instant::now();
            for number in 0..count {
                root.terminate_child(number.to_string()).await.unwrap();
            }
            stops = stops.min(begin.elapsed());
            assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
        }
        (starts, stops)
    };
    let (small_starts, small_stops) = run(500).await;
    let (large_starts, large_stops) = run(10_000).await;
    let (starts, stops) = (scale(small_starts, large_starts), scale(small_stops, large_stops));
    assert!(
        starts < 60.0 && stops < 60.0,
        "20 times the children: starts {starts:.1} times ({large_starts:?}), \
         stops {stops:.1} times as long ({large_stops:?})"
    );
}
