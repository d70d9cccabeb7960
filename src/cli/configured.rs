//! The arguments by which a command finds its configuration.

use std::path::PathBuf;

use clap::Args;

use super::exit::{BAD_CONFIGURATION, Failure};
use crate::config::{self, Config, Problems, Sources};

#[derive(Debug, Args)]
pub(super) struct Configured {
    /// The configuration file; else ERLMCP_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key, such as `http.listen=127.0.0.1:9000`; may come several times.
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

impl Configured {
    /// The configuration.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        self.read().map_err(|problems| Failure::new(BAD_CONFIGURATION, problems))
    }

    /// The configuration, or all that is wrong with it.
    pub(super) fn read(&self) -> Result<Config, Problems> {
        Config::load(&Sources {
            file: self.config.clone(),
            environment: config::environment(),
            flags: self.set.clone(),
        })
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as SECTION.KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
