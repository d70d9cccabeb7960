//! Rules about what is linked: ractor and rmcp as we know them, and nothing from outside
//! crates.io.
//!
//! ractor's features `cluster` and `async-trait` aren't additive: they change trait bounds for the
//! whole workspace. The manifests tell what we ask for. The lock file tells what we get, whoever
//! asks: an optional dependency stands in it only where some crate turned its feature on.
//! Licences, bans and sources as such are `cargo deny`'s work.

use crate::problem::{Problem, assert_none, told};
use crate::repository::{File, files};

/// ractor's features that no manifest may turn on; `blanket_serde` brings `cluster` along.
const FORBIDDEN_FEATURES: &[&str] = &["async-trait", "blanket_serde", "cluster"];

/// Crates that come with those features: below ractor itself, and anywhere.
const FORBIDDEN_BELOW_RACTOR: &[&str] = &["async-trait", "pot"];
const FORBIDDEN_ANYWHERE: &[&str] = &["ractor_cluster", "ractor-supervisor"];

#[test]
fn manifests_pin_ractor_and_ask_for_no_forbidden_feature() {
    let manifests: Vec<&File> =
        files().iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    assert!(manifests.iter().any(|file| file.path == "Cargo.toml"), "no root manifest");
    assert_none(&manifests.into_iter().flat_map(check_manifest).collect::<Vec<_>>());
}

#[test]
fn the_lock_file_has_one_ractor_without_forbidden_features() {
    let lock = files().iter().find(|file| file.path == "Cargo.lock");
    assert_none(&lock.map(check_lock).unwrap_or_default());
}

/// Every entry for ractor is either the workspace's own or the one exact pin.
fn check_manifest(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut section = "";
    for (number, line) in file.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let mut problem = |what: &str| problems.push(Problem::at(&file.path, number + 1, what));
        if line.starts_with('[') && section.ends_with("dependencies.ractor") {
            problem("ractor's entry has to be one line, so that it is read at a glance");
        }
        let Some((key, value)) = line.split_once('=').filter(|_| section.ends_with("dependencies"))
        else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if key == "ractor.workspace" || (key == "ractor" && value.contains("workspace = true")) {
            if FORBIDDEN_FEATURES.iter().any(|feature| quoted(value, feature)) {
                problem("turns on a feature of ractor's that changes it for everybody");
            }
        } else if key == "ractor" {
            if !value.contains("\"=") || !value.contains("default-features = false") {
                problem("ractor needs an exact version (\"=…\") and `default-features = false`");
            }
            if FORBIDDEN_FEATURES.iter().any(|feature| quoted(value, feature)) {
                problem("turns on a feature of ractor's that changes it for everybody");
            }
        }
        if key == "rmcp" && !value.contains("\"=") && !value.contains("workspace = true") {
            problem("rmcp needs an exact version (\"=…\"): its types break with each");
        }
        if value.contains("git =") || value.contains("version = \"*\"") || value == "\"*\"" {
            problem("a dependency has a version and comes from crates.io");
        }
    }
    problems
}

fn check_lock(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ractors = 0;
    for package in file.text.split("[[package]]").skip(1) {
        let name =
            package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
        let name = name.trim_matches('"');
        if FORBIDDEN_ANYWHERE.contains(&name) {
            problems.push(Problem::of(&file.path, format!("`{name}` must not be linked")));
        }
        if name == "ractor" {
            ractors += 1;
            for crate_name in FORBIDDEN_BELOW_RACTOR.iter().filter(|name| quoted(package, name)) {
                let what = format!("some crate turned on ractor's feature behind `{crate_name}`");
                problems.push(Problem::of(&file.path, what));
            }
        }
    }
    if ractors != 1 {
        problems.push(Problem::of(&file.path, format!("{ractors} versions of ractor, not one")));
    }
    problems
}

fn quoted(text: &str, word: &str) -> bool {
    text.contains(&format!("\"{word}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(entry: &str) -> Vec<String> {
        told(&check_manifest(&File::new("Cargo.toml", entry)))
    }

    #[test]
    fn a_loose_or_widened_ractor_is_found() {
        let samples = [
            "[dependencies]\nractor = \"0.16\"",
            "[dependencies]\nractor = { version = \"0.16.5\", default-features = false }",
            "[workspace.dependencies]\nractor = { version = \"=0.16.5\" }",
            "[dev-dependencies]\nractor = { workspace = true, features = [\"cluster\"] }",
            "[dependencies.ractor]\nversion = \"=0.16.5\"",
            "[workspace.dependencies]\nrmcp = { version = \"3.11.0\" }",
            "[dependencies]\nserde = \"*\"",
            "[dependencies]\nserde = { git = \"https://example.org/serde\" }",
        ];
        for entry in samples {
            assert_eq!(manifest(entry).len(), 1, "{entry}");
        }
    }

    #[test]
    fn the_agreed_ractor_is_fine() {
        let samples = [
            "[dependencies]\nractor = { version = \"=0.16.5\", default-features = false }",
            "[dependencies]\nractor.workspace = true",
            "[dependencies]\nractor = { workspace = true } # features = [\"cluster\"]",
            "[package]\nname = \"ractor\"",
        ];
        for entry in samples {
            assert_eq!(manifest(entry), Vec::<String>::new(), "{entry}");
        }
    }

    #[test]
    fn a_feature_that_another_crate_turned_on_is_found() {
        let lock = |text: &str| told(&check_lock(&File::new("Cargo.lock", text)));
        let plain = "[[package]]\nname = \"ractor\"\ndependencies = [\n \"tokio\",\n]\n";
        assert_eq!(lock(plain), Vec::<String>::new());
        let widened = plain.replace("tokio", "async-trait");
        let expected = ["Cargo.lock:1: some crate turned on ractor's feature behind `async-trait`"];
        assert_eq!(lock(&widened), expected);
        assert_eq!(lock(&plain.repeat(2)), ["Cargo.lock:1: 2 versions of ractor, not one"]);
        let banned = format!("{plain}[[package]]\nname = \"ractor_cluster\"\n");
        assert_eq!(lock(&banned), ["Cargo.lock:1: `ractor_cluster` must not be linked"]);
    }
}
