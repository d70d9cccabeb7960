//! The command line.

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Environment, Sources};
use crate::node::{Doors, Ends, Listeners, NodeError};
use crate::provider::demo;
use crate::serve::{ServeError, serve_at};
use crate::telemetry;

/// Something failed.
const FAILED: u8 = 1;
/// The configuration is bad (sysexits' EX_USAGE).
const BAD_CONFIGURATION: u8 = 64;
/// The root supervisor gave up (sysexits' EX_SOFTWARE).
const GAVE_UP: u8 = 70;

/// A server node for the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(name = "erlmcp", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node in the foreground.
    #[command(alias = "foreground")]
    Start(Configured),
    /// Serves one client on standard input and output; the log goes to standard error.
    Stdio(Configured),
    /// Checks the configuration and tells all that is wrong with it.
    Check(Configured),
    /// Prints the version.
    Version,
}

#[derive(Debug, Args)]
struct Configured {
    /// The configuration file; else ERLMCP_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key, such as `http.listen=127.0.0.1:9000`; may come several times.
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

impl Cli {
    /// Reads the arguments; usage errors end the process with 2.
    pub fn from_arguments() -> Self {
        Self::parse()
    }

    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Start(configured) => configured.load(|config| start(config, bound)),
            Command::Stdio(configured) => configured.load(|config| start(config, standard)),
            Command::Check(configured) => configured.load(|_| print("the configuration is good")),
            Command::Version => print(concat!("erlmcp ", env!("CARGO_PKG_VERSION"))),
        }
    }
}

impl Configured {
    fn load(self, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
        let sources =
            Sources { file: self.config, environment: config::environment(), flags: self.set };
        match Config::load(&sources) {
            Ok(config) => then(config),
            Err(problems) => fail(BAD_CONFIGURATION, &problems),
        }
    }
}

/// The sockets that the configuration names.
fn bound(config: &Config) -> Result<Doors, NodeError> {
    Listeners::bind(config).map(Doors::from)
}

/// Standard input and output, and nothing else: several such nodes may run on one machine.
fn standard(_: &Config) -> Result<Doors, NodeError> {
    let (reader, writer) = (Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout()));
    Ok(Doors { stdio: Some(Ends { reader, writer }), ..Doors::default() })
}

type Open = fn(&Config) -> Result<Doors, NodeError>;

fn start(config: Config, open: Open) -> ExitCode {
    let _flush = telemetry::log::install(&config.log, config.node.env == Environment::Production);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(serve(config, open));
            // A thread that still reads standard input can't be stopped, and need not be.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(FAILED, &error),
    }
}

/// Runs a node until it is told to stop or its root gives up.
async fn serve(config: Config, open: Open) -> ExitCode {
    match serve_demo(config, open).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ServeError::GaveUp(_)) => fail(GAVE_UP, &error),
        Err(error) => fail(FAILED, &chain(&error)),
    }
}

async fn serve_demo(config: Config, open: Open) -> Result<(), ServeError> {
    let (doors, demo) = (open(&config)?, demo::server().map_err(NodeError::from)?);
    serve_at(config, doors, vec![Arc::new(demo)]).await
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as SECTION.KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    // Where stderr is closed, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "erlmcp: {error}");
    ExitCode::from(code)
}
