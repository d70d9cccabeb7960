//! `erlmcp bridge`: one stdio server over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::configured::Configured;
use super::exit::Failure;
use super::start;
use crate::config;
use crate::node::Doors;
use crate::provider::upstream::spec;
use crate::secret::Secret;

#[derive(Debug, Args)]
pub(super) struct Bridge {
    /// The port that is listened on: /mcp, and /sse for clients of 2024-11-05.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// The address that is listened on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// An origin of web pages that may call; may come several times.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// What the server is called; else after its program.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A variable of the server's environment; may come several times.
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Gives the server the whole environment of this process.
    #[arg(long)]
    pass_environment: bool,
    /// Where the server runs; here, if not given.
    #[arg(long, value_name = "DIRECTORY")]
    cwd: Option<PathBuf>,
    /// Who shares one process of the server.
    #[arg(long, value_name = "WHO", value_enum)]
    share: Option<Share>,
    #[command(flatten)]
    configured: Configured,
    /// The server as a line for the shell, in place of a command.
    #[arg(long, value_name = "LINE", conflicts_with = "command")]
    stdio: Option<String>,
    /// The server: a program and its arguments.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required_unless_present = "stdio")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Share {
    /// All clients.
    Node,
    /// The sessions and requests of one principal.
    Principal,
    /// One session.
    Session,
}

impl Bridge {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut sources = self.configured.sources();
        if !self.allow_origin.is_empty() {
            let origins = ("http.allowed_origins".to_owned(), self.allow_origin.join(","));
            sources.flags.insert(0, origins);
        }
        let inherited = sources.environment.iter().filter(|_| self.pass_environment);
        let inherited = inherited.filter_map(|(name, value)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        });
        let env = inherited.chain(self.env);
        let line = self.stdio.map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line]);
        let mut words = line.unwrap_or(self.command).into_iter();
        let command = spec::Command {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env: env.map(|(name, value)| (name, Secret::from(value.as_str()))).collect(),
            cwd: self.cwd,
        };
        let bridge = config::Bridge {
            listen: SocketAddr::new(self.host, self.port),
            name: self.name,
            command,
            share: self.share.map(|share| match share {
                Share::Node => spec::Share::Node,
                Share::Principal => spec::Share::Principal,
                Share::Session => spec::Share::Session,
            }),
        };
        start::run(move || bridge.clone().check(&sources), Doors::bridge, |_| Ok(Vec::new()))
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
