//! What differs between two configurations.

use std::time::Duration;

use super::*;
use crate::config::upstreams::{Change, Difference, Effect};

fn config(servers: &[(&str, UpstreamSpec)]) -> Config {
    let servers = servers.iter().map(|(name, spec)| ((*name).into(), spec.clone()));
    Config { mcp_servers: servers.collect(), ..Config::default() }
}

fn server(program: &str) -> UpstreamSpec {
    UpstreamSpec::new(command(program, &[], &[("TOKEN", "hunter2")]))
}

#[test]
fn nothing_changed() {
    let same = config(&[("a", server("a"))]);
    let difference = Difference::between(&same, &same.clone());
    assert!(difference.is_empty() && difference.needs_restart.is_empty());
    assert_eq!(difference.to_string(), "1 untouched\n");
}

#[test]
fn servers_are_added_removed_changed_and_untouched() {
    let slow = UpstreamSpec { timeout: Some(Duration::from_secs(1)), ..server("rules") };
    let old = [("gone", server("x")), ("rules", server("rules")), ("same", server("s"))];
    let old = config(&[&old[..], &[("target", server("a"))]].concat());
    let off = UpstreamSpec { enabled: false, max_restarts: 9, ..server("a") };
    let mut new =
        config(&[("new", server("n")), ("rules", slow), ("same", server("s")), ("target", off)]);
    new.requests.timeout_ms = 5;
    new.node.cookie = "hunter2".into();
    new.upstreams.files = vec!["mcp.json".into()];
    new.upstreams.prefix_names = false;
    let difference = Difference::between(&old, &new);
    let text = "+ new: is started\n- gone: is stopped\n\
                ~ rules: goes on under other rules (timeout_ms)\n\
                ~ target: is started anew (enabled, max_restarts)\n\
                ! node.cookie: needs a restart of the node\n\
                ! requests.timeout_ms: needs a restart of the node\n\
                ! upstreams.prefix_names: needs a restart of the node\n1 untouched\n";
    assert_eq!(difference.to_string(), text);
    let expected = Change { effect: Effect::Rules, keys: ["timeout_ms"].into() };
    assert_eq!(difference.changed["rules"], expected);
    let json = serde_json::to_string(&difference).unwrap();
    let changed = r#""target":{"effect":"instances","keys":["enabled","max_restarts"]}"#;
    assert!(json.contains(changed) && !json.contains("hunter2"), "{json}");
}

#[test]
fn another_secret_is_another_target() {
    let mut new = config(&[("a", server("a"))]);
    let old = new.clone();
    let spec = new.mcp_servers.values_mut().next().unwrap();
    spec.target = command("a", &[], &[("TOKEN", "hunter3")]);
    let difference = Difference::between(&old, &new);
    assert_eq!(difference.changed["a"].effect, Effect::Instances);
    assert!(!format!("{difference} {difference:?}").contains("hunter"));
}
