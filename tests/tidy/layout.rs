//! Rules about which files there are: the top level, no reports or backups, numbered decisions.

use std::collections::BTreeSet;

use crate::problem::{Problem, assert_none, told};
use crate::repository::{File, files};

/// The whole top level. A new entry is a decision, not an accident.
const TOP_LEVEL: &[&str] = &[
    // What the node is built, tested and released from.
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "supervisors",
    "tests",
    "benches",
    "rel",
    "Dockerfile",
    "Makefile",
    "docker-compose.yml",
    "docker-compose.prod.yml",
    ".ci",
    "scripts",
    // What is read.
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs",
    "examples",
    // What tools read.
    ".dockerignore",
    ".editorconfig",
    ".gitignore",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// Words in a file's name that mark what goes stale: it is generated, or it isn't committed.
const STALE_WORDS: &[&str] = &["plan", "receipt", "report", "status", "summary"];

const BACKUP_EXTENSIONS: &[&str] = &["backup", "bak", "broken", "disabled", "old", "orig", "skip"];

#[test]
fn the_top_level_is_the_agreed_one() {
    assert_none(&check_top_level(files()));
}

#[test]
fn no_report_or_backup_is_committed() {
    let problems: Vec<Problem> = files().iter().flat_map(check_stale).collect();
    assert_none(&problems);
}

#[test]
fn decisions_are_numbered_without_gaps() {
    assert_none(&check_decisions(files()));
}

fn check_top_level(files: &[File]) -> Vec<Problem> {
    let entries: BTreeSet<&str> =
        files.iter().filter_map(|file| file.path.split('/').next()).collect();
    entries
        .into_iter()
        .filter(|entry| !TOP_LEVEL.contains(entry))
        .map(|entry| Problem::of(entry, "isn't on the list of top-level entries"))
        .collect()
}

/// Documents only: code may well have a module named `status`.
fn check_stale(file: &File) -> Vec<Problem> {
    let name = file.path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let extension = name.rsplit('.').next().unwrap_or_default();
    if BACKUP_EXTENSIONS.contains(&extension) {
        return vec![Problem::of(&file.path, "a backup: git keeps what was")];
    }
    let stem = file.stem().to_lowercase();
    let stale = stem.split(|c: char| !c.is_alphanumeric()).any(|word| STALE_WORDS.contains(&word));
    if matches!(extension, "md" | "txt") && stale {
        return vec![Problem::of(&file.path, "goes stale: generate it, or leave it out")];
    }
    Vec::new()
}

/// `docs/adr/0001-title-in-words.md` and so on; `README.md` may introduce them.
fn check_decisions(files: &[File]) -> Vec<Problem> {
    let mut numbered = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix("docs/adr/").filter(|name| *name != "README.md")
        else {
            continue;
        };
        match decision_number(name) {
            Some(number) => numbered.push((number, file.path.as_str())),
            None => problems.push(Problem::of(&file.path, "isn't named `0001-title-in-words.md`")),
        }
    }
    numbered.sort_unstable();
    for ((number, path), expected) in numbered.into_iter().zip(1..) {
        if number != expected {
            problems.push(Problem::of(path, format!("should have the number {expected:04}")));
            break;
        }
    }
    problems
}

fn decision_number(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let in_words = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let well_named = number.len() == 4 && !title.is_empty() && title.chars().all(in_words);
    number.parse().ok().filter(|_| well_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&str]) -> Vec<File> {
        paths.iter().map(|path| File::new(path, "")).collect()
    }

    #[test]
    fn a_stray_entry_is_found() {
        let files = named(&["src/main.rs", "NOTES.md", "Makefile", "tools/a.sh", "tools/b.sh"]);
        let expected = [
            "NOTES.md:1: isn't on the list of top-level entries",
            "tools:1: isn't on the list of top-level entries",
        ];
        assert_eq!(told(&check_top_level(&files)), expected);
    }

    #[test]
    fn reports_and_backups_are_found() {
        for file in named(&["docs/SUMMARY.md", "docs/test-report.txt", "src/a.rs.bak", "a.skip"]) {
            assert_eq!(check_stale(&file).len(), 1, "{}", file.path);
        }
        for file in named(&["src/status.rs", "docs/reporting.md", "Makefile", "rel/plan.toml"]) {
            assert_eq!(check_stale(&file).len(), 0, "{}", file.path);
        }
    }

    #[test]
    fn gaps_and_doubles_are_found() {
        let check = |names: &[&str]| told(&check_decisions(&named(names)));
        let (first, second) = ("docs/adr/0001-one.md", "docs/adr/0002-two-words.md");
        let none: [&str; 0] = [];
        assert_eq!(check(&[second, first, "docs/adr/README.md", "docs/x.md"]), none);
        assert_eq!(check(&[second]), ["docs/adr/0002-two-words.md:1: should have the number 0001"]);
        assert_eq!(
            check(&[first, second, "docs/adr/0002-third.md"]),
            ["docs/adr/0002-two-words.md:1: should have the number 0003"],
        );
        assert_eq!(
            check(&[first, "docs/adr/two.md"]),
            ["docs/adr/two.md:1: isn't named `0001-title-in-words.md`"],
        );
    }
}
