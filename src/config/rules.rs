//! What makes no sense though each key by itself can be read.

use std::collections::BTreeSet;
use std::os::unix::net::SocketAddr as SocketPath;

use super::{Config, Environment, Problem};

/// Cookies that documents, images and examples show, and so no secrets.
const DEFAULT_COOKIES: [&str; 8] =
    ["changeme", "cookie", "erlang", "erlmcp", "erlmcp_dev", "erlmcp_prod", "password", "secret"];

/// One rule: the keys that it depends on, and what is wrong where it is broken. The first key is
/// the one that is told.
type Rule = (&'static [&'static str], fn(&Config) -> Option<String>);

const RULES: [Rule; 30] = [
    (&["node.name"], |c| at_least_one(c.node.name.is_empty())),
    (&["http.max_connections"], |c| at_least_one(c.http.max_connections == 0)),
    (&["http.header_timeout_ms"], |c| at_least_one(c.http.header_timeout_ms == 0)),
    (&["http.body_timeout_ms"], |c| at_least_one(c.http.body_timeout_ms == 0)),
    (&["http.body_limit_bytes"], |c| at_least_one(c.http.body_limit_bytes == 0)),
    (&["requests.timeout_ms"], |c| at_least_one(c.requests.timeout_ms == 0)),
    (&["requests.max_in_flight"], |c| at_least_one(c.requests.max_in_flight == 0)),
    (&["requests.max_in_flight_per_session"], |c| {
        at_least_one(c.requests.max_in_flight_per_session == 0)
    }),
    (&["sessions.max"], |c| at_least_one(c.sessions.max == 0)),
    (&["sessions.restart_wait_ms"], |c| at_least_one(c.sessions.restart_wait_ms == 0)),
    (&["sessions.kept_events"], |c| at_least_one(c.sessions.kept_events == 0)),
    (&["sessions.kept_bytes"], |c| at_least_one(c.sessions.kept_bytes == 0)),
    (&["sessions.ask_timeout_ms"], |c| at_least_one(c.sessions.ask_timeout_ms == 0)),
    (&["tasks.max"], |c| at_least_one(c.tasks.max == 0)),
    (&["tasks.max_per_owner"], |c| at_least_one(c.tasks.max_per_owner == 0)),
    (&["tasks.default_ttl_ms"], |c| at_least_one(c.tasks.default_ttl_ms == 0)),
    (&["tasks.poll_interval_ms"], |c| at_least_one(c.tasks.poll_interval_ms == 0)),
    (&["tasks.timeout_ms"], |c| at_least_one(c.tasks.timeout_ms == 0)),
    (&["tasks.ask_timeout_ms"], |c| at_least_one(c.tasks.ask_timeout_ms == 0)),
    (&["tasks.default_ttl_ms", "tasks.max_ttl_ms"], |c| {
        let longer = c.tasks.default_ttl_ms > c.tasks.max_ttl_ms;
        longer.then(|| "is longer than tasks.max_ttl_ms; change one".to_owned())
    }),
    (&["http.body_room_bytes", "http.body_limit_bytes"], |c| {
        let small = c.http.body_room_bytes < c.http.body_limit_bytes;
        small.then(|| "is less than http.body_limit_bytes, so no body of that size fits".to_owned())
    }),
    (&["upstreams.separator"], odd_separator),
    (&["upstreams.list_grace_ms"], |c| {
        let long = c.upstreams.list_grace_ms > 60_000;
        long.then(|| "is more than 60000: clients would see what isn't there".to_owned())
    }),
    (&["log.level"], |c| c.log.level_problem()),
    (&["control.socket"], relative_socket),
    (&["control.socket", "node.name"], long_socket),
    (&["metrics.listen", "http.listen"], same_address),
    (&["sessions.idle_timeout_s", "requests.timeout_ms"], short_sessions),
    (&["http.listen", "node.env", "http.allow_unauthenticated"], open_to_all),
    (&["node.cookie", "node.env", "node.allow_default_cookie"], known_cookie),
];

impl Config {
    /// All rules that the configuration breaks, but for those that depend on keys which could not
    /// be read and are at their defaults now.
    pub(super) fn broken_rules(&self, unreadable: &BTreeSet<String>) -> Vec<Problem> {
        let known = |keys: &[&str]| !keys.iter().any(|key| unreadable.contains(*key));
        let told = RULES.iter().filter(|(keys, _)| known(keys)).filter_map(|(keys, broken)| {
            let key = keys.first()?;
            broken(self).map(|what| Problem::new(*key, what))
        });
        told.collect()
    }
}

fn at_least_one(broken: bool) -> Option<String> {
    broken.then(|| "is empty or zero; give at least 1".to_owned())
}

fn odd_separator(config: &Config) -> Option<String> {
    let separator = &config.upstreams.separator;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fits = (1..=8).contains(&separator.len()) && separator.chars().all(legal);
    (!fits).then(|| "must be 1 to 8 of A-Z, a-z, 0-9, _, . and -".to_owned())
}

fn relative_socket(config: &Config) -> Option<String> {
    let path = config.control.place(&config.node.name)?.path;
    (!path.is_absolute()).then(|| {
        "is neither \"auto\" nor an absolute path; commands that run elsewhere would not find it"
            .to_owned()
    })
}

fn long_socket(config: &Config) -> Option<String> {
    let path = config.control.place(&config.node.name)?.path;
    let error = SocketPath::from_pathname(&path).err()?;
    Some(format!("{} can't be a socket's path: {error}", path.display()))
}

fn same_address(config: &Config) -> Option<String> {
    let (http, metrics) = (config.http.listen, config.metrics.listen);
    (http == metrics && http.port() != 0)
        .then(|| format!("is the same as http.listen ({http}); change one"))
}

fn short_sessions(config: &Config) -> Option<String> {
    (config.sessions.idle_timeout() <= config.requests.timeout()).then(|| {
        "is not longer than requests.timeout_ms, so sessions would end under their own requests; \
         make it longer"
            .to_owned()
    })
}

fn open_to_all(config: &Config) -> Option<String> {
    let open = !config.http.listen.ip().is_loopback() && !config.http.allow_unauthenticated;
    (config.node.env == Environment::Production && open).then(|| {
        "is no loopback address, and nobody is asked who they are; listen on 127.0.0.1, or set \
         http.allow_unauthenticated if a proxy asks"
            .to_owned()
    })
}

fn known_cookie(config: &Config) -> Option<String> {
    let node = &config.node;
    let known = node.cookie.expose().is_some_and(|cookie| DEFAULT_COOKIES.contains(&cookie));
    (node.env == Environment::Production && known && !node.allow_default_cookie).then(|| {
        "is a default that everybody knows; set ERLANG_COOKIE or ERLANG_COOKIE_FILE to a secret of \
         your own, or node.allow_default_cookie if you mean it"
            .to_owned()
    })
}
