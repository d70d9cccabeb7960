//! Tests of the servers' configuration: real files in, specs, problems and warnings out.

mod bridge_tests;
mod clients_tests;
mod layers_tests;
mod problems_tests;
mod reload_tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{Checked, Config, Problem, Problems, Sources};
use crate::provider::upstream::spec::{Command, HttpTarget};
use crate::provider::upstream::{Target, UpstreamSpec};
use crate::secret::Secret;

/// A folder with files that live as long as the test needs them.
struct Folder(PathBuf);

impl Folder {
    /// Each file's path below the folder, and its text.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("erlmcp-{}", uuid::Uuid::new_v4())));
        for (name, text) in files {
            let path = folder.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// `erlmcp.toml`, where there is one, and these files of clients.
    fn sources(&self, files: &[&str], variables: &[(&str, &str)]) -> Sources {
        let own = self.0.join("erlmcp.toml");
        Sources {
            file: own.exists().then_some(own),
            environment: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            mcp_files: files.iter().map(|name| self.0.join(name)).collect(),
            ..Sources::default()
        }
    }

    fn check(&self, files: &[&str], variables: &[(&str, &str)]) -> Checked {
        Config::check(&self.sources(files, variables))
    }

    /// Problems or warnings, with files by their names alone. Files are told as seen from where the
    /// process runs.
    fn told(&self, all: &[Problem]) -> Vec<String> {
        let folder = self.0.file_name().unwrap().to_str().unwrap();
        let name = |word: &str| match word.split_once(folder) {
            Some((_, path)) => path.rsplit('/').next().unwrap().to_owned(),
            None => word.to_owned(),
        };
        let line = |problem: &Problem| {
            problem.to_string().split(' ').map(name).collect::<Vec<_>>().join(" ")
        };
        all.iter().map(line).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The problems and warnings of one server in a client's file.
fn notes_of(entry: &str, variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let folder = Folder::new(&[("mcp.json", &format!(r#"{{"mcpServers": {{"s": {entry}}}}}"#))]);
    let Checked { config, warnings } = folder.check(&["mcp.json"], variables);
    let problems = config.err().map_or_else(Vec::new, |Problems(all)| all);
    let rest = |all: Vec<String>| {
        all.iter().map(|told| told.replace("mcp.json: mcpServers.", "")).collect::<Vec<_>>()
    };
    (rest(folder.told(&problems)), rest(folder.told(&warnings)))
}

fn servers(checked: Checked) -> BTreeMap<String, UpstreamSpec> {
    let config = checked.config.unwrap_or_else(|problems| panic!("{problems}"));
    config.mcp_servers.into_iter().map(|(name, spec)| (name.to_string(), spec)).collect()
}

fn command(program: &str, args: &[&str], env: &[(&str, &str)]) -> Target {
    Target::Stdio(Command {
        program: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: secrets(env),
        cwd: None,
    })
}

fn secrets(texts: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    texts.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect()
}

fn http(spec: &UpstreamSpec) -> &HttpTarget {
    match &spec.target {
        Target::Http(target) => target,
        Target::Stdio(command) => panic!("a command: {command:?}"),
    }
}

fn stdio(spec: &UpstreamSpec) -> &Command {
    match &spec.target {
        Target::Stdio(command) => command,
        Target::Http(target) => panic!("a url: {target:?}"),
    }
}
