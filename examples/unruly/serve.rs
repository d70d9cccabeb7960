//! The loop: reads messages, and lets each request run by itself until it is answered or cancelled.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::server::{Request, Server};

/// Any message.
#[derive(Debug, Deserialize)]
struct Message {
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    result: Option<Value>,
    error: Option<Value>,
}

/// Serves until standard input ends, or as long as it likes.
pub(crate) async fn serve(arguments: Arguments) -> io::Result<ExitCode> {
    let ignores_end = arguments.ignores_stdin_end;
    let exit_after = arguments.exit_after.map(Duration::from_millis);
    let server = Arc::new(Server::new(arguments));
    let over = async {
        match exit_after {
            Some(time) => sleep(time).await,
            None => pending().await,
        }
    };
    tokio::pin!(over);
    let mut running = Running::default();
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => running.take(&server, line),
                None => break,
            },
            () = &mut over => return Ok(ExitCode::FAILURE),
        }
    }
    eprintln!("unruly: standard input ended");
    if ignores_end {
        pending::<()>().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The requests that run, by their ids.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    by_id: HashMap<String, AbortHandle>,
}

impl Running {
    fn take(&mut self, server: &Arc<Server>, line: String) {
        let Ok(message) = serde_json::from_str::<Message>(&line) else {
            eprintln!("unruly: this is no message: {line}");
            return;
        };
        let Message { id, method, params, result, error } = message;
        match (id, method) {
            (Some(id), Some(method)) => {
                let request = Request { id: id.clone(), method, params, line };
                let task = self.tasks.spawn(Arc::clone(server).answer(request));
                self.by_id.insert(id.to_string(), task);
            }
            (Some(id), None) => server.questions.answered(&id, result.or(error)),
            (None, Some(method)) if method == "notifications/cancelled" => {
                self.cancel(server, &params["requestId"]);
            }
            (None, _) => {}
        }
        while self.tasks.try_join_next().is_some() {}
        self.by_id.retain(|_, task| !task.is_finished());
    }

    fn cancel(&mut self, server: &Server, id: &Value) {
        if let Some(task) = self.by_id.remove(&id.to_string()) {
            task.abort();
            server.cancelled.fetch_add(1, Ordering::Relaxed);
            eprintln!("unruly: {id} was cancelled");
        }
    }
}
