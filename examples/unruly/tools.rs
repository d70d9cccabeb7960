//! The tools: those that behave, those that ask, and those that don't behave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::faults;
use crate::library::NEWS;
use crate::outcome::Outcome;
use crate::questions::{self, ask};
use crate::server::{Request, Server};

/// The tool that comes and goes.
const CHANGING: &str = "changing";

/// A result with all that a node has to pass on as it is: members of nobody's, numbers that no
/// machine has, blanks, escapes, and an order of its own.
const VERBATIM: &str = concat!(
    r#"{ "x-unknown":{"b":1.0,"a":1e2, "n":12345678901234567890123},"#,
    r#""content":[{"type":"text","text":"\u00e9\/","x":null}],"#,
    r#""structuredContent":{"z":-0.0,"a":[]},"_meta":{"example.org/k":"v"},"isError":false }"#,
);

/// Name, description, and arguments with their types.
type Tool = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TOOLS: &[Tool] = &[
    ("echo", "Gives `text` back.", &[("text", "string")]),
    ("add", "Adds two numbers.", &[("a", "number"), ("b", "number")]),
    ("pid", "Tells its process id.", &[]),
    ("env", "Tells a variable of its environment.", &[("name", "string")]),
    ("cwd", "Tells where it runs.", &[]),
    ("line", "Gives its request back as it came, byte by byte.", &[]),
    ("verbatim", "Has a result that is written in an odd way.", &[]),
    ("big", "Has a result of so many bytes of text.", &[("bytes", "integer")]),
    ("sleep", "Waits so long; may be cancelled.", &[("ms", "integer")]),
    ("cancelled", "Tells how many requests were cancelled.", &[]),
    ("progress", "Tells so many steps, with pauses.", &[("steps", "integer"), ("ms", "integer")]),
    ("log", "Logs a message.", &[("level", "string"), ("text", "string")]),
    ("ask", "Asks the user.", &[]),
    ("sample", "Asks the model.", &[]),
    ("roots", "Asks for the roots.", &[]),
    ("change_tools", "Adds a tool, or takes it away.", &[]),
    ("change_resource", "Changes `unruly://news`.", &[]),
    ("exit", "Exits.", &[("code", "integer")]),
    ("abort", "Dies by a signal.", &[]),
    ("half", "Exits in the middle of its answer.", &[]),
    ("stop", "Stops its process; SIGCONT lets it go on.", &[]),
    ("hang", "Never answers.", &[]),
    ("flood_stdout", "Writes lines that are no messages.", &[("lines", "integer")]),
    ("flood_stderr", "Writes lines on standard error.", &[("lines", "integer")]),
    ("twice", "Answers twice.", &[]),
    ("wrong_id", "Answers what nobody asked, and not what was asked.", &[]),
    ("endless", "Begins an answer, and comes to no end.", &[("mb", "integer")]),
    ("eat_memory", "Keeps so much memory for good.", &[("mb", "integer")]),
    ("fork", "Starts a process that outlives it.", &[("leaves_group", "boolean")]),
];

/// The definitions of all tools.
pub(crate) fn definitions(server: &Server) -> Vec<Value> {
    let mut all: Vec<Value> = TOOLS.iter().map(definition).collect();
    if server.has_more.load(Ordering::Relaxed) {
        all.push(definition(&(CHANGING, "Comes and goes.", &[])));
    }
    if server.arguments.odd_definitions {
        all.extend(odd_definitions());
    }
    all
}

fn definition((name, description, arguments): &Tool) -> Value {
    let properties: Map<String, Value> = arguments
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": properties },
    })
}

/// Tools that nobody should offer: by their names, by what their schemas refer to, by their sizes.
fn odd_definitions() -> Vec<Value> {
    let named = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let mut all: Vec<Value> =
        ["", "a name with blanks", "ünïcode", "line\nbreak", "echo"].map(named).into();
    all.push(named(&"long".repeat(50)));
    let remote = json!({ "type": "object", "$ref": "https://example.com/schema.json" });
    all.push(json!({ "name": "remote_reference", "inputSchema": remote }));
    all.push(json!({ "name": "no_schema" }));
    all.push(json!({ "name": "schema_of_text", "inputSchema": "object" }));
    all.push(json!({ "name": 7, "inputSchema": { "type": "object" } }));
    let mut huge = named("huge");
    huge["description"] = json!("x".repeat(2 * 1024 * 1024));
    all.push(huge);
    all
}

pub(crate) async fn call(server: &Server, request: &Request) -> Outcome {
    let arguments = &request.params["arguments"];
    let text = |name: &str| arguments[name].as_str().unwrap_or_default();
    let number = |name: &str| arguments[name].as_u64().unwrap_or_default();
    let tool = request.params["name"].as_str().unwrap_or_default();
    match tool {
        "echo" => Outcome::text(text("text")),
        "add" => {
            let number = |name: &str| arguments[name].as_f64().unwrap_or_default();
            let sum = number("a") + number("b");
            let content = json!([{ "type": "text", "text": sum.to_string() }]);
            Outcome::Result(json!({ "content": content, "structuredContent": { "sum": sum } }))
        }
        "pid" => Outcome::text(std::process::id().to_string()),
        "env" => Outcome::text(std::env::var(text("name")).unwrap_or_default()),
        "cwd" => Outcome::text(std::env::current_dir().unwrap_or_default().to_string_lossy()),
        "line" => Outcome::text(&*request.line),
        "verbatim" => Outcome::Verbatim(VERBATIM),
        "big" => Outcome::text("x".repeat(usize::try_from(number("bytes")).unwrap_or_default())),
        "sleep" => {
            sleep(Duration::from_millis(number("ms"))).await;
            Outcome::text("awake")
        }
        "cancelled" => Outcome::text(server.cancelled.load(Ordering::Relaxed).to_string()),
        "progress" => progress(server, request, number("steps"), number("ms")).await,
        "log" => {
            let level = arguments["level"].as_str().unwrap_or("info");
            if server.logs(level, request) {
                let message = json!({ "level": level, "logger": "unruly", "data": text("text") });
                server.notify("notifications/message", message);
            }
            Outcome::text("logged")
        }
        "ask" => ask(server, request, "elicitation/create", questions::form()).await,
        "sample" => ask(server, request, "sampling/createMessage", questions::sampling()).await,
        "roots" => ask(server, request, "roots/list", json!({})).await,
        "change_tools" => {
            server.has_more.fetch_xor(true, Ordering::Relaxed);
            server.tell_tools_changed();
            Outcome::text("changed")
        }
        "change_resource" => {
            server.edition.fetch_add(1, Ordering::Relaxed);
            server.tell_updated(NEWS);
            Outcome::text("changed")
        }
        CHANGING if server.has_more.load(Ordering::Relaxed) => Outcome::text("here"),
        _ => match faults::call(server, request, tool).await {
            Some(outcome) => outcome,
            None => Outcome::invalid(format!("there is no tool {tool:?}")),
        },
    }
}

async fn progress(server: &Server, request: &Request, steps: u64, ms: u64) -> Outcome {
    let token = &request.params["_meta"]["progressToken"];
    for step in 1..=steps {
        if !token.is_null() {
            let params = json!({ "progressToken": token, "progress": step, "total": steps });
            server.notify("notifications/progress", params);
        }
        sleep(Duration::from_millis(ms)).await;
    }
    Outcome::text(format!("{steps} steps"))
}
