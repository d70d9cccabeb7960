//! Replaces the variables in texts: `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${file:/PATH}`,
//! and those of editors. `$${` stands for `${`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::notes::Source;

/// Bytes that are read of a secret's file.
const SECRET_BYTES: u64 = 64 * 1024;
/// The variable that stands for the folder that a client has open.
const WORKSPACE: &str = "WORKSPACE_FOLDER";

/// The environment, as a place of values.
pub(in super::super) struct Variables<'a>(pub(in super::super) &'a BTreeMap<OsString, OsString>);

/// A text with its variables replaced; those that couldn't be stay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    pub(super) wrong: Vec<String>,
}

impl Variables<'_> {
    /// The value of a variable; none where it isn't set, or is no text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    /// A path, where `~` is the home of the node's user.
    pub(super) fn at_home(&self, path: String) -> String {
        match (path.strip_prefix('~'), self.get("HOME")) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                format!("{home}{rest}")
            }
            _ => path,
        }
    }

    /// Replaces the variables of a text. What looks like none, as in a script for a shell, stays.
    pub(super) fn expand(&self, text: &str, source: &Source) -> Expanded {
        let mut expanded = Expanded { text: String::new(), wrong: Vec::new() };
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            expanded.text.push_str(before);
            if before.ends_with('$') {
                expanded.text.push('{');
                rest = from;
                continue;
            }
            let Some((inside, after)) = from.split_once('}') else {
                expanded.text.push_str("${");
                rest = from;
                break;
            };
            rest = after;
            match self.value(inside, source) {
                Ok(Some(value)) => {
                    expanded.text.push_str(&value);
                    continue;
                }
                Ok(None) => {}
                Err(what) => expanded.wrong.push(what),
            }
            expanded.text.extend(["${", inside, "}"]);
        }
        expanded.text.push_str(rest);
        expanded
    }

    /// The value of what stands between the braces; `None` where that is no reference.
    fn value(&self, inside: &str, source: &Source) -> Result<Option<String>, String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let value = match name.split_once(':') {
            Some(("env", name)) => self.variable(name, default),
            Some(("input", id)) => self.input(id, source),
            Some(("file", path)) => secret_of(&self.at_home(path.to_owned())),
            Some(("workspaceFolder", _)) => self.workspace(source),
            Some(("command" | "config", _)) => Err(format!(
                "${{{inside}}} is something of a client's that a node doesn't have; write what it \
                 stands for"
            )),
            _ => match name {
                "userHome" => self.variable("HOME", default),
                "workspaceFolder" => self.workspace(source),
                "workspaceFolderBasename" => self.workspace(source).map(|path| name_of(&path)),
                "pathSeparator" | "/" => Ok("/".to_owned()),
                _ if is_name(name) => self.variable(name, default),
                _ => return Ok(None),
            },
        };
        value.or_else(|what| default.map(str::to_owned).ok_or(what)).map(Some)
    }

    /// A variable's value. As in shells, a default stands for an empty one, too.
    fn variable(&self, name: &str, default: Option<&str>) -> Result<String, String> {
        let value = self.get(name).filter(|value| default.is_none() || !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| {
            format!(
                "the environment variable {name} is not set; set it, or give a default as in \
                 ${{{name}:-default}}"
            )
        })
    }

    /// What a client would ask its user for.
    fn input(&self, id: &str, source: &Source) -> Result<String, String> {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name = format!("INPUT_{}", id.chars().map(upper).collect::<String>());
        let default = || source.inputs.get(id).cloned().flatten();
        self.get(&name).map(str::to_owned).or_else(default).ok_or_else(|| {
            format!(
                "${{input:{id}}} asks a user, and a node has nobody to ask; set the environment \
                 variable {name}"
            )
        })
    }

    fn workspace(&self, source: &Source) -> Result<String, String> {
        let set = self.get(WORKSPACE).filter(|path| !path.is_empty()).map(str::to_owned);
        let told = || source.workspace.as_ref().map(|path| path.to_string_lossy().into_owned());
        set.or_else(told).ok_or_else(|| {
            format!(
                "${{workspaceFolder}} is the folder that an editor has open, and a node has none; \
                 set the environment variable {WORKSPACE}"
            )
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn name_of(path: &str) -> String {
    Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The secret that a file holds, without the line's end.
pub(super) fn secret_of(path: &str) -> Result<String, String> {
    let problem = |error: io::Error| format!("{path} can't be read: {error}");
    let mut text = String::new();
    let file = File::open(path).map_err(problem)?;
    file.take(SECRET_BYTES).read_to_string(&mut text).map_err(problem)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(text: &str, source: &Source) -> Expanded {
        let set = [("A", "1"), ("EMPTY", ""), ("HOME", "/h"), ("INPUT_KEY_1", "k")];
        let set = set.map(|(name, value)| (name.into(), value.into()));
        Variables(&BTreeMap::from(set)).expand(text, source)
    }

    #[test]
    fn variables_are_replaced() {
        let source = Source {
            workspace: Some("/w/project".into()),
            inputs: BTreeMap::from([("d".to_owned(), Some("default".to_owned()))]),
            ..Source::default()
        };
        let table = [
            ("", ""),
            ("plain $A {A} $", "plain $A {A} $"),
            ("${A}${A}-${env:A}", "11-1"),
            (
                "[${EMPTY}] [${EMPTY:-x}] [${NONE:-}] [${NONE:-a b}] [${env:NONE:-c}]",
                "[] [x] [] [a b] [c]",
            ),
            ("$${A} $$${A} ${A}", "${A} $${A} 1"),
            ("${userHome} ${pathSeparator} ${/}", "/h / /"),
            ("${workspaceFolder}/x ${workspaceFolder:name}", "/w/project/x /w/project"),
            ("${workspaceFolderBasename}", "project"),
            ("${input:key-1} ${input:d} ${input:no:-x}", "k default x"),
            // Scripts for shells stay what they are.
            ("${x%.*} ${x:0:3} ${} ${1} ${open", "${x%.*} ${x:0:3} ${} ${1} ${open"),
        ];
        for (text, expected) in table {
            let expected = Expanded { text: expected.to_owned(), wrong: vec![] };
            assert_eq!(expand(text, &source), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        let unset = "is not set; set it, or give a default as in";
        let table = [
            ("${NONE}", format!("the environment variable NONE {unset} ${{NONE:-default}}")),
            ("${env:NONE}", format!("the environment variable NONE {unset} ${{NONE:-default}}")),
            (
                "${workspaceFolder}",
                "${workspaceFolder} is the folder that an editor has open, and a node has none; \
                 set the environment variable WORKSPACE_FOLDER"
                    .to_owned(),
            ),
            (
                "${command:pick.file}",
                "${command:pick.file} is something of a client's that a node doesn't have; write \
                 what it stands for"
                    .to_owned(),
            ),
            (
                "${file:/nonexistent}",
                "/nonexistent can't be read: No such file or directory (os error 2)".to_owned(),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(expand(text, &Source::default()).wrong, [expected], "{text}");
        }
        let set = [("WORKSPACE_FOLDER".into(), "/set".into())];
        let variables = BTreeMap::from(set);
        let expanded = Variables(&variables).expand("${workspaceFolder}", &Source::default());
        assert_eq!(expanded.text, "/set");
    }

    #[test]
    fn a_tilde_is_the_home_where_a_path_begins_with_it() {
        let set = BTreeMap::from([("HOME".into(), "/h".into())]);
        let table = [("~", "/h"), ("~/a", "/h/a"), ("~a", "~a"), ("a~", "a~")];
        for (path, expected) in table {
            assert_eq!(Variables(&set).at_home(path.to_owned()), expected);
        }
        assert_eq!(Variables(&BTreeMap::new()).at_home("~/a".to_owned()), "~/a");
    }

    proptest! {
        #[test]
        fn texts_without_a_brace_stay(text in "[^{]{0,40}") {
            prop_assert_eq!(expand(&text, &Source::default()).text, text);
        }

        #[test]
        fn any_text_is_expanded(text in r"[${}:\-A/a ]{0,40}") {
            prop_assert!(expand(&text, &Source::default()).text.len() < 400);
        }
    }
}
