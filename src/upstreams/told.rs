//! Why a tool is there or missing, in words, with what to do about it.

use std::fmt::Write as _;

use super::status::{EndStatus, Left, UpstreamStatus};
use super::why::Why;

impl Why {
    /// The whole explanation of a name that was asked for, in one or more lines.
    pub fn told(&self, asked: &str) -> String {
        match self {
            Self::Healthy { server, tool } => {
                format!("{asked} is there: the server {server:?} has it as {tool:?}")
            }
            Self::Down { server, state, cause, known, next_try_s, last_end } => {
                let state = state.as_str();
                let mut text = format!("{asked} is missing: the server {server:?} is {state}");
                let _ = write!(text, "\nCause: {cause}");
                if !known {
                    text.push_str("\nIt has never said which tools it has, or not this one");
                }
                if let Some(seconds) = next_try_s {
                    let _ = write!(text, "\nIt is tried again in {seconds} s");
                }
                let _ = write!(text, "\n`erlmcp restart {server}` starts it now");
                if let Some(end) = last_end {
                    text.push_str(&ended(end));
                }
                text
            }
            Self::Server { status } => of_server(status),
            Self::Hidden { server, tool } => format!(
                "{asked} is hidden: tools.allow or tools.deny of the server {server:?} leaves \
                 {tool:?} out\nChange the configuration, then `erlmcp reload`"
            ),
            Self::Refused { server, tool, reason } => format!(
                "{asked} is left out: what the server {server:?} says of {tool:?} can't be shown \
                 to clients\nCause: {reason}\nThis has to be mended in the server"
            ),
            Self::UnknownTool { server, near } => {
                format!("{asked} is missing: the server {server:?} has no such tool{}", like(near))
            }
            Self::UnknownServer { near } => format!(
                "{asked} is missing: no server has it{}\n`erlmcp upstreams` lists the servers",
                like(near)
            ),
        }
    }
}

fn of_server(status: &UpstreamStatus) -> String {
    let UpstreamStatus { name, cause, tools, refused, next_try_s, last_end, .. } = status;
    let mut text = format!("The server {name:?} is {}: {cause}", status.state.as_str());
    let _ = write!(text, "\nIt has {tools} tools that clients see");
    for Left { list, name, why } in refused {
        let _ = write!(text, "\nLeft out of its {list}: {name:?}, because {why}");
    }
    if let Some(seconds) = next_try_s {
        let _ = write!(text, "\nIt is tried again in {seconds} s");
        let _ = write!(text, "\n`erlmcp restart {}` starts it now", status.name);
    }
    if let Some(end) = last_end {
        text.push_str(&ended(end));
    }
    text
}

fn ended(end: &EndStatus) -> String {
    let EndStatus { cause, ago_s, uptime_ms, stderr } = end;
    let mut text =
        format!("\nIts last instance ended {ago_s} s ago, after {uptime_ms} ms: {cause}");
    if !stderr.is_empty() {
        text.push_str("\nThe last that it wrote on its standard error:");
        for line in stderr {
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}

fn like(near: &[std::sync::Arc<str>]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = near.iter().map(|name| &**name).collect();
    format!("; did you mean {}?", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::super::machine::State;
    use super::*;

    fn quarantined() -> UpstreamStatus {
        UpstreamStatus {
            name: "git".into(),
            state: State::Quarantined,
            since_s: 1,
            cause: "exited with status 1".into(),
            next_try_s: Some(7),
            transport: "stdio",
            share: "node",
            restarts: 6,
            in_flight: 0,
            instances: Vec::new(),
            last_end: None,
            tools: 2,
            prompts: 0,
            resources: 0,
            templates: 0,
            refused: vec![Left {
                list: "tools",
                name: String::new(),
                why: "it has no name".into(),
            }],
        }
    }

    #[test]
    fn each_explanation_says_what_to_do() {
        let end = EndStatus {
            cause: "exited with status 1".into(),
            ago_s: 3,
            uptime_ms: 40,
            stderr: vec!["no token".into()],
        };
        let down = Why::Down {
            server: "git".into(),
            state: State::Quarantined,
            cause: "exited with status 1".into(),
            known: true,
            next_try_s: Some(7),
            last_end: Some(end),
        };
        let expected = "git__log is missing: the server \"git\" is quarantined\n\
                        Cause: exited with status 1\n\
                        It is tried again in 7 s\n\
                        `erlmcp restart git` starts it now\n\
                        Its last instance ended 3 s ago, after 40 ms: exited with status 1\n\
                        The last that it wrote on its standard error:\n  no token";
        assert_eq!(down.told("git__log"), expected);
        let server = Why::Server { status: Box::new(quarantined()) };
        let expected = "The server \"git\" is quarantined: exited with status 1\n\
                        It has 2 tools that clients see\n\
                        Left out of its tools: \"\", because it has no name\n\
                        It is tried again in 7 s\n\
                        `erlmcp restart git` starts it now";
        assert_eq!(server.told("git"), expected);
        let unknown = Why::UnknownServer { near: vec!["git__log".into()] };
        assert!(unknown.told("log").contains("did you mean git__log?"));
    }
}
