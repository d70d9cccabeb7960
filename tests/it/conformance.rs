//! The official conformance suites, against the fixtures of `examples/conformance`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::clients::node;
use crate::harness::within;

/// A whole suite takes some seconds, on a busy machine some more.
const SUITE: std::time::Duration = std::time::Duration::from_secs(300);

/// The fixtures' node, in a process of its own.
pub(crate) struct Fixtures {
    pub(crate) url: String,
    _child: Child,
    _log: tokio::task::JoinHandle<()>,
}

impl Fixtures {
    pub(crate) async fn start() -> Self {
        let mut command = Command::new(example("conformance"));
        command.args(["--listen", "127.0.0.1:0"]).env_remove("ERLMCP_CONFIG");
        command.stderr(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("cargo test builds the examples");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = within(async {
            loop {
                let line = log.next_line().await.unwrap().expect("it says where it serves");
                if let Some((_, rest)) = line.split_once("http=") {
                    return rest.split(' ').next().unwrap().to_owned();
                }
            }
        });
        let url = format!("http://{}/mcp/conformance", address.await);
        let log = tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self { url, _child: child, _log: log }
    }
}

/// An example's binary, beside this test's own.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing; `cargo build --examples` makes it", path.display());
    path
}

/// Runs a suite against a server, and checks that all of at least `checks` checks passed.
async fn run(suite: &str, fixtures: &Fixtures, arguments: &[&str], checks: usize) {
    let (passed, failed) = run_at(&fixtures.url, suite, arguments, "expected-failures").await;
    assert!(
        failed == 0 && passed >= checks,
        "{suite} {arguments:?}: {passed} passed, {failed} not"
    );
}

/// Runs a suite against a server.
pub(crate) async fn run_at(
    url: &str,
    suite: &str,
    arguments: &[&str],
    expected: &str,
) -> (usize, usize) {
    run_suite(suite, &[&["server", "--url", url], arguments].concat(), expected).await
}

/// Runs a suite, and gives how many checks passed and failed.
pub(crate) async fn run_suite(suite: &str, arguments: &[&str], expected: &str) -> (usize, usize) {
    let told = run_checked(suite, arguments, expected).await;
    let total = told.lines().find_map(|line| line.strip_prefix("Total: "));
    let total = total.unwrap_or_else(|| panic!("no total: {told}"));
    println!("{suite} {} ({expected}): {total}", arguments.join(" "));
    let mut counts = total.split(", ").map(|part| {
        part.split(' ').next().and_then(|number| number.parse().ok()).expect("a count")
    });
    (counts.next().unwrap(), counts.next().unwrap())
}

/// Runs a suite, and gives what it tells. Those scenarios have to fail that stand in the file of
/// this name, and no others.
pub(crate) async fn run_checked(suite: &str, arguments: &[&str], expected: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join(expected);
    let run = Command::new(node())
        .arg(root.join("node_modules").join(suite).join("dist/index.js"))
        .args(arguments)
        .arg("--expected-failures")
        .arg(root.join(expected).with_extension("yaml"))
        .arg("-o")
        .arg(results.join(suite))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(SUITE, run).await.expect("the suite hangs").unwrap_or_else(|error| {
        panic!("{error}; scripts/setup-tests.sh installs the suites");
    });
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{suite} {arguments:?} {expected}\n{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_of_the_session_era() {
    let fixtures = Fixtures::start().await;
    run("conformance-0.1", &fixtures, &["--suite", "all"], 46).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_required_sets_of_both_eras() {
    let fixtures = Fixtures::start().await;
    for (revision, checks) in [("2025-11-25", 83), ("2026-07-28", 196)] {
        run("conformance-0.2", &fixtures, &["--requirements", revision], checks).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_at_each_revision() {
    let fixtures = Fixtures::start().await;
    run("conformance-0.2", &fixtures, &["--suite", "all"], 233).await;
    for (revision, checks) in [("2025-06-18", 56), ("2025-11-25", 83), ("2026-07-28", 152)] {
        let arguments = ["--suite", "all", "--spec-version", revision];
        run("conformance-0.2", &fixtures, &arguments, checks).await;
    }
}
