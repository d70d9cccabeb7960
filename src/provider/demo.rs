//! The server `demo`: three small tools to try a node with.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::CallError;
use super::native::{NativeServer, ToolResult};

/// Longest sleep of `slow`, in seconds; requests usually time out long before.
const MAX_SLEEP_S: f64 = 3_600.0;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// The text to give back.
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    /// The first summand.
    a: f64,
    /// The second summand.
    b: f64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Slow {
    /// How long to wait, in seconds.
    seconds: f64,
}

/// Builds the server.
pub fn server() -> NativeServer {
    NativeServer::new("demo")
        .tool("echo", "Gives the text back.", |echo: Echo, _| async move {
            Ok(ToolResult::text(echo.text))
        })
        .tool("add", "Adds two numbers.", |add: Add, _| async move {
            let sum = add.a + add.b;
            Ok(ToolResult::text(sum.to_string()).structured(json!({ "sum": sum })))
        })
        .tool("slow", "Waits, then answers.", |slow: Slow, _| async move {
            tokio::time::sleep(sleep_time(slow.seconds)?).await;
            Ok(ToolResult::text(format!("waited {} s", slow.seconds)))
        })
}

fn sleep_time(seconds: f64) -> Result<Duration, CallError> {
    if (0.0..=MAX_SLEEP_S).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(CallError::InvalidArguments(format!("seconds must lie in 0..={MAX_SLEEP_S}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Operation;
    use crate::protocol::Revision;
    use crate::protocol::call::ToolCall;
    use crate::provider::Side;
    use crate::provider::run::{Ended, Job, run};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    async fn call(tool: &str, arguments: &str) -> String {
        let arguments = Some(serde_json::from_str(arguments).unwrap());
        let call = ToolCall { name: tool.into(), arguments, task: None };
        let job = Job {
            operation: Operation::CallTool(call),
            side: Side::silent(Revision::V2025_11_25),
            timeout: Duration::from_secs(10),
            cancelled: CancellationToken::new(),
        };
        match run(Arc::new(server()), job).await {
            Ok(Ended::Questions(_)) => "asks".to_owned(),
            Ok(Ended::Result(result)) => serde_json::to_string(&result).unwrap(),
            Err(error) => error.message,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_tools_do_what_they_say() {
        let table = [
            ("echo", r#"{"text":"hi"}"#, r#""text":"hi""#),
            ("add", r#"{"a":2,"b":3}"#, r#""text":"5""#),
            ("add", r#"{"a":0.5,"b":1}"#, r#""sum":1.5"#),
            ("slow", r#"{"seconds":1.5}"#, "waited 1.5 s"),
            ("slow", r#"{"seconds":20}"#, "longer than 10000 ms"),
            ("slow", r#"{"seconds":-1}"#, r#""isError":true"#),
            ("slow", r#"{"seconds":1e300}"#, r#""isError":true"#),
            ("add", r#"{"a":"2","b":3}"#, r#""isError":true"#),
            ("echo", "{}", r#""isError":true"#),
        ];
        for (tool, arguments, expected) in table {
            let answer = call(tool, arguments).await;
            assert!(answer.contains(expected), "{tool} {arguments}: {answer}");
        }
    }
}
