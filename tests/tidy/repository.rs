//! The repository's files: what git tracks or would add; without git, what a walk finds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{fs, io};

/// Folders that a walk leaves out. Git knows them from `.gitignore`.
const IGNORED: &[&str] = &[".git", ".tools", "_build", "node_modules", "target"];

/// A text file, its path relative to the root with `/` between the parts.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// For the bad samples of the rules' own tests.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is the tests module of another one.
    pub(crate) fn is_tests(&self) -> bool {
        self.is_rust() && (self.stem() == "tests" || self.stem().ends_with("_tests"))
    }

    /// The file's name without its folder and its last extension.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// Every file that is text. Read once, shared by all rules.
pub(crate) fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let root = root();
        let paths = tracked(root).unwrap_or_else(|| walked(root));
        paths.iter().filter_map(|path| read(root, path)).collect()
    });
    assert!(!FILES.is_empty(), "no files found: the rules would check nothing");
    &FILES
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What git tracks, and what it would add: a rule should speak before the commit, not after it.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let list = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> =
        list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walked(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder).unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if IGNORED.contains(&name.as_str()) {
                // In a worktree of git's, `.git` is a file.
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(root)
                && path.is_file()
            {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// `None` for a file that was deleted but not yet from git's index, and for one that isn't text.
/// A binary file has a path too, though no text.
fn read(root: &Path, path: &str) -> Option<File> {
    let text = String::from_utf8(fs::read(root.join(path)).ok()?).unwrap_or_default();
    Some(File { path: path.to_owned(), text })
}

#[test]
fn both_ways_find_this_file() {
    let here = "tests/tidy/repository.rs".to_owned();
    assert!(walked(root()).contains(&here));
    if let Some(tracked) = tracked(root()) {
        assert!(tracked.contains(&here));
    }
}

#[test]
fn a_walk_leaves_out_what_git_ignores() {
    let ignored =
        walked(root()).into_iter().find(|path| path.split('/').any(|part| IGNORED.contains(&part)));
    assert_eq!(ignored, None);
}

#[test]
fn a_stem_is_the_name_alone() {
    assert_eq!(File::new("src/session/machine.rs", "").stem(), "machine");
    assert_eq!(File::new("Makefile", "").stem(), "Makefile");
}
