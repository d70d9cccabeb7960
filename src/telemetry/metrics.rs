//! The node's metrics. No label is made of what a client chose.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::log;

/// Labels of `http_requests_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HttpLabels {
    /// The HTTP method.
    pub method: &'static str,
    /// The route's template.
    pub route: &'static str,
    /// The status code.
    pub status: u16,
}

/// Labels of `http_request_duration_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The HTTP method.
    pub method: &'static str,
    /// The route's template.
    pub route: &'static str,
}

/// Labels of `mcp_server_operation_duration_seconds`, by OpenTelemetry's conventions for MCP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OperationLabels {
    /// The JSON-RPC method; `_other` for names that no era knows.
    pub mcp_method_name: &'static str,
    /// The tool; `_other` for unknown ones, empty for other methods.
    pub gen_ai_tool_name: Arc<str>,
    /// The error's code or `tool_error`; empty on success.
    pub error_type: String,
    /// The revision.
    pub mcp_protocol_version: &'static str,
}

/// Labels of `erlmcp_sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SessionLabels {
    /// The era.
    pub era: &'static str,
    /// The transport.
    pub transport: &'static str,
}

/// Labels of `erlmcp_tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TaskLabels {
    /// The task's status.
    pub state: &'static str,
}

/// Labels of `erlmcp_rejected_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RejectedLabels {
    /// The limit's configuration key, or the rule.
    pub reason: &'static str,
}

/// Labels of `erlmcp_child_restarts_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RestartLabels {
    /// The supervisor's path.
    pub supervisor: String,
    /// The child's id; all children of a dynamic supervisor share one.
    pub child: String,
    /// The class of the exit reason.
    pub exit: &'static str,
}

/// Labels of `erlmcp_supervisor_gave_up_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GaveUpLabels {
    /// The supervisor's path.
    pub supervisor: String,
}

/// Labels of `erlmcp_upstream_state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamLabels {
    /// The upstream's name, which the configuration has.
    pub upstream: Arc<str>,
    /// The state.
    pub state: &'static str,
}

/// Labels of `erlmcp_upstream_restarts_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamRestartLabels {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The class of what ended the instance before.
    pub reason: &'static str,
}

/// Labels of `erlmcp_config_reloads_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabels {
    /// `applied` or `refused`.
    pub result: &'static str,
}

/// Labels of `mcp_client_operation_duration_seconds`, by OpenTelemetry's conventions for MCP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClientOperationLabels {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The JSON-RPC method.
    pub mcp_method_name: &'static str,
    /// The error's code or `tool_error`; empty on success.
    pub error_type: String,
}

/// Labels of `erlmcp_notifications_unsent_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UnsentLabels {
    /// `progress` or `log`.
    pub kind: &'static str,
}

/// What calls told their clients faster than clients are told; clones share the values.
#[derive(Debug, Clone, Default)]
pub struct Unsent {
    /// Steps of progress that a newer one took the place of.
    pub progress: Counter,
    /// Log messages that were left out.
    pub log: Counter,
}

/// An event stream that is open.
#[derive(Debug)]
pub struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A family of histograms over durations in seconds.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of one node. Clones share their values.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    names: Arc<[&'static str]>,
    /// `http_requests_total`
    pub http_requests: Family<HttpLabels, Counter>,
    /// `http_request_duration_seconds`
    pub http_duration: Durations<RouteLabels>,
    /// `mcp_server_operation_duration_seconds`
    pub operation_duration: Durations<OperationLabels>,
    /// `erlmcp_sessions`
    pub sessions: Family<SessionLabels, Gauge>,
    /// `mcp_server_session_duration_seconds`
    pub session_duration: Histogram,
    /// `erlmcp_sessions_evicted_total`
    pub sessions_evicted: Counter,
    /// `erlmcp_open_streams`
    pub streams: Family<SessionLabels, Gauge>,
    /// `erlmcp_notifications_unsent_total`
    pub notifications_unsent: Family<UnsentLabels, Counter>,
    /// `erlmcp_tasks`
    pub tasks: Family<TaskLabels, Gauge>,
    /// `erlmcp_requests_in_flight`
    pub in_flight: Gauge,
    /// `erlmcp_rejected_total`
    pub rejected: Family<RejectedLabels, Counter>,
    /// `erlmcp_child_restarts_total`
    pub child_restarts: Family<RestartLabels, Counter>,
    /// `erlmcp_supervisor_gave_up_total`
    pub supervisor_gave_up: Family<GaveUpLabels, Counter>,
    /// `erlmcp_upstream_state`
    pub upstream_state: Family<UpstreamLabels, Gauge>,
    /// `erlmcp_config_reloads_total`
    pub config_reloads: Family<ReloadLabels, Counter>,
    /// `erlmcp_upstream_restarts_total`
    pub upstream_restarts: Family<UpstreamRestartLabels, Counter>,
    /// `mcp_client_operation_duration_seconds`
    pub client_operation_duration: Durations<ClientOperationLabels>,
    /// `erlmcp_proxy_overhead_seconds`
    pub proxy_overhead: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            names: Arc::default(),
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(seconds),
            operation_duration: Family::new_with_constructor(seconds),
            sessions: Family::default(),
            session_duration: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            sessions_evicted: Counter::default(),
            streams: Family::default(),
            notifications_unsent: Family::default(),
            tasks: Family::default(),
            in_flight: Gauge::default(),
            rejected: Family::default(),
            child_restarts: Family::default(),
            supervisor_gave_up: Family::default(),
            upstream_state: Family::default(),
            config_reloads: Family::default(),
            upstream_restarts: Family::default(),
            client_operation_duration: Family::new_with_constructor(seconds),
            proxy_overhead: Histogram::new(exponential_buckets(0.000_01, 2.0, 16)),
        };
        let mut book = Book::default();
        metrics.register(&mut book);
        metrics.registry = Arc::new(book.registry);
        metrics.names = book.names.into();
        metrics
    }
}

/// A registry that can tell what is in it.
#[derive(Default)]
struct Book {
    registry: Registry,
    names: Vec<&'static str>,
}

impl Book {
    fn add(&mut self, name: &'static str, help: &'static str, metric: impl Metric) {
        self.names.push(name);
        self.registry.register(name, help, metric);
    }
}

impl Metrics {
    fn register(&self, book: &mut Book) {
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        book.add("erlmcp_build", "The version that runs", version);
        book.add("http_requests", "HTTP requests answered", self.http_requests.clone());
        book.add(
            "http_request_duration_seconds",
            "From an HTTP request's head to its answer's head",
            self.http_duration.clone(),
        );
        book.add(
            "mcp_server_operation_duration_seconds",
            "From a request to its answer",
            self.operation_duration.clone(),
        );
        book.add(
            "mcp_server_session_duration_seconds",
            "From a session's opening to its end",
            self.session_duration.clone(),
        );
        book.add("erlmcp_sessions", "Open sessions", self.sessions.clone());
        book.add(
            "erlmcp_sessions_evicted",
            "Sessions ended to make room for new ones",
            self.sessions_evicted.clone(),
        );
        book.add("erlmcp_open_streams", "Open event streams", self.streams.clone());
        book.add(
            "erlmcp_notifications_unsent",
            "Steps of progress and log messages that came too fast to be sent",
            self.notifications_unsent.clone(),
        );
        book.add("erlmcp_tasks", "Tasks that are kept", self.tasks.clone());
        book.add("erlmcp_requests_in_flight", "Requests in the node", self.in_flight.clone());
        book.add("erlmcp_rejected", "Requests refused by a limit or rule", self.rejected.clone());
        book.add(
            "erlmcp_child_restarts",
            "Children that ended and were started again",
            self.child_restarts.clone(),
        );
        book.add(
            "erlmcp_supervisor_gave_up",
            "Restart intensities reached",
            self.supervisor_gave_up.clone(),
        );
        book.add(
            "erlmcp_upstream_state",
            "1 for the state that an upstream is in",
            self.upstream_state.clone(),
        );
        book.add(
            "erlmcp_upstream_restarts",
            "Instances of upstreams that were started again",
            self.upstream_restarts.clone(),
        );
        book.add(
            "mcp_client_operation_duration_seconds",
            "From a request to an upstream to its answer",
            self.client_operation_duration.clone(),
        );
        book.add(
            "erlmcp_proxy_overhead_seconds",
            "What the node adds to the time of an upstream's answer",
            self.proxy_overhead.clone(),
        );
        book.add(
            "erlmcp_config_reloads",
            "How often the configuration was read again",
            self.config_reloads.clone(),
        );
        book.add("erlmcp_log_lines_lost", "Log lines that found no room", log::lost());
    }

    /// The families there are, by the names that they are registered under: those of counters and
    /// of infos are without the suffix that they are served with. One without a value yet is not
    /// served.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// None that is known: a string takes any text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts an event stream as long as what this gives lives.
    pub fn open_stream(&self, era: &'static str, transport: &'static str) -> OpenStream {
        let gauge = self.streams.get_or_create(&SessionLabels { era, transport }).clone();
        gauge.inc();
        OpenStream(gauge)
    }

    /// The counters of what is not sent.
    pub fn unsent(&self) -> Unsent {
        let counter = |kind| self.notifications_unsent.get_or_create_owned(&UnsentLabels { kind });
        Unsent { progress: counter("progress"), log: counter("log") }
    }

    /// Counts a refusal.
    pub fn reject(&self, reason: &'static str) {
        self.rejected.get_or_create(&RejectedLabels { reason }).inc();
    }
}

/// From half a millisecond to about a minute, by twos.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_dashboards_rely_on() {
        let metrics = Metrics::default();
        metrics.reject("requests.max_in_flight");
        metrics.in_flight.inc();
        let route = RouteLabels { method: "GET", route: "/mcp" };
        metrics.http_duration.get_or_create(&route).observe(0.1);
        let text = metrics.encode().unwrap();
        for line in [
            "erlmcp_build_info{version=",
            "erlmcp_rejected_total{reason=\"requests.max_in_flight\"} 1",
            "erlmcp_requests_in_flight 1",
            "# TYPE http_request_duration_seconds histogram",
            "http_request_duration_seconds_count{method=\"GET\",route=\"/mcp\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
