//! The configuration of `erlmcp bridge`.

use super::*;
use crate::config::Bridge;
use crate::provider::upstream::spec::Share;

fn bridge(program: &str, port: u16) -> Bridge {
    let command = Command { program: program.to_owned(), ..Command::default() };
    Bridge { listen: ([127, 0, 0, 1], port).into(), name: None, command, share: None }
}

#[test]
fn a_bridge_is_a_node_with_one_server() {
    let config = bridge("/usr/bin/npx", 8000).check(&Sources::default()).config.unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.node.name, "bridge-8000");
    assert!(config.http.legacy_sse && !config.upstreams.prefix_names);
    assert_eq!(config.mcp_servers["npx"], UpstreamSpec::new(command("/usr/bin/npx", &[], &[])));
    // The next free port: no name tells such bridges apart.
    let config = bridge("npx", 0).check(&Sources::default()).config.unwrap();
    assert_eq!(config.control.place(&config.node.name), None);
}

#[test]
fn what_else_is_configured_goes_first_but_for_servers() {
    let own = "[requests]\ntimeout_ms = 5\n[mcp_servers.a]\ncommand = \"${UNSET}\"\n";
    let folder = Folder::new(&[("erlmcp.toml", own)]);
    let mut sources = folder.sources(&[], &[]);
    sources.flags = vec![("http.legacy_sse".to_owned(), "false".to_owned())];
    let bridge = Bridge { share: Some(Share::Session), ..bridge("weather", 1) };
    let config = bridge.check(&sources).config.unwrap();
    assert_eq!((config.requests.timeout_ms, config.http.legacy_sse), (5, false));
    assert_eq!(config.mcp_servers.len(), 1);
    assert_eq!(config.mcp_servers["weather"].share, Some(Share::Session));
}

#[test]
fn its_server_has_a_name_in_any_case() {
    let named = |name: Option<&str>, program| {
        let bridge = Bridge { name: name.map(str::to_owned), ..bridge(program, 1) };
        let config = bridge.check(&Sources::default()).config;
        config.map(|config| config.mcp_servers.keys().next().unwrap().to_string())
    };
    assert_eq!(named(None, "./my server.sh").unwrap(), "my-server.sh");
    assert_eq!(named(None, "日本").unwrap(), "server");
    assert_eq!(named(Some("time"), "uvx").unwrap(), "time");
    let Problems(problems) = named(Some("a b"), "uvx").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "--name: a server's name is 1 to 64 of A-Z, a-z, 0-9, _, . and -"
    );
}
