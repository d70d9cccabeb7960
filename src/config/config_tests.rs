//! Tests of the configuration: layers, problems, and the shipped file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::*;

fn load(variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Problems> {
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let environment = environment_of(variables);
    Config::load(&Sources { environment, flags: flags.collect(), ..Sources::default() })
}

fn environment_of(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// A file that lives as long as the test needs it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("erlmcp-config-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Config, Problems> {
        let environment = environment_of(variables);
        Config::load(&Sources { file: Some(self.0.clone()), environment, ..Sources::default() })
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
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
fn rules_are_told_beside_what_cannot_be_read_unless_they_depend_on_it() {
    let told = keys(load(
        &[
            ("ERLMCP__HTTP__LISTEN", "nowhere"),
            // The same as the default of the key that can't be read: no fault of anybody.
            ("ERLMCP__METRICS__LISTEN", "127.0.0.1:8080"),
            ("ERLMCP__SESSIONS__MAX", "0"),
            ("ERLMCP__LOG__LEVEL", "inof"),
        ],
        &[("http", "5"), ("nonsense", "5")],
    ));
    assert_eq!(told, ["http", "nonsense", "http.listen", "sessions.max", "log.level"]);
}

#[test]
fn each_layer_is_told_its_own_problems() {
    let file = Scratch::new("[http]\nlisten = 5\n[sessions]\nmax = \"x\"\n[nobody]\n");
    let problems = file.load(&[("ERLMCP__SESSIONS__MAX", "y")]).unwrap_err();
    let told: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(told, ["http.listen", "nobody", "sessions.max", "sessions.max"], "{problems}");
    let text = problems.to_string();
    // Told as seen from where the process runs.
    let name = file.path().rsplit('/').next().unwrap();
    assert!(text.contains(name) && text.contains("ERLMCP__SESSIONS__MAX"), "{text}");
}

#[test]
fn a_file_that_is_missing_or_broken_is_a_problem_beside_the_others() {
    let broken = Scratch::new("[node]\ncookie = \"hunter2\n");
    let open = Scratch::new("[node]\ncookie = \"\"\"\nhunter2 \\x\n");
    let directory = std::env::temp_dir();
    let table = [
        ("/nonexistent/erlmcp.toml", "No such file"),
        (directory.to_str().unwrap(), "directory"),
        (broken.path(), "line 2"),
        (open.path(), "line 3"),
    ];
    for (file, expected) in table {
        let flags = vec![("http.lisen".to_owned(), "x".to_owned())];
        let sources = Sources { file: Some(file.into()), flags, ..Sources::default() };
        let problems = Config::load(&sources).unwrap_err();
        let text = problems.to_string();
        assert_eq!(keys(Err(problems)), [file, "http.lisen"]);
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_file_is_named_by_the_flag_or_else_by_a_variable_that_is_not_empty() {
    let (one, two) = (Scratch::new("[node]\nname = \"1\""), Scratch::new("[node]\nname = \"2\""));
    let named = load(&[("ERLMCP_CONFIG", one.path())], &[]).unwrap();
    assert_eq!(named.node.name, "1");
    assert_eq!(two.load(&[("ERLMCP_CONFIG", one.path())]).unwrap().node.name, "2");
    let none = load(&[("ERLMCP_CONFIG", ""), ("ERLMCP_ENV", ""), ("ERLMCP_NODE_NAME", "")], &[]);
    assert_eq!(none.unwrap(), Config::default());
}

#[test]
fn a_variable_that_is_no_text_is_a_problem_where_it_is_ours() {
    let not_utf8 = OsString::from_vec(vec![b'a', 0xff]);
    let check = |name: &str| {
        let environment = BTreeMap::from([(name.into(), not_utf8.clone())]);
        Config::load(&Sources { environment, ..Sources::default() })
    };
    assert_eq!(keys(check("ERLMCP__NODE__NAME")), ["ERLMCP__NODE__NAME"]);
    assert_eq!(keys(check("ERLANG_COOKIE")), ["ERLANG_COOKIE"]);
    assert!(check("LESSOPEN").is_ok());
    let name = OsString::from_vec(b"ERLMCP__NODE__\xff".to_vec());
    let environment = BTreeMap::from([(name, "x".into())]);
    assert_eq!(keys(Config::load(&Sources { environment, ..Sources::default() })).len(), 1);
}

#[test]
fn a_text_stays_as_it_is_written() {
    let config = load(&[("ERLMCP_NODE_NAME", "007"), ("ERLANG_COOKIE", "1e3")], &[]).unwrap();
    assert_eq!((config.node.name.as_str(), config.node.cookie.expose()), ("007", Some("1e3")));
}

#[test]
fn secrets_come_from_files_too_and_are_shown_nowhere() {
    let (one, two) = (Scratch::new("hunter2\n"), Scratch::new("two"));
    let toml = Scratch::new(&format!("[node]\ncookie_file = {:?}\n", one.path()));
    let cookie = |loaded: Result<Config, Problems>| loaded.unwrap().node.cookie;
    assert_eq!(cookie(toml.load(&[])).expose(), Some("hunter2"));
    assert_eq!(cookie(toml.load(&[("ERLANG_COOKIE_FILE", two.path())])).expose(), Some("two"));
    assert_eq!(cookie(toml.load(&[("ERLANG_COOKIE", "three")])).expose(), Some("three"));
    let config = toml.load(&[]).unwrap();
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    let both = load(&[("ERLANG_COOKIE", "a"), ("ERLANG_COOKIE_FILE", two.path())], &[]);
    assert_eq!(keys(both), ["node.cookie_file"]);
    let missing = load(&[("ERLANG_COOKIE_FILE", "/nonexistent")], &[]);
    assert_eq!(keys(missing), ["node.cookie_file"]);
}

#[test]
fn production_wants_a_cookie_of_its_own_if_any() {
    let with = |more: &[(&str, &str)]| {
        load(
            &[&[("ERLMCP_ENV", "production"), ("ERLANG_COOKIE", "erlmcp_prod")], more].concat(),
            &[],
        )
    };
    assert_eq!(keys(with(&[])), ["node.cookie"]);
    assert!(with(&[("ERLMCP__NODE__ALLOW_DEFAULT_COOKIE", "true")]).is_ok());
    assert!(with(&[("ERLMCP_ENV", "development")]).is_ok());
    assert!(load(&[("ERLMCP_ENV", "production")], &[]).is_ok());
    assert!(load(&[("ERLMCP_ENV", "production"), ("ERLANG_COOKIE", "k3Xp")], &[]).is_ok());
}

#[test]
fn the_control_socket_is_found_by_everybody_or_not_there() {
    let socket = |value: &str| load(&[("ERLMCP__CONTROL__SOCKET", value)], &[]);
    assert_eq!(socket("").unwrap().control.place("n"), None);
    assert_eq!(keys(socket("a.sock")), ["control.socket"]);
    assert_eq!(keys(socket(&format!("/{}", "a".repeat(200)))), ["control.socket"]);
    let run = load(&[("XDG_RUNTIME_DIR", "/run/user/7")], &[]).unwrap();
    assert_eq!(run.control.place("n").unwrap().path, PathBuf::from("/run/user/7/erlmcp-n.sock"));
    let relative = load(&[("XDG_RUNTIME_DIR", "run")], &[]).unwrap();
    assert_eq!(relative.control.runtime_dir, None);
}
