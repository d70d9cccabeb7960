//! The configuration of `erlmcp bridge`: one server on standard input and output, behind HTTP.

use std::net::SocketAddr;
use std::path::Path;

use super::upstreams::names;
use super::{Checked, Config, Problem, Problems, Sources};
use crate::catalogue::ServerName;
use crate::provider::upstream::spec::{Command, Share};
use crate::provider::upstream::{Target, UpstreamSpec};

/// One server on standard input and output, behind HTTP.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// Where it is served.
    pub listen: SocketAddr,
    /// What it is called; after its program, if nothing is given.
    pub name: Option<String>,
    /// How it is run.
    pub command: Command,
    /// Who shares one instance of it.
    pub share: Option<Share>,
}

impl Bridge {
    /// The configuration of a node that serves it alone: for clients of each era, by HTTP+SSE, too,
    /// and with names untouched. What the sources say goes first, but for their servers.
    pub fn check(self, sources: &Sources) -> Checked {
        let mut flags = self.flags();
        flags.extend(sources.flags.iter().cloned());
        let sources = Sources { flags, without_servers: true, ..sources.clone() };
        let Checked { config, warnings } = Config::check(&sources);
        let config = match (config, self.server()) {
            (Ok(mut config), Ok((name, spec))) => {
                config.mcp_servers.insert(name, spec);
                Ok(config)
            }
            (config, server) => {
                let mut problems = config.err().map(|Problems(all)| all).unwrap_or_default();
                problems.extend(server.err());
                Err(Problems(problems))
            }
        };
        Checked { config, warnings }
    }

    /// Bridges run side by side, each with a node's name of its own.
    fn flags(&self) -> Vec<(String, String)> {
        let port = self.listen.port();
        let mut flags = vec![
            ("http.listen", self.listen.to_string()),
            ("http.legacy_sse", "true".to_owned()),
            ("node.name", format!("bridge-{port}")),
            ("upstreams.prefix_names", "false".to_owned()),
        ];
        if port == 0 {
            // Nobody could tell its socket from that of another such bridge.
            flags.push(("control.socket", String::new()));
        }
        flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn server(self) -> Result<(ServerName, UpstreamSpec), Problem> {
        let program = Path::new(&self.command.program).file_name().unwrap_or_default();
        let name = match self.name {
            Some(name) => names::problem(&name, "")
                .map_or(Ok(name), |what| Err(Problem::new("--name", what)))?,
            None => {
                let name = names::of_client(&program.to_string_lossy(), "");
                if names::problem(&name, "").is_none() { name } else { "server".to_owned() }
            }
        };
        let spec =
            UpstreamSpec { share: self.share, ..UpstreamSpec::new(Target::Stdio(self.command)) };
        Ok((name.into(), spec))
    }
}
