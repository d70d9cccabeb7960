//! Tests of the configuration: layers, problems, and the shipped file.

use super::*;

fn load(variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Problems> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    Config::load(&Sources {
        file: None,
        environment: variables.iter().map(own).collect(),
        flags: flags.iter().map(own).collect(),
    })
}

fn keys(result: Result<Config, Problems>) -> Vec<String> {
    result.unwrap_err().0.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rel/erlmcp.toml");
    let sources = Sources { file: Some(file.into()), ..Sources::default() };
    assert_eq!(Config::load(&sources).unwrap(), Config::default());
    let text = std::fs::read_to_string(file).unwrap();
    let json = serde_json::to_value(Config::default()).unwrap();
    for (section, keys) in json.as_object().unwrap() {
        assert!(text.contains(&format!("\n[{section}]\n")), "[{section}] is missing");
        for key in keys.as_object().unwrap().keys() {
            assert!(text.contains(&format!("\n{key} = ")), "{section}.{key} is missing");
        }
    }
}

#[test]
fn flags_win_over_variables_and_full_names_over_short_ones() {
    let config = load(
        &[
            ("ERLMCP_NODE_NAME", "short"),
            ("ERLMCP__NODE__NAME", "full"),
            ("ERLMCP_ENV", "production"),
            ("ERLMCP__HTTP__LISTEN", "127.0.0.1:1"),
            ("ERLMCP__HTTP__ALLOWED_HOSTS", "a.test,b.test"),
            ("ERLMCP__SESSIONS__MAX", "5"),
            ("PATH", "/bin"),
        ],
        &[("http.listen", "127.0.0.1:2")],
    )
    .unwrap();
    assert_eq!((config.node.name.as_str(), config.node.env), ("full", Environment::Production));
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.http.allowed_hosts, ["a.test", "b.test"]);
    assert_eq!(config.sessions.max, 5);
}

#[test]
fn all_unreadable_keys_are_told_at_once() {
    let variables = [
        ("ERLMCP__HTTP__LISTEN", "nowhere"),
        ("ERLMCP__HTTP__MAX_CONECTIONS", "5"),
        ("ERLMCP__HTTPS__LISTEN", "x"),
        ("ERLMCP__LOG__FORMAT", "xml"),
        ("ERLMCP__SESSIONS__MAX", "-1"),
    ];
    let expected = ["http.listen", "http.max_conections", "https", "log.format", "sessions.max"];
    let problems = load(&variables, &[]).unwrap_err();
    let told: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(told, expected, "{problems}");
    assert!(problems.to_string().contains("max_connections"), "{problems}");
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let broken = keys(load(
        &[
            ("ERLMCP_ENV", "production"),
            ("ERLMCP__HTTP__LISTEN", "0.0.0.0:9100"),
            ("ERLMCP__METRICS__LISTEN", "0.0.0.0:9100"),
            ("ERLMCP__REQUESTS__MAX_IN_FLIGHT", "0"),
            ("ERLMCP__SESSIONS__IDLE_TIMEOUT_S", "60"),
            ("ERLMCP__LOG__LEVEL", "info,=,"),
        ],
        &[],
    ));
    let expected = [
        "requests.max_in_flight",
        "log.level",
        "metrics.listen",
        "sessions.idle_timeout_s",
        "http.listen",
    ];
    assert_eq!(broken, expected);
}

#[test]
fn a_file_that_is_missing_or_broken_is_a_problem() {
    let missing = Sources { file: Some("/nonexistent/erlmcp.toml".into()), ..Sources::default() };
    assert_eq!(keys(Config::load(&missing)), ["configuration"]);
}
