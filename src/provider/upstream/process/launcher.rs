//! How children are started: through a holder, which is this program again, so that nothing of
//! them is left whatever becomes of the node; and in which environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::{exec, hold};
use crate::provider::upstream::spec;

/// Where programs are looked for if nobody says so.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What children inherit of the node's environment: who and where they are, and how they reach the
/// network, which `npx`, `uvx` and `docker` need to fetch servers. What else a server needs is
/// configured; a node's environment holds secrets that are not theirs.
const INHERITED: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "VOLTA_HOME",
];

/// The same, by how their names begin: locale, directories, and package managers' registries and
/// caches.
const INHERITED_BEGINNINGS: &[&str] = &["LC_", "XDG_", "NPM_CONFIG_", "npm_config_", "PIP_", "UV_"];

/// Parts of names that tell of a secret, which nobody inherits.
const SECRET_PARTS: &[&str] = &["AUTH", "KEY", "PASSWORD", "SECRET", "TOKEN"];

/// That this program looks at its arguments for those of a holder, and how many files it could have
/// open when it started.
static LAUNCHED: OnceLock<Option<u64>> = OnceLock::new();

/// How children are started.
#[derive(Debug, Clone)]
pub struct Launcher {
    holder: Option<PathBuf>,
    /// The soft limit of open files that children get.
    descriptors: Option<u64>,
    environment: Arc<BTreeMap<OsString, OsString>>,
}

impl Launcher {
    /// By this program, if it called [`launched`](super::launched) first of all; else as
    /// [`none`](Self::none). Of the node's environment children get what is theirs.
    pub fn own(environment: &BTreeMap<OsString, OsString>) -> Self {
        match LAUNCHED.get() {
            Some(descriptors) => Self {
                // Also where the file was replaced meanwhile, this is the program that runs.
                holder: Some(PathBuf::from("/proc/self/exe")),
                descriptors: *descriptors,
                ..Self::none(environment)
            },
            None => Self::none(environment),
        }
    }

    /// By the `erlmcp` program at this path.
    pub fn at(program: impl Into<PathBuf>, environment: &BTreeMap<OsString, OsString>) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        Self { holder: Some(program.into()), descriptors, ..Self::none(environment) }
    }

    /// Without a holder: what leaves its process group is out of reach, and what ignores the end of
    /// its input outlives a node that is killed.
    pub fn none(environment: &BTreeMap<OsString, OsString>) -> Self {
        let inherited = environment.iter().filter(|(name, _)| is_inherited(name));
        let inherited = inherited.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { holder: None, descriptors: None, environment: Arc::new(inherited) }
    }

    /// Whether there is a holder.
    pub(super) fn holds(&self) -> bool {
        self.holder.is_some()
    }

    /// Where this command's program is looked for.
    pub(super) fn path<'a>(&'a self, command: &'a spec::Command) -> &'a OsStr {
        let configured = command.env.get("PATH").and_then(|path| path.expose()).map(OsStr::new);
        let inherited = || self.environment.get(OsStr::new("PATH")).map(OsString::as_os_str);
        configured.or_else(inherited).unwrap_or(OsStr::new(PATH))
    }

    /// What starts this program, as the command says, in a process group of its own.
    pub(super) fn command(
        &self,
        program: &Path,
        command: &spec::Command,
        shutdown: Duration,
    ) -> Command {
        let mut start = match &self.holder {
            None => Command::new(program),
            Some(holder) => {
                let mut start = Command::new(holder);
                start.arg0("erlmcp").arg(hold::ARGUMENT);
                start.arg(shutdown.as_millis().to_string());
                start.arg(self.descriptors.map_or_else(String::new, |limit| limit.to_string()));
                start.arg(program);
                start
            }
        };
        start.args(&command.args).env_clear().envs(self.environment.iter());
        for (variable, value) in &command.env {
            start.env(variable, value.expose().unwrap_or_default());
        }
        if let Some(directory) = &command.cwd {
            start.current_dir(directory);
        }
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        start
    }
}

/// Does what a holder or its child has to do, if this process was started as one; a program that
/// runs nodes calls this first of all.
pub(super) fn launched(arguments: &[OsString]) -> Option<u8> {
    let _ = LAUNCHED.set(getrlimit(Resource::Nofile).current);
    let (which, rest) = arguments.split_first()?;
    match which.to_str()? {
        hold::ARGUMENT => Some(hold::run(rest)),
        exec::ARGUMENT => Some(exec::run(rest)),
        _ => None,
    }
}

fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let capital = name.to_ascii_uppercase();
    INHERITED.contains(&name)
        || (INHERITED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            && !SECRET_PARTS.iter().any(|part| capital.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn the_node_s_secrets_are_not_inherited() {
        for (name, expected) in [
            ("PATH", true),
            ("LC_ALL", true),
            ("XDG_CACHE_HOME", true),
            ("npm_config_registry", true),
            ("UV_DEFAULT_INDEX", true),
            ("npm_config__authToken", false),
            ("UV_PUBLISH_PASSWORD", false),
            ("ERLANG_COOKIE", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("LD_PRELOAD", false),
            ("path", false),
        ] {
            assert_eq!(is_inherited(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn what_is_configured_comes_over_what_is_inherited() {
        let node = environment(&[("PATH", "/a"), ("HOME", "/h"), ("SECRET", "s")]);
        let launcher = Launcher::none(&node);
        let mut command = spec::Command { program: "x".into(), ..spec::Command::default() };
        assert_eq!(launcher.path(&command), "/a");
        assert_eq!(Launcher::none(&BTreeMap::new()).path(&command), PATH);
        command.env.insert("PATH".into(), Secret::from("/b"));
        command.env.insert("EMPTY".into(), Secret::default());
        assert_eq!(launcher.path(&command), "/b");
        let start = launcher.command(Path::new("/b/x"), &command, Duration::from_secs(1));
        let told: BTreeMap<_, _> = start.get_envs().map(|(n, v)| (n, v.unwrap())).collect();
        let expected = [("EMPTY", ""), ("HOME", "/h"), ("PATH", "/b")];
        assert_eq!(told, expected.map(|(n, v)| (OsStr::new(n), OsStr::new(v))).into());
    }
}
