//! Children that say too much: nothing grows, and what matters still gets through.

use std::time::Instant;

use super::{Child, LONG, launchers};
use crate::harness::until;

const FLOODS: &str = r#"
    yes 'this is no message' & yes 'this is chatter' >&2 &
    while read -r line; do echo '
{"jsonrpc":"2.0","id":7,"result":{}}'; done; kill 0"#;

#[tokio::test]
async fn floods_on_both_outputs_are_counted_and_drown_nothing() {
    for launcher in launchers() {
        let child = Child::shell(&launcher, LONG, FLOODS);
        until(|| child.vitals.noise() > 20_000 && child.vitals.stderr_lines() > 20_000).await;
        let before = memory();
        for _ in 0..10 {
            child.order("{}").await;
        }
        until(|| child.vitals.messages() > 5).await;
        until(|| child.vitals.noise() > 60_000 && child.vitals.stderr_lines() > 60_000).await;
        let grown = memory().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
        assert_eq!(child.tail.last(usize::MAX).len(), 200);
        child.stop().await;
    }
}

#[tokio::test]
async fn a_message_without_an_end_is_cut_off() {
    let script = r#"
        printf '{"jsonrpc":"2.0","id":3,"result":"'
        head -c 40000000 /dev/zero | tr '\0' x
        printf '\n{"jsonrpc":"2.0","id":4,"result":{}}\n'
        read -r line"#;
    for launcher in launchers() {
        let child = Child::shell(&launcher, LONG, script);
        child.mail.has("answers 4 {}").await;
        let expected = ["fails 3: its answer is larger than 16777216 bytes", "answers 4 {}"];
        assert_eq!(child.mail.all(), expected);
        assert_eq!((child.vitals.cut(), child.vitals.messages()), (1, 1));
        child.stop().await;
    }
}

/// Through `cat`, which answers at once; the figure is told, and only slowness beyond doubt fails.
#[tokio::test(flavor = "multi_thread")]
async fn small_messages_are_carried_by_the_thousand() {
    const MESSAGES: u64 = 20_000;
    for launcher in launchers() {
        let child = Child::shell(&launcher, LONG, "exec cat");
        let began = Instant::now();
        for _ in 0..MESSAGES {
            child.order(r#"{"jsonrpc":"2.0","id":17,"result":{"content":[]}}"#).await;
        }
        until(|| child.vitals.messages() == MESSAGES).await;
        let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
        println!("{rate:.0} messages a second there and back");
        assert!(rate > 1_000.0, "{rate}");
        child.stop().await;
    }
}

/// Bytes of memory that this process has.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4_096
}
