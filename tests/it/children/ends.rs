//! Children that end by themselves, or are killed by others: it is told how, and nothing is left.

use erlmcp::provider::upstream::wire::Why;

use super::{Child, LONG, all_gone, held, launchers, send};
use crate::harness::until;

#[tokio::test]
async fn what_a_child_says_last_is_heard() {
    for launcher in launchers() {
        let script = r#"echo '{"jsonrpc":"2.0","id":1,"result":{}}'; echo bye >&2; exit 3"#;
        let mut child = Child::shell(&launcher, LONG, script);
        let closing = child.ended().await;
        assert_eq!((closing.why, closing.cause.as_str()), (Why::Crashed, "exited with status 3"));
        assert_eq!(child.mail.all(), ["answers 1 {}"]);
        assert_eq!(child.tail.last(9), ["bye"]);
    }
}

#[tokio::test]
async fn a_child_that_never_answered_is_told_of() {
    for launcher in launchers() {
        for (script, why, expected) in [
            ("exit 0", Why::Finished, "exited with status 0 before it answered"),
            ("echo 'Usage: server FILE' >&2; exit 2", Why::Crashed, "printed how it is used"),
            ("echo oh >&2; exit 1", Why::Crashed, "exited with status 1 before it answered"),
            ("kill -SEGV $$", Why::Crashed, "was killed by signal 11 (SIGSEGV)"),
        ] {
            let closing = Child::shell(&launcher, LONG, script).ended().await;
            assert_eq!(closing.why, why, "{script}");
            assert!(closing.cause.starts_with(expected), "{script}: {}", closing.cause);
        }
    }
}

#[tokio::test]
async fn kill_9_of_a_child_takes_along_what_holds_its_pipes() {
    for launcher in launchers() {
        let script = "sleep 1000 & echo pid $! >&2; echo pid $$ >&2; wait";
        let mut child = Child::shell(&launcher, LONG, script);
        let pids = child.pids(2).await;
        assert_eq!(child.vitals.pid(), Some(pids[1]));
        send("-KILL", pids[1]);
        let closing = child.ended().await;
        assert_eq!(closing.why, Why::Crashed);
        assert!(closing.cause.starts_with("was killed by signal 9 (SIGKILL)"), "{closing:?}");
        until(|| all_gone(&pids)).await;
    }
}

#[tokio::test]
async fn kill_9_of_a_grandchild_is_the_child_s_affair() {
    let script = r#"sleep 1000 & echo pid $! >&2; wait $!; echo '{"jsonrpc":"2.0","method":"a"}'
        read -r line"#;
    for launcher in launchers() {
        let child = Child::shell(&launcher, LONG, script);
        send("-KILL", child.pids(1).await[0]);
        child.mail.has("tells a").await;
        assert_eq!(child.stop().await.why, Why::Told);
    }
}

/// A process that left the group and the session, ignores SIGTERM, and whose parent is gone.
pub(super) const DAEMON: &str = r#"
    (setsid sh -c 'trap "" TERM HUP INT; echo pid $$ >&2; sleep 1000 & echo pid $! >&2; wait' &)
    "#;

#[tokio::test]
async fn what_a_child_left_behind_ends_with_it() {
    let mut child = Child::shell(&held(), LONG, &format!("{DAEMON} read -r line; exit 4"));
    let pids = child.pids(2).await;
    child.order("{}").await;
    assert_eq!(
        child.ended().await.cause,
        "exited with status 4 before it answered; `erlmcp logs` shows what it said"
    );
    assert!(all_gone(&pids));
}

#[tokio::test]
async fn orphans_are_reaped_while_the_child_goes_on() {
    let script = "(sh -c 'echo pid $$ >&2; exit 0' &) ; echo ready >&2; read -r line";
    let child = Child::shell(&held(), LONG, script);
    let pids = child.pids(1).await;
    until(|| all_gone(&pids)).await;
    child.stop().await;
}

#[tokio::test]
async fn a_child_that_closes_its_output_is_of_no_use() {
    let launcher = &launchers()[1];
    let mut child = Child::shell(launcher, super::SHORT, "exec >&- 2>&-; sleep 1000");
    let closing = child.ended().await;
    let expected = (Why::Crashed, "closed its standard output, and was stopped");
    assert_eq!((closing.why, closing.cause.as_str()), expected);
}
