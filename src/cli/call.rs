//! `erlmcp call TOOL`: a tool of the running node, called by hand.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::control::{ANSWER, Look, block_on, read};
use super::exit::{FAILED, Failure, print};
use super::layout::printable;

#[derive(Debug, Args)]
pub(super) struct Call {
    /// The tool's name on /mcp, such as demo__echo.
    #[arg(value_name = "TOOL")]
    tool: String,
    /// Its arguments, a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    args: Map<String, Value>,
    /// How long it may take; the node's requests.timeout_ms holds, too.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    look: Look,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("give a JSON object: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default)]
    is_error: bool,
}

impl Call {
    pub(super) fn run(self) -> Result<(), Failure> {
        let answer = block_on(self.ask())?;
        let ToolResult { content, is_error } = read(&answer)?;
        if self.look.json {
            print(answer.get())?;
        } else if !content.is_empty() {
            let shown: Vec<_> = content.iter().map(text_of).collect();
            print(&printable(&shown.join("\n")))?;
        }
        if is_error {
            return Err(Failure::new(FAILED, "the tool says that it failed"));
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Box<RawValue>, Failure> {
        let timeout = Duration::from_secs(self.timeout);
        let (tool, arguments) = (&self.tool, &self.args);
        let timeout_ms = self.timeout * 1_000;
        let params = json!({ "tool": tool, "arguments": arguments, "timeout_ms": timeout_ms });
        self.look.target.connect().await?.ask("call", params, timeout + ANSWER).await
    }
}

/// A piece of content as people read it; what is no text stays JSON.
fn text_of(content: &Value) -> String {
    match (content.get("type").and_then(Value::as_str), content.get("text")) {
        (Some("text"), Some(Value::String(text))) => text.clone(),
        _ => content.to_string(),
    }
}
