//! Servers of the node's own configuration: file, variables and flags, and beside clients' files.

use std::time::Duration;

use super::*;
use crate::provider::upstream::spec::{Restart, Share, ToolFilter};

#[test]
fn all_keys_are_read() {
    let folder = Folder::new(&[(
        "erlmcp.toml",
        r#"
[mcp_servers.a]
command = "run"
args = ["x"]
cwd = "/srv"
restart = "transient"
max_restarts = 0
window_s = 1
shutdown_ms = 0
start_timeout_ms = 2
timeout_ms = 3
idle_timeout_s = 4
share = "session"
instances = 5
tools = { allow = ["a_*"], deny = ["a_b"] }
replay = "never"
"#,
    )]);
    let checked = folder.check(&[], &[]);
    assert_eq!(checked.warnings, []);
    let mut expected = UpstreamSpec::new(command("run", &["x"], &[]));
    if let Target::Stdio(command) = &mut expected.target {
        command.cwd = Some("/srv".into());
    }
    let expected = UpstreamSpec {
        restart: Restart::Transient,
        max_restarts: 0,
        window: Duration::from_secs(1),
        shutdown: Duration::ZERO,
        start_timeout: Duration::from_millis(2),
        timeout: Some(Duration::from_millis(3)),
        idle_timeout: Duration::from_secs(4),
        share: Some(Share::Session),
        instances: 5,
        tools: ToolFilter { allow: vec!["a_*".to_owned()], deny: vec!["a_b".to_owned()] },
        ..expected
    };
    assert_eq!(servers(checked)["a"], expected);
}

#[test]
fn the_example_of_the_shipped_file_says_the_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rel/erlmcp.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, example) = text.split_once("# [mcp_servers.NAME]\n").unwrap();
    let is_key = |line: &&str| line.split(" = ").next().is_some_and(|key| !key.contains(' '));
    let keys: Vec<&str> =
        example.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key).collect();
    let of = |left_out: &[&str]| {
        let is_left = |line: &&&str| !left_out.iter().any(|key| line.starts_with(key));
        let keys: Vec<_> = keys.iter().filter(is_left).copied().collect();
        let folder =
            Folder::new(&[("erlmcp.toml", &format!("[mcp_servers.a]\n{}", keys.join("\n")))]);
        let checked = folder.check(&[], &[("EXAMPLE_TOKEN", "t")]);
        (checked.config.map(|config| config.mcp_servers["a"].clone()), checked.warnings)
    };
    let (spec, _) =
        of(&["url", "type", "headers", "bearer", "oauth", "env_file", "share", "tools"]);
    let spec = spec.unwrap();
    let expected = UpstreamSpec {
        timeout: Some(Duration::from_secs(60)),
        ..UpstreamSpec::new(spec.target.clone())
    };
    assert_eq!(spec, expected);
    let (spec, warnings) =
        of(&["command", "args", "env", "cwd", "bearer_token_file", "oauth", "share", "tools"]);
    assert_eq!((http(&spec.unwrap()).headers.len(), warnings), (2, vec![]));
    let (_, told) = of(&["command", "args", "env", "cwd", "bearer", "share"]);
    assert_eq!(told, []);
}

#[test]
fn variables_and_flags_set_keys_too() {
    let folder = Folder::new(&[(
        "erlmcp.toml",
        "[mcp_servers.My-Server]\ncommand = \"a\"\nenv = { KEPT = \"1\", LEVEL = \"info\" }\n",
    )]);
    let variables = [
        // A variable's name can't spell the server's.
        ("ERLMCP__MCP_SERVERS__MY_SERVER__ARGS", r#"["-y", "a,b"]"#),
        ("ERLMCP__MCP_SERVERS__MY_SERVER__ENV__LEVEL", "debug"),
        ("ERLMCP__MCP_SERVERS__MY_SERVER__ENV__two__Words", "x"),
        ("ERLMCP__MCP_SERVERS__MY_SERVER__MAX_RESTARTS", "7"),
        ("ERLMCP__MCP_SERVERS__MY_SERVER__TOOLS__DENY", "x, y"),
        ("ERLMCP__MCP_SERVERS__NEW__URL", "https://a.test"),
        ("ERLMCP__MCP_SERVERS__NEW__ENABLED", "false"),
    ];
    let mut sources = folder.sources(&[], &variables);
    sources.flags =
        vec![("mcp_servers.new.headers".to_owned(), r#"{"X-Region": "eu"}"#.to_owned())];
    let checked = Config::check(&sources);
    assert_eq!(checked.warnings, []);
    let servers = servers(checked);
    let spec = &servers["My-Server"];
    let env = [("KEPT", "1"), ("LEVEL", "debug"), ("two__Words", "x")];
    assert_eq!(spec.target, command("a", &["-y", "a,b"], &env));
    assert_eq!((spec.max_restarts, spec.tools.deny.len()), (7, 2));
    assert_eq!(http(&servers["new"]).headers, secrets(&[("x-region", "eu")]));
    assert!(!servers["new"].enabled);
}

#[test]
fn what_variables_and_flags_set_wrongly_is_told_with_their_names() {
    let folder = Folder::new(&[]);
    let variables = [
        ("ERLMCP__MCP_SERVERS__A__COMMAND", "a"),
        ("ERLMCP__MCP_SERVERS__A__INSTANCES", "many"),
        ("ERLMCP__MCP_SERVERS", "x"),
    ];
    let mut sources = folder.sources(&[], &variables);
    sources.flags = vec![("mcp_servers.a.shre".to_owned(), "node".to_owned())];
    let Problems(problems) = Config::check(&sources).config.unwrap_err();
    let expected = [
        "mcp_servers: is a section; set the keys below it",
        "ERLMCP__MCP_SERVERS__A__INSTANCES: mcp_servers.a.instances: must be a whole number from \
         1 to 256",
        "--set mcp_servers.a.shre: mcp_servers.a.shre: unknown key; is share meant?",
    ];
    assert_eq!(folder.told(&problems), expected);
}

#[test]
fn an_entry_of_the_nodes_sets_keys_of_a_server_in_a_clients_file() {
    let text =
        r#"{"mcpServers": {"GitHub": {"command": "a", "env": {"A": "1"}, "disabled": true}}}"#;
    let own = "[upstreams]\nfiles = [\"${DIR}/mcp.json\", \"~/mcp.json\"]\n\
               [mcp_servers.GitHub]\nshare = \"session\"\ndisabled = false\nenv = { B = \"2\" }\n";
    let folder = Folder::new(&[("mcp.json", text), ("erlmcp.toml", own)]);
    let home = folder.0.to_str().unwrap();
    // The same file, by three names: it is read once.
    let checked = folder.check(&["mcp.json"], &[("DIR", home), ("HOME", home)]);
    let servers = servers(checked);
    let spec = &servers["GitHub"];
    assert_eq!(spec.target, command("a", &[], &[("A", "1"), ("B", "2")]));
    assert_eq!((spec.share, spec.enabled), (Some(Share::Session), true));
    let own = own.replace("share = \"session\"", "command = \"b\"");
    std::fs::write(folder.path("erlmcp.toml"), own).unwrap();
    let checked = folder.check(&[], &[("DIR", home), ("HOME", home)]);
    let told = folder.told(&checked.config.unwrap_err().0);
    let expected = "erlmcp.toml: mcp_servers.GitHub: there is a server GitHub in mcp.json already; \
                    rename one";
    assert_eq!(told, [expected]);
}

#[test]
fn names_and_the_separator_have_rules() {
    let own = "[mcp_servers.a__b]\ncommand = \"a\"\n[mcp_servers.\"x y\"]\ncommand = \"a\"\n";
    let folder = Folder::new(&[("erlmcp.toml", own)]);
    let Problems(problems) = folder.check(&[], &[]).config.unwrap_err();
    let expected = [
        "erlmcp.toml: mcp_servers.a__b: a server's name must not contain \"__\", nor end with its \
         beginning: that stands between a server's and a tool's name",
        "erlmcp.toml: mcp_servers[\"x y\"]: a server's name is 1 to 64 of A-Z, a-z, 0-9, _, . and \
         -",
    ];
    assert_eq!(folder.told(&problems), expected);
    let check = |separator: &str| {
        let variables = [("ERLMCP__UPSTREAMS__SEPARATOR", separator)];
        Folder::new(&[]).check(&[], &variables).config
    };
    assert!(check(".").is_ok());
    for wrong in ["", "a b", "123456789"] {
        let Problems(problems) = check(wrong).unwrap_err();
        let expected = "upstreams.separator: must be 1 to 8 of A-Z, a-z, 0-9, _, . and -";
        assert_eq!(problems[0].to_string(), expected);
    }
}

#[test]
fn whoever_only_asks_a_node_needs_no_servers() {
    let own = "[mcp_servers.a]\ncommand = \"${UNSET}\"\n";
    let folder = Folder::new(&[("erlmcp.toml", own)]);
    let sources = Sources { without_servers: true, ..folder.sources(&["missing.json"], &[]) };
    assert!(Config::load(&sources).unwrap().mcp_servers.is_empty());
    assert!(folder.check(&[], &[]).config.is_err());
}
