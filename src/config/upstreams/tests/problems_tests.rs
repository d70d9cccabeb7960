//! What is told, word by word, of what is wrong or odd.

use proptest::prelude::*;

use super::*;

const NONE: [&str; 0] = [];

/// Entries, and the one problem of each.
fn check(table: &[(&str, &str)]) {
    for (entry, expected) in table {
        assert_eq!(notes_of(entry, &[]), (vec![(*expected).to_owned()], vec![]), "{entry}");
    }
}

#[test]
fn a_server_is_a_command_or_a_url() {
    check(&[
        ("5", "s: must be a table with a command or a url"),
        ("{}", "s: has neither command nor url; give one of them"),
        (r#"{"command": ""}"#, "s: has neither command nor url; give one of them"),
        (r#"{"command": 5}"#, "s.command: must be a text"),
        (
            r#"{"url": "${NONE}/mcp"}"#,
            "s.url: the environment variable NONE is not set; set it, or give a default as in \
             ${NONE:-default}",
        ),
        (
            r#"{"command": "a", "url": "http://a"}"#,
            "s.command: stands beside url; give one of them",
        ),
        (
            r#"{"url": "http://a", "serverUrl": "http://b"}"#,
            "s.url: says the same as serverUrl; give one of them",
        ),
    ]);
}

#[test]
fn commands_have_arguments_and_variables() {
    check(&[
        (r#"{"command": "a", "args": "b"}"#, "s.args: must be a list of texts"),
        (r#"{"command": "a", "args": ["b", []]}"#, "s.args[1]: must be a text"),
        (r#"{"command": "a", "env": []}"#, "s.env: must be a table of texts"),
        (r#"{"command": "a", "env": {"A": {}}}"#, "s.env.A: must be a text"),
        (
            r#"{"command": "a", "env": {"A=B": ""}}"#,
            r#"s.env["A=B"]: can't be the name of a variable"#,
        ),
        (
            r#"{"command": "a", "envFile": "/nonexistent"}"#,
            "s.envFile: /nonexistent can't be read: No such file or directory (os error 2)",
        ),
        (r#"{"command": "a", "type": "http"}"#, "s.type: needs a url, and there is a command"),
        (r#"{"url": "http://a", "type": "stdio"}"#, "s.type: needs a command, and there is a url"),
        (
            r#"{"url": "http://a", "type": "ws"}"#,
            r#"s.type: must be one of "stdio", "http", "streamable-http", "sse""#,
        ),
        (
            r#"{"url": "unix:///run/a.sock"}"#,
            "s.url: must be an address with a host, such as https://example.com/mcp",
        ),
    ]);
}

#[test]
fn urls_have_headers_and_one_way_to_say_who_the_node_is() {
    check(&[
        (
            r#"{"url": "http://a", "headers": {"a b": "c"}}"#,
            r#"s.headers["a b"]: can't be the name of a header"#,
        ),
        (
            r#"{"url": "http://a", "headers": {"a": "b\nc"}}"#,
            "s.headers.a: can't be the value of a header",
        ),
        (
            r#"{"url": "http://a", "headers": {"A": "1", "a": "2"}}"#,
            "s.headers.a: is given twice: case makes no difference",
        ),
        (
            r#"{"url": "http://a", "headers": {"Authorization": "x"}, "bearer_token": "${T:-x}"}"#,
            "s.bearer_token: is a second way to say who the node is; give one of them",
        ),
        (
            r#"{"url": "http://a", "bearer_token_env_var": "T"}"#,
            "s.bearer_token_env_var: the environment variable T is not set",
        ),
        (
            r#"{"url": "http://a", "env_http_headers": {"X": "T"}}"#,
            "s.env_http_headers.X: the environment variable T is not set",
        ),
        (
            r#"{"url": "http://a", "oauth": 5}"#,
            "s.oauth: must be a table with client_id, client_secret, client_secret_file, scopes",
        ),
    ]);
}

#[test]
fn supervision_has_limits() {
    check(&[
        (r#"{"command": "a", "enabled": "yes"}"#, "s.enabled: must be true or false"),
        (
            r#"{"command": "a", "instances": 0}"#,
            "s.instances: must be a whole number from 1 to 256",
        ),
        (
            r#"{"command": "a", "window_s": 1.5}"#,
            "s.window_s: must be a whole number from 1 to 31536000",
        ),
        (
            r#"{"command": "a", "tool_timeout_sec": 0}"#,
            "s.tool_timeout_sec: must be a number of seconds above 0, and at most 31536000",
        ),
        (
            r#"{"command": "a", "tool_timeout_sec": 1, "timeout_ms": 1}"#,
            "s.tool_timeout_sec: says the same as timeout_ms; give one of them",
        ),
        (
            r#"{"command": "a", "share": "all"}"#,
            r#"s.share: must be one of "node", "principal", "session""#,
        ),
        (
            r#"{"command": "a", "restart": "always"}"#,
            r#"s.restart: must be one of "permanent", "transient", "temporary""#,
        ),
        (r#"{"command": "a", "replay": "yes"}"#, r#"s.replay: must be one of "never""#),
    ]);
}

#[test]
fn misspelt_keys_are_told_with_what_is_meant() {
    check(&[
        (r#"{"command": "a", "comand": "b"}"#, "s.comand: unknown key; is command meant?"),
        (r#"{"command": "a", "argz": []}"#, "s.argz: unknown key; is args meant?"),
        (
            r#"{"command": "a", "maxRestart": 5}"#,
            "s.maxRestart: unknown key; is max_restarts meant?",
        ),
        (r#"{"command": "a", "window": 5}"#, "s.window: unknown key; is window_s meant?"),
        (
            r#"{"command": "a", "tools": {"alow": []}}"#,
            "s.tools.alow: unknown key; is allow meant?",
        ),
        (r#"{"command": "a", "tools": "b"}"#, "s.tools: must be a table with allow, deny"),
    ]);
}

#[test]
fn each_warning_is_no_obstacle() {
    let table = [
        (r#"{"command": "a", "color": "red"}"#, "s.color: unknown key; it has no effect here"),
        (
            r#"{"command": "a", "headers": {"a": "b"}}"#,
            "s.headers: has no effect: the server is run by its command",
        ),
        (
            r#"{"url": "http://a", "args": ["b"]}"#,
            "s.args: has no effect: the server is reached by its url",
        ),
        (r#"{"command": "a", "env": {"A": null}}"#, "s.env.A: is null, and left out"),
        (
            r#"{"command": "a", "sandboxEnabled": true}"#,
            "s.sandboxEnabled: isn't applied: the server runs without a sandbox",
        ),
        (
            r#"{"url": "http://a", "auth": {"CLIENT_ID": "x"}}"#,
            "s.auth: lets a user log in, which a node can't; give oauth with a client's \
             credentials, bearer_token_file or headers",
        ),
        (
            r#"{"url": "http://a", "oauth": {"clientId": "x"}}"#,
            "s.oauth: lets a user log in, which a node can't; give client_id and client_secret, \
             bearer_token_file or headers",
        ),
        (
            r#"{"url": "http://a", "headersHelper": "./helper"}"#,
            "s.headersHelper: isn't run; give bearer_token_file, oauth or headers",
        ),
        (
            r#"{"command": "a", "env": {"API_KEY": "0123456789ab"}}"#,
            "s.env.API_KEY: looks like a secret in plain text; write ${NAME} and set that \
             variable, or ${file:/PATH}",
        ),
        (
            r#"{"url": "http://a", "bearer_token_file": "/nonexistent"}"#,
            "s.bearer_token_file: /nonexistent can't be read: No such file or directory (os \
             error 2)",
        ),
        (
            r#"{"command": "a", "enabled": false, "env": {"A": "${input:a b}"}}"#,
            "s.env.A: ${input:a b} asks a user, and a node has nobody to ask; set the environment \
             variable INPUT_A_B",
        ),
    ];
    for (entry, expected) in table {
        assert_eq!(notes_of(entry, &[]), (vec![], vec![expected.to_owned()]), "{entry}");
    }
    for silent in [
        r#"{"command": "a", "env": null, "headers": {}, "description": "d", "iconUrl": null}"#,
        r#"{"url": "http://a", "env": {}, "args": [], "cwd": ""}"#,
    ] {
        let (problems, warnings) = notes_of(silent, &[]);
        assert_eq!((problems, warnings.len()), (vec![], usize::from(silent.contains("iconUrl"))));
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = Folder::new(&[
        ("a.json", r#"{"mcpServers": {"x": {"command": "${A}", "argz": []}, "y": {}}}"#),
        ("b.json", r#"{"servers": {"x": {"command": "b"}, "demo": {"command": "c"}, "z": 1}}"#),
        ("erlmcp.toml", "[http]\nlisten = 5\n[mcp_servers.own]\ncomand = \"a\"\ncolor = 1\n"),
    ]);
    let Checked { config, .. } = folder.check(&["a.json", "b.json"], &[]);
    let told = folder.told(&config.unwrap_err().0);
    let origin = "erlmcp.toml: mcp_servers.own";
    let keys = "command, args, env, env_vars, env_file, cwd, url, headers, env_http_headers, type, \
                bearer_token, bearer_token_env_var, bearer_token_file, oauth, enabled, disabled, \
                restart, max_restarts, window_s, shutdown_ms, start_timeout_ms, \
                startup_timeout_sec, timeout_ms, tool_timeout_sec, idle_timeout_s, share, \
                instances, tools, enabled_tools, disabled_tools, replay";
    let expected = [
        "b.json: servers.z: must be a table with a command or a url",
        "b.json: servers.demo: is the name of a server that comes with the node",
        "b.json: servers.x: there is a server x in a.json already; rename one",
        &format!("{origin}: has neither command nor url; give one of them"),
        &format!("{origin}.color: unknown key; there are {keys}"),
        &format!("{origin}.comand: unknown key; is command meant?"),
        "a.json: mcpServers.x.command: the environment variable A is not set; set it, or give a \
         default as in ${A:-default}",
        "a.json: mcpServers.x.argz: unknown key; is args meant?",
        "a.json: mcpServers.y: has neither command nor url; give one of them",
    ];
    assert!(told[0].starts_with("http.listen: "), "{told:?}");
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(told[1..].to_vec()), sorted(expected.map(str::to_owned).to_vec()));
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let folder = Folder::new(&[
        ("list.json", "[]"),
        ("open.json", "{\n  \"mcpServers\": {\n"),
        ("none.json", r#"{"theme": "dark"}"#),
        ("misspelt.json", r#"{"mcpServer": {}}"#),
        ("number.json", r#"{"mcpServers": 5}"#),
        ("open.toml", "[mcp_servers.a]\nenv = { TOKEN = \"hunter2 }\n"),
        ("latin.json", ""),
        ("folder/x", ""),
    ]);
    std::fs::write(folder.path("latin.json"), b"{\"a\": \"\xe9\"}").unwrap();
    let table = [
        ("list.json", "must be an object with mcpServers or servers"),
        ("open.json", "is no JSON: EOF while parsing an object at line 3 column 0"),
        ("none.json", "has neither mcpServers nor servers, so it lists no server"),
        ("misspelt.json", r#"has "mcpServer"; is mcpServers meant?"#),
        ("number.json", "mcpServers: must be a table of servers"),
        ("missing.json", "can't be read: No such file or directory (os error 2)"),
        ("latin.json", "can't be read: stream did not contain valid UTF-8"),
        ("folder", "can't be read: is a directory"),
    ];
    for (file, expected) in table {
        let Problems(problems) = folder.check(&[file], &[]).config.unwrap_err();
        assert_eq!(folder.told(&problems), [format!("{file}: {expected}")]);
    }
    let problems = folder.check(&["open.toml"], &[]).config.unwrap_err().to_string();
    assert!(problems.contains("is no TOML: ") && problems.contains("line 2"), "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn lines_of_an_env_file_are_told_by_their_numbers() {
    let folder = Folder::new(&[("e", "A=1\nB\nC='hunter2\n")]);
    let path = folder.path("e");
    let (problems, _) = notes_of(&format!(r#"{{"command": "a", "envFile": "{path}"}}"#), &[]);
    let line = |line: u8| format!("s.envFile: line {line} of {path} is no NAME=VALUE");
    assert_eq!(problems, [line(2), line(3)]);
}

#[test]
fn no_secret_is_told() {
    let entry = r#"{
      "url": "ftp://user:hunter2@a", "headers": {"Authorization": "hunter2\n", "X": ["hunter2"]},
      "bearer_token": "hunter2\n", "oauth": {"client_secret": "hunter2"}, "share": "hunter2",
      "env": {"TOKEN": "hunter2"}, "type": "hunter2", "restart": "hunter2"
    }"#;
    let told = format!("{:?}", notes_of(entry, &[]));
    assert!(told.contains("s.url") && !told.contains("hunter2"), "{told}");
}

/// Any value that a file may hold.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        "[a-z${}:/-]{0,12}",
        Just("${A:-${B".to_owned()),
        Just("${input:x}".to_owned()),
        Just("http://a".to_owned()),
        Just("~/x".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text.prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 32, 6, |inner| {
        let keys = prop_oneof![
            "[a-zA-Z_]{0,8}",
            proptest::sample::select(super::super::keys::SERVER)
                .prop_map(|key| key.name.to_owned()),
            Just("mcpServers".to_owned()),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map(keys, inner, 0..6)
                .prop_map(|table| table.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_makes_it_panic(servers in value(), inputs in value(), text in ".{0,80}") {
        let json = serde_json::json!({ "mcpServers": servers, "inputs": inputs }).to_string();
        let files = [("a.json", json.as_str()), ("b.json", &text), ("c.toml", &text)];
        let folder = Folder::new(&files);
        for (file, _) in files {
            let checked = folder.check(&[file], &[("A", "")]);
            prop_assert!(checked.config.is_ok() || checked.config.is_err());
        }
    }
}

#[test]
fn a_secret_in_plain_text_is_told_in_each_place() {
    let entry = r#"{"command": "a", "args": ["--token=ghp_0123456789abcdef0123"]}"#;
    let (problems, warnings) = notes_of(entry, &[]);
    assert_eq!((&problems[..], warnings.len()), (&NONE.map(str::to_owned)[..], 1));
    let entry = r#"{"url": "http://a", "oauth": {"client_id": "x", "client_secret": "y"}}"#;
    assert!(notes_of(entry, &[]).1[0].starts_with("s.oauth.client_secret: looks like a secret"));
}
