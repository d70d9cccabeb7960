//! What makes no sense though each key by itself can be read.

use super::{Config, Environment, Problem};

impl Config {
    /// All rules that the configuration breaks.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.zeros();
        let mut problem = |key: &str, what: String| problems.push(Problem::new(key, what));
        if let Some(what) = self.log.level_problem() {
            problem("log.level", format!("{what}; give a level such as \"info\""));
        }
        let (http, metrics) = (self.http.listen, self.metrics.listen);
        if http == metrics && http.port() != 0 {
            problem("metrics.listen", format!("is the same as http.listen ({http}); change one"));
        }
        if self.sessions.idle_timeout() <= self.requests.timeout() {
            let what = "is not longer than requests.timeout_ms, so sessions would end under their \
                        own requests; make it longer";
            problem("sessions.idle_timeout_s", what.to_owned());
        }
        if self.tasks.default_ttl_ms > self.tasks.max_ttl_ms {
            let what = "is longer than tasks.max_ttl_ms; change one";
            problem("tasks.default_ttl_ms", what.to_owned());
        }
        let open = !http.ip().is_loopback() && !self.http.allow_unauthenticated;
        if self.node.env == Environment::Production && open {
            let what = "is no loopback address, and nobody is asked who they are; listen on \
                        127.0.0.1, or set http.allow_unauthenticated if a proxy asks";
            problem("http.listen", what.to_owned());
        }
        problems
    }

    fn zeros(&self) -> Vec<Problem> {
        let (http, requests) = (&self.http, &self.requests);
        let (sessions, tasks) = (&self.sessions, &self.tasks);
        let at_least_one = [
            ("node.name", self.node.name.is_empty()),
            ("http.max_connections", http.max_connections == 0),
            ("http.header_timeout_ms", http.header_timeout_ms == 0),
            ("http.body_timeout_ms", http.body_timeout_ms == 0),
            ("http.body_limit_bytes", http.body_limit_bytes == 0),
            ("requests.timeout_ms", requests.timeout_ms == 0),
            ("requests.max_in_flight", requests.max_in_flight == 0),
            ("requests.max_in_flight_per_session", requests.max_in_flight_per_session == 0),
            ("sessions.max", sessions.max == 0),
            ("sessions.restart_wait_ms", sessions.restart_wait_ms == 0),
            ("tasks.max", tasks.max == 0),
            ("tasks.max_per_owner", tasks.max_per_owner == 0),
            ("tasks.default_ttl_ms", tasks.default_ttl_ms == 0),
            ("tasks.poll_interval_ms", tasks.poll_interval_ms == 0),
            ("tasks.timeout_ms", tasks.timeout_ms == 0),
            ("tasks.ask_timeout_ms", tasks.ask_timeout_ms == 0),
        ];
        let broken = at_least_one.into_iter().filter(|(_, broken)| *broken);
        broken.map(|(key, _)| Problem::new(key, "is empty or zero; give at least 1")).collect()
    }
}
