//! What the documents claim, held against a running node.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use erlmcp::telemetry::Metrics;
use tokio::process::Command;

use crate::harness::{TestNode, within};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of a language, as they stand.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = markdown.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_tree_is_drawn_as_it_is() {
    let test = TestNode::start().await;
    let tree = test.node.root().tree().to_string();
    for name in ["ARCHITECTURE.md", "README.md"] {
        let drawn = blocks(&document(name), "text");
        assert!(drawn.iter().any(|block| block.trim() == tree), "{name} does not show\n{tree}");
    }
    test.stop().await;
}

#[test]
fn the_metrics_are_those_of_the_table() {
    let metrics = Metrics::default();
    let registered: BTreeSet<&str> = metrics.names().iter().copied().collect();
    let table = document("docs/metrics.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let told: BTreeSet<&str> =
        names.map(|name| name.trim_end_matches("_total").trim_end_matches("_info")).collect();
    assert_eq!(told, registered);
}

#[test]
fn the_commands_are_those_of_the_table() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_erlmcp")).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    // A command's own line is indented by two; its description may go on below, further in.
    let names = commands.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' ')).filter_map(|l| l.split(' ').next());
    let there: BTreeSet<&str> = names.filter(|name| *name != "help").collect();
    let readme = document("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `erlmcp "));
    let told: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(told, there);
}

#[test]
fn the_readme_s_server_is_the_example() {
    let example = document("examples/hello.rs");
    let code = example.split_once("\n\n").unwrap().1;
    assert!(blocks(&document("README.md"), "rust").iter().any(|block| block == code));
}

/// The README's shell commands that call a node, run against this one.
#[tokio::test(flavor = "multi_thread")]
async fn the_readme_s_calls_answer() {
    let test = TestNode::start().await;
    let readme = document("README.md");
    let calls: Vec<_> =
        blocks(&readme, "sh").into_iter().filter(|block| block.contains("curl ")).collect();
    assert_eq!(calls.len(), 2, "one for each era");
    let address = test.url.trim_start_matches("http://");
    for (call, answer) in calls.iter().zip([r#""text":"5""#, r#""text":"hello""#]) {
        let output = Command::new("bash")
            .arg("-c")
            .arg(call.replace("127.0.0.1:8080", address))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within(output).await.unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.contains(answer), "{call}\n{out}\n{err}");
    }
    test.stop().await;
}
