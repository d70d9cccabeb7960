//! Servers that people use, in a file as they have it: started by `npx` and `uvx`.
//!
//! `scripts/setup-tests.sh` pins and installs them: `npx` finds them from the folder that it runs
//! in, `uvx` by a home that knows no other archives.

use std::env;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::behind::{Behind, signal};
use crate::clients;
use crate::harness::{Scratch, until};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file, with a folder that the servers may write in.
fn file(folder: &Path) -> Value {
    let npx = |server: &str, more: &[&str]| {
        let name = format!("@modelcontextprotocol/server-{server}");
        let arguments = [&["-y", name.as_str()], more].concat();
        json!({ "command": "npx", "args": arguments })
    };
    let mut memory = npx("memory", &[]);
    memory["env"] = json!({ "MEMORY_FILE_PATH": folder.join("memory.jsonl") });
    json!({
        "everything": npx("everything", &[]),
        "filesystem": npx("filesystem", &[folder.to_str().unwrap()]),
        "memory": memory,
        "time": { "command": "uvx", "args": ["mcp-server-time", "--local-timezone=Etc/UTC"] },
    })
}

fn start(folder: &Path) -> Behind {
    let tools = root().join(".tools/servers");
    assert!(tools.exists(), "scripts/setup-tests.sh installs the servers");
    let usual = env::var_os("PATH").unwrap_or_default();
    let paths = [tools.join("bin")].into_iter().chain(env::split_paths(&usual));
    let path = env::join_paths(paths.collect::<Vec<PathBuf>>()).unwrap();
    Behind::start_in(file(folder), &[], |command| {
        command.current_dir(root().join("tests/servers")).env("PATH", path);
        command.env("HOME", tools.join("user"));
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
    })
}

/// Calls of one tool of each server, and what their texts have to contain.
fn calls(folder: &Path) -> [(&'static str, Value, &'static str); 4] {
    let note = folder.join("note.txt");
    [
        ("everything__echo", json!({ "message": "héllo" }), "héllo"),
        ("filesystem__write_file", json!({ "path": note, "content": "kept" }), "note.txt"),
        ("memory__search_nodes", json!({ "query": "Ada" }), "wrote a program"),
        ("time__get_current_time", json!({ "timezone": "Etc/UTC" }), "Etc/UTC"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn four_servers_of_one_file() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let node = start(folder);
    for (server, least) in [("everything", 10), ("filesystem", 10), ("memory", 9), ("time", 2)] {
        let tools = node.listed(server).await;
        assert!(tools >= least, "{server} has {tools} tools only");
    }
    let ada = json!({ "name": "Ada", "entityType": "person", "observations": ["wrote a program"] });
    node.text("memory__create_entities", json!({ "entities": [ada] })).await;
    let session = node.session(json!({})).await;
    for (id, (tool, arguments, expected)) in calls(folder).into_iter().enumerate() {
        let modern = node.text(tool, arguments.clone()).await;
        let legacy = session.call(id, tool, arguments).await;
        for text in [modern, legacy.text] {
            assert!(text.contains(expected), "{tool}: {text}");
        }
    }
    let note = folder.join("note.txt");
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "kept");
    let read = node.text("filesystem__read_text_file", json!({ "path": note })).await;
    assert_eq!(read, "kept");
    let outside = node.call("filesystem__read_text_file", json!({ "path": "/etc/passwd" })).await;
    assert_eq!(outside["result"]["isError"], true, "{outside}");
    all_that_everything_has(&node).await;
    // A client that refuses a whole list for one odd entry takes this one.
    let url = node.process.url();
    let list = ["--cli", url.as_str(), "--transport", "http", "--method", "tools/list"];
    let list = clients::run(&clients::node(), clients::INSPECTOR, &list).await;
    for tool in ["everything__echo", "filesystem__read_text_file", "time__convert_time"] {
        assert!(list.to_string().contains(tool), "{tool} is missing in {list}");
    }
    // `npx` and `uvx` have started others, which go with them.
    for (server, (tool, arguments, expected)) in
        [("everything", 0), ("time", 3)].map(|(server, at)| (server, calls(folder)[at].clone()))
    {
        let before = node.pids(server);
        assert!(before.len() > 1, "{before:?}");
        signal(*before.iter().min().unwrap(), "KILL");
        until(|| node.pids(server).iter().all(|pid| !before.contains(pid))).await;
        let back = node.text_at_last(tool, arguments).await;
        assert!(back.contains(expected), "{tool}: {back}");
    }
    node.stop_whole();
}

/// Prompts, resources, templates, completion, structured results, as its makers have them.
async fn all_that_everything_has(node: &Behind) {
    let arguments = json!({ "location": "Chicago" });
    let weather = node.call("everything__get-structured-content", arguments).await;
    assert!(weather["result"]["structuredContent"]["conditions"].is_string(), "{weather}");
    let name = "everything__args-prompt";
    let params = json!({ "name": name, "arguments": { "city": "Oslo" } });
    let prompt = node.ask("prompts/get", name, params).await;
    assert!(prompt["result"]["messages"].to_string().contains("Oslo"), "{prompt}");
    let uri = "demo://resource/dynamic/text/7";
    let read = node.ask("resources/read", uri, json!({ "uri": uri })).await;
    assert_eq!(read["result"]["contents"][0]["uri"], uri, "{read}");
    let reference = json!({ "type": "ref/prompt", "name": "everything__completable-prompt" });
    let argument = json!({ "name": "department", "value": "E" });
    let params = json!({ "ref": reference, "argument": argument });
    let completion = node.ask("completion/complete", "", params).await;
    assert_eq!(completion["result"]["completion"]["values"], json!(["Engineering"]));
}
