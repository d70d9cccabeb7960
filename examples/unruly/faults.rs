//! What a server does wrong while it runs.

use std::future::pending;
use std::io;
use std::process::{Command, ExitCode, Stdio, abort, exit};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Signal, getpid, kill_process, setsid};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::outcome::Outcome;
use crate::server::{Request, Server};

const MIB: usize = 1024 * 1024;

/// What is kept for the rest of its life.
static EATEN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Does what the tool of this name does wrong; `None` for a tool that does nothing wrong.
pub(crate) async fn call(server: &Server, request: &Request, tool: &str) -> Option<Outcome> {
    let arguments = &request.params["arguments"];
    let number = |name: &str, usual| {
        let given = arguments[name].as_u64().unwrap_or(usual);
        usize::try_from(given).unwrap_or(usize::MAX)
    };
    Some(match tool {
        "exit" => exit(i32::try_from(number("code", 0)).unwrap_or(1)),
        "abort" => abort(),
        "half" => {
            let answer = json!({ "jsonrpc": "2.0", "id": request.id, "result": {} }).to_string();
            server.output.raw(answer.as_bytes().split_at(answer.len() / 2).0);
            exit(1)
        }
        "stop" => match kill_process(getpid(), Signal::STOP) {
            Ok(()) => Outcome::text("goes on"),
            Err(error) => Outcome::error(-32603, error.to_string()),
        },
        "hang" => pending().await,
        "flood_stdout" => {
            for line in 0..number("lines", 10_000) {
                server.output.raw(format!("noise {line}\n").as_bytes());
            }
            Outcome::text("flooded")
        }
        "flood_stderr" => {
            (0..number("lines", 10_000)).for_each(|line| eprintln!("noise {line}"));
            Outcome::text("flooded")
        }
        "twice" => {
            server.respond(&request.id, Outcome::text("first"));
            Outcome::text("second")
        }
        "wrong_id" => {
            server.respond(&json!(987_654_321), Outcome::text("a number that nobody gave"));
            server.respond(&json!("unheard of"), Outcome::text("a text"));
            Outcome::Silence
        }
        "endless" => {
            let id = &request.id;
            server
                .output
                .raw(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"x":""#).as_bytes());
            server.output.endless(number("mb", 64).saturating_mul(MIB));
            server.output.raw(b"\n");
            Outcome::Silence
        }
        "eat_memory" => {
            let bytes = number("mb", 64).saturating_mul(MIB);
            EATEN.lock().unwrap_or_else(PoisonError::into_inner).push(vec![1; bytes]);
            Outcome::text("eaten")
        }
        "fork" => match fork(arguments["leaves_group"] != false) {
            Ok(pid) => Outcome::text(pid.to_string()),
            Err(error) => Outcome::error(-32603, error.to_string()),
        },
        _ => return None,
    })
}

/// Starts a process that holds its standard output and error and isn't ended by SIGTERM; in a
/// session of its own, if it is to leave the group. Gives its pid.
pub(crate) fn fork(leaves_group: bool) -> io::Result<u32> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--grandchild", if leaves_group { "true" } else { "false" }]);
    Ok(command.stdin(Stdio::null()).spawn()?.id())
}

/// Is the process that `fork` starts.
pub(crate) async fn outlive(leaves_group: bool) -> io::Result<ExitCode> {
    // Whoever listens to a signal isn't ended by it.
    let _deaf = signal(SignalKind::terminate())?;
    if leaves_group {
        setsid()?;
    }
    pending().await
}
