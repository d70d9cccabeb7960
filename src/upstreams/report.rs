//! What is logged of an upstream's life: one line for each change, with its cause and what to do.

use std::sync::Arc;

use tokio::time::Instant;

use super::board::Board;
use super::exit::Exit;
use super::machine::{MemberId, State};
use crate::protocol::Kind;

/// Why an upstream is in a state, in one sentence. The end of an instance is the cause of all that
/// follows from it.
pub(super) fn cause(board: &Board, state: State, exit: Option<&Exit>) -> Arc<str> {
    let last = || match exit {
        Some(exit) => Some(exit.cause.clone()),
        None => board.last_end().map(|end| end.cause),
    };
    match state {
        State::Starting => "it is still starting".into(),
        State::Ready => "it serves".into(),
        State::Degraded | State::Restarting | State::Quarantined => {
            last().unwrap_or_else(|| "it is started again".to_owned()).into()
        }
        State::Disabled => match last() {
            Some(cause) => format!("{cause}; its configuration says not to start it again").into(),
            None => "the configuration disables it".into(),
        },
    }
}

/// An instance ended by itself.
pub(super) fn ended(board: &Board, member: MemberId, exit: &Exit) {
    let last_line = board.tail.last(1).pop().unwrap_or_default();
    tracing::warn!(
        upstream = %board.name,
        instance = member.0,
        reason = exit.reason,
        cause = exit.cause,
        uptime_ms = exit.uptime.as_millis(),
        stderr = last_line,
        "an instance of an upstream ended"
    );
}

/// The upstream is in another state.
pub(super) fn became(board: &Board, before: State, next_try: Option<Instant>) {
    let (upstream, state, cause) = (&*board.name, board.state(), board.cause());
    let (before, cause) = (before.as_str(), &*cause);
    let rest_ms = next_try.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
    match state {
        State::Starting | State::Ready => {
            let tools = board.part().own(Kind::Tools).len();
            tracing::info!(upstream, state = state.as_str(), before, tools, "an upstream changes");
        }
        State::Degraded | State::Restarting => {
            tracing::warn!(
                upstream,
                state = state.as_str(),
                before,
                cause,
                rest_ms,
                "an upstream changes"
            );
        }
        State::Quarantined => tracing::error!(
            upstream,
            state = state.as_str(),
            before,
            cause,
            rest_ms,
            advice = "`erlmcp logs NAME` shows what it wrote, `erlmcp restart NAME` tries it now",
            "an upstream changes"
        ),
        State::Disabled => tracing::warn!(
            upstream,
            state = state.as_str(),
            before,
            cause,
            advice = "`erlmcp restart NAME` starts it",
            "an upstream changes"
        ),
    }
}

/// What a server offers can't be written down.
pub(super) fn unwritable(board: &Board, error: &serde_json::Error) {
    tracing::error!(upstream = %board.name, %error, "its offer can't be written");
}
