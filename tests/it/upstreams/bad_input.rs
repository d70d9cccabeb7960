//! Commands that can't be run, and definitions that nobody should offer: said by the node with what
//! to do, and left out.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::behind::{Behind, unruly};
use crate::harness::{Scratch, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_can_t_be_run_is_told_with_what_to_do() {
    let scratch = Scratch::new();
    let file = scratch.file("plain.txt", "no program");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let table: [(Value, &[&str]); 4] = [
        (json!({ "command": "no-such-program-anywhere" }), &["no-such-program-anywhere", "PATH"]),
        (json!({ "command": file }), &["plain.txt", "execut"]),
        (unruly(&["--usage"]), &["status 2", "how it is used"]),
        (unruly(&["--exit-at-start", "3"]), &["status 3"]),
    ];
    for (server, expected) in table {
        let mut node = Behind::start(json!({ "bad": server, "good": unruly(&[]) }));
        node.ready("good").await;
        let why = node.why("bad__echo", expected).await;
        let answer = node.call("bad__echo", json!({})).await;
        assert_eq!(answer["error"]["code"], -31007, "{answer}");
        let upstreams = node.process.run(&["upstreams"], 0);
        for text in expected {
            let found = |told: &str| told.to_lowercase().contains(&text.to_lowercase());
            assert!(found(&why), "{text} is missing in {why}");
            assert!(found(&answer.to_string()), "{text} is missing in {answer}");
            until(|| found(&node.log.text())).await;
        }
        assert!(upstreams.contains("bad") && upstreams.contains("good"), "{upstreams}");
        let (status, left) = node.stop();
        assert!(status.success() && left.is_empty(), "{status}, {left:?} are left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_definitions_are_left_out_and_told() {
    let node = Behind::start(json!({ "odd": unruly(&["--odd-definitions", "--paged"]) }));
    node.listed("odd").await;
    let list = node.ask("tools/list", "", json!({})).await;
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let well_named = |name: &&str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        name.len() <= 128 && name.chars().all(legal)
    };
    assert!(names.iter().all(well_named), "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "odd__echo").count(), 1, "{names:?}");
    for left_out in ["remote_reference", "no_schema", "schema_of_text", "huge"] {
        let name = format!("odd__{left_out}");
        assert!(!names.contains(&name.as_str()), "{names:?}");
        let why = node.process.run(&["why", &name], 0);
        assert!(why.contains(&name), "{why}");
    }
    // The rest goes on, and the log says once what is left out.
    assert_eq!(node.text("odd__echo", json!({ "text": "well" })).await, "well");
    assert!(node.log.text().contains("remote_reference"), "{}", node.log.text());
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_of_a_healthy_a_dead_and_an_unknown_tool() {
    let servers = json!({ "good": unruly(&[]), "bad": unruly(&["--exit-at-start", "5"]) });
    let node = Behind::start(servers);
    node.ready("good").await;
    println!("{}", node.why("good__echo", &["is there"]).await);
    println!("{}", node.why("bad__echo", &["quarantined", "status 5", "as it was told"]).await);
    let unknown = node.process.command(&["why", "nobody__echo"]).output().unwrap();
    println!("{}", String::from_utf8_lossy(&unknown.stdout));
    node.stop_whole();
}
