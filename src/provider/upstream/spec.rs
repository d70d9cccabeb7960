//! What an upstream is, with everything expanded and checked: `[mcp_servers.NAME]`, or an entry of
//! a client's own file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// One MCP server behind the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// Where it is.
    pub target: Target,
    /// Whether it is started at all.
    pub enabled: bool,
    /// Who shares one running instance of it; `None` leaves that to the node: by principal where
    /// clients have to say who they are, all of them otherwise.
    pub share: Option<Share>,
    /// How many instances run side by side for those who share.
    pub instances: usize,
    /// When an instance that ended is started again.
    pub restart: Restart,
    /// How many restarts within `window` are bad luck; with one more it is quarantined.
    pub max_restarts: u32,
    /// The window in which restarts are counted; an instance that lived longer begins anew.
    pub window: Duration,
    /// How long an instance may take to stop before it is killed.
    pub shutdown: Duration,
    /// How long an instance may take until it answered the handshake.
    pub start_timeout: Duration,
    /// How long one request may take, where that differs from the node's own limit.
    pub timeout: Option<Duration>,
    /// How long an instance that belongs to a principal or a session may be unused.
    pub idle_timeout: Duration,
    /// Which of its tools there are.
    pub tools: ToolFilter,
}

impl UpstreamSpec {
    /// An upstream with nothing set but its target.
    ///
    /// Five restarts a minute tell bad luck from a server that can't run. Servers that `npx` or
    /// `uvx` downloads first take their time to start.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            enabled: true,
            share: None,
            instances: 1,
            restart: Restart::Permanent,
            max_restarts: 5,
            window: Duration::from_secs(60),
            shutdown: Duration::from_secs(5),
            start_timeout: Duration::from_secs(60),
            timeout: None,
            idle_timeout: Duration::from_secs(600),
            tools: ToolFilter::default(),
        }
    }
}

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A process of ours, spoken to by its standard input and output.
    Stdio(Command),
    /// A server that is reached over HTTP.
    Http(HttpTarget),
}

/// A command to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to its environment.
    pub env: BTreeMap<String, Secret>,
    /// Where it runs; where the node runs, if not set.
    pub cwd: Option<PathBuf>,
}

/// A server over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// Its MCP endpoint.
    pub url: String,
    /// Which of HTTP's transports it speaks.
    pub transport: HttpTransport,
    /// What each request bears.
    pub headers: BTreeMap<String, Secret>,
    /// How the node says who it is.
    pub auth: Option<UpstreamAuth>,
}

/// The transports over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HttpTransport {
    /// Streamable HTTP; where the server doesn't speak it, HTTP+SSE of 2024-11-05.
    #[default]
    Auto,
    /// Streamable HTTP, of either era.
    Streamable,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

/// How the node says who it is. What its own clients say of themselves is never passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAuth {
    /// A bearer token in a file, read anew when it changes.
    TokenFile(PathBuf),
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4).
    ClientCredentials {
        /// Who the node is at the issuer.
        client_id: String,
        /// Its secret there.
        client_secret: Secret,
        /// What it asks to be allowed; nothing in particular where empty.
        scopes: Vec<String>,
    },
}

/// Who shares one running instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All clients of the node.
    Node,
    /// All sessions and requests of one principal.
    Principal,
    /// One session; requests without a session share by principal.
    Session,
}

/// When an instance that ended is started again, as OTP's restart types say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Where it ended by a signal, with an exit status other than 0, or by breaking the protocol.
    Transient,
    /// Never.
    Temporary,
}

/// Which tools of an upstream there are: patterns in which `*` stands for anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolFilter {
    /// Only these, where there are any.
    pub allow: Vec<String>,
    /// Not these, whatever is allowed.
    pub deny: Vec<String>,
}
