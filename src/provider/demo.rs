//! The server `demo`: one small thing of each kind, to try a node and its clients with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::CallError;
use super::native::{
    BuildError, Context, Elicited, Handle, HandlerError, NativeServer, NoArguments, Prompt,
    Sampling, Template, Tool, ToolBuilder, ToolResult, starting_with,
};

/// How often the clock tells that it changed.
const TICK: Duration = Duration::from_secs(1);
/// How often `slow` tells how far it is, at most; never more than ten times.
const PROGRESS: Duration = Duration::from_millis(250);
/// Longest summary, in tokens.
const SUMMARY_TOKENS: u32 = 200;
/// A resource that changes by itself.
const CLOCK: &str = "demo://clock";
/// Whom completion knows.
/// The server's name.
pub const NAME: &str = "demo";

const NAMES: [&str; 5] = ["Ada", "Alan", "Grace", "Joe", "Robert"];

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

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Sum {
    /// Both together.
    sum: f64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Slow {
    /// How long to wait, in seconds; requests usually time out long before the maximum.
    #[schemars(range(min = 0.0, max = 3_600.0))]
    seconds: f64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Summarize {
    /// The text to sum up.
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Person {
    /// What you are called.
    name: String,
    /// What you like best.
    favourite: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Greeting {
    /// Who is greeted.
    name: String,
}

/// Builds the server.
///
/// # Errors
/// None, as long as what it offers is valid.
pub fn server() -> Result<NativeServer, BuildError> {
    NativeServer::builder(NAME)
        .instructions("A server to try things with: it changes nothing and knows nothing.")
        .add(harmless("echo", "Gives the text back.").handler(echo))
        .add(harmless("add", "Adds two numbers.").output::<Sum>().handler(add))
        .add(harmless("slow", "Waits, and tells how far it is.").handler(slow))
        .add(harmless("fail", "Fails, always.").handler(fail))
        .add(harmless("ask", "Asks the user who they are, and greets them.").handler(ask))
        .add(harmless("summarize", "Lets the client's model sum up a text.").handler(summarize))
        .resource(CLOCK, "clock", "The time of day, in UTC.", "text/plain", |_| async { clock() })
        .add(
            Template::builder("demo://greeting/{name}", "greeting")
                .description("A greeting for anybody.")
                .mime("text/plain")
                .complete("name", |value, _| async move { starting_with(&value, NAMES) })
                .handler(|Greeting { name }, _| async move { format!("Hello, {name}!") }),
        )
        .add(
            Prompt::builder("greet")
                .description("Lets the model greet somebody.")
                .complete("name", |value, _| async move { starting_with(&value, NAMES) })
                .handler(|Greeting { name }, _| async move { format!("Greet {name}, in a poem.") }),
        )
        .background(tick)
        .build()
}

fn harmless(name: &str, description: &str) -> ToolBuilder {
    let tool = Tool::builder(name).description(description);
    tool.read_only(true).idempotent(true).open_world(false)
}

async fn echo(Echo { text }: Echo, _: Context) -> String {
    text
}

async fn add(Add { a, b }: Add, _: Context) -> Result<ToolResult, HandlerError> {
    let sum = a + b;
    if !sum.is_finite() {
        return Err("the sum is larger than any number".into());
    }
    Ok(ToolResult::text(sum.to_string()).structured(json!({ "sum": sum })))
}

async fn slow(Slow { seconds }: Slow, context: Context) -> String {
    let (start, total) = (Instant::now(), Duration::from_secs_f64(seconds));
    let step = PROGRESS.max(total / 10);
    let mut done = step;
    while done < total {
        sleep_until(start + done).await;
        context.progress(done.as_secs_f64(), Some(seconds), None);
        done += step;
    }
    sleep_until(start + total).await;
    context.progress(seconds, Some(seconds), None);
    format!("waited {seconds} s")
}

async fn fail(_: NoArguments, _: Context) -> Result<(), HandlerError> {
    Err("this tool fails, always".into())
}

async fn ask(_: NoArguments, context: Context) -> Result<String, CallError> {
    Ok(match context.elicit::<Person>("person", "Who are you?").await? {
        Elicited::Accepted(Person { name, favourite: Some(favourite) }) => {
            format!("Hello, {name}! {favourite} is fine, isn't it?")
        }
        Elicited::Accepted(Person { name, favourite: None }) => format!("Hello, {name}!"),
        Elicited::Declined => "Hello, whoever you are!".to_owned(),
        Elicited::Cancelled => "Another time, then.".to_owned(),
    })
}

async fn summarize(Summarize { text }: Summarize, context: Context) -> Result<String, CallError> {
    let sampling = Sampling::new(format!("Sum this up in one sentence:\n\n{text}"), SUMMARY_TOKENS);
    Ok(context.sample("summary", &sampling).await?.text())
}

/// The time of day. A clock that stands before 1970 shows midnight.
fn clock() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    time_of_day(seconds)
}

fn time_of_day(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

async fn tick(handle: Handle) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        handle.resource_updated(CLOCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Operation;
    use crate::protocol::Revision;
    use crate::protocol::call::ToolCall;
    use crate::provider::run::{Ended, Job, run};
    use crate::provider::{Hosted, Side};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    async fn outcome(operation: Operation) -> String {
        let job = Job {
            operation,
            side: Side::silent(Revision::V2025_11_25),
            timeout: Duration::from_secs(10),
            cancelled: CancellationToken::new(),
            unsent: Default::default(),
        };
        match run(Arc::new(server().unwrap()), job).await {
            Ok(Ended::Questions(_)) => "asks".to_owned(),
            Ok(Ended::Result(result)) => serde_json::to_string(&result).unwrap(),
            Err(error) => error.message,
        }
    }

    async fn call(tool: &str, arguments: &str) -> String {
        let arguments = Some(serde_json::from_str(arguments).unwrap());
        outcome(Operation::CallTool(ToolCall { name: tool.into(), arguments, task: None })).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_tools_do_what_they_say() {
        let table = [
            ("echo", r#"{"text":"hi"}"#, r#""text":"hi""#),
            ("add", r#"{"a":2,"b":3}"#, r#""text":"5""#),
            ("add", r#"{"a":0.5,"b":1}"#, r#""sum":1.5"#),
            ("add", r#"{"a":1e308,"b":1e308}"#, "larger than any number"),
            ("slow", r#"{"seconds":1.5}"#, "waited 1.5 s"),
            ("slow", r#"{"seconds":0}"#, "waited 0 s"),
            ("slow", r#"{"seconds":20}"#, "longer than 10000 ms"),
            ("slow", r#"{"seconds":-1}"#, r#""isError":true"#),
            ("slow", r#"{"seconds":1e300}"#, r#""isError":true"#),
            ("add", r#"{"a":"2","b":3}"#, r#""isError":true"#),
            ("add", r#"{"a":"2","b":3}"#, r#"/a: \"2\" is not of type \"number\""#),
            ("echo", "{}", r#""isError":true"#),
            ("fail", "{}", r#""isError":true"#),
            ("ask", "{}", "lacks a capability"),
        ];
        for (tool, arguments, expected) in table {
            let answer = call(tool, arguments).await;
            assert!(answer.contains(expected), "{tool} {arguments}: {answer}");
        }
    }

    #[tokio::test]
    async fn resources_are_read() {
        let read = |uri: &str| outcome(Operation::ReadResource(uri.to_owned()));
        assert!(read("demo://greeting/Ada").await.contains(r#""text":"Hello, Ada!""#));
        assert!(read(CLOCK).await.contains(r#""mimeType":"text/plain""#));
        assert_eq!(time_of_day(86_400 + 3_600 * 23 + 62), "23:01:02");
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_tells_that_it_changes() {
        let server = server().unwrap();
        let mut events = server.events();
        let ticking = server.background().unwrap();
        tokio::select! {
            () = ticking => panic!("the clock stands"),
            event = events.recv() => {
                assert_eq!(event.unwrap(), crate::provider::Event::ResourceUpdated(CLOCK.into()));
            }
        }
    }
}
