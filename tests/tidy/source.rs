//! Rules about each source file by itself: lengths, module docs, names, leftovers, private places.

use crate::problem::{Problem, assert_none, told};
use crate::repository::{File, files};
use crate::scan;

const MAX_FILE_LINES: usize = 400;
const MAX_LINE_CHARS: usize = 100;

/// Names that say nothing about what a thing is.
const VAGUE: &[&str] = &[
    "base",
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "service",
    "services",
    "util",
    "utilities",
    "utility",
    "utils",
];

/// What stands for unfinished work, with what to do instead.
const LEFTOVERS: &[(&str, &str)] = &[
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "log it, or leave it out"),
    ("#[ignore", "a test that isn't run checks nothing"),
];

/// A mark of unfinished work anywhere, comments too. Written in two so that it doesn't find itself.
const MARK: &str = concat!("FIX", "ME");

/// Places that exist on one machine only, and hosts of registries, which differ by site.
/// Written in two so that they don't find themselves.
const PRIVATE_PLACES: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("/tmp/", "target"),
    concat!("arti", "factory"),
    concat!("index.", "crates.io"),
    concat!("registry.", "npmjs"),
    concat!("registry.", "yarnpkg"),
    concat!("pypi.", "org"),
    concat!("python", "hosted.org"),
    concat!("deb.", "debian.org"),
];

#[test]
fn files_and_lines_are_short() {
    assert_none(&on_rust(check_lengths));
}

#[test]
fn every_file_opens_with_its_module_docs() {
    assert_none(&on_rust(check_docs));
}

#[test]
fn names_say_what_things_are() {
    assert_none(&on_rust(check_names));
}

#[test]
fn nothing_is_left_over() {
    assert_none(&on_rust(check_leftovers));
}

#[test]
fn no_file_names_a_private_place() {
    let problems: Vec<Problem> = files().iter().flat_map(check_places).collect();
    assert_none(&problems);
}

fn on_rust(check: fn(&File) -> Vec<Problem>) -> Vec<Problem> {
    files().iter().filter(|file| file.is_rust()).flat_map(check).collect()
}

/// A file counts without its tests; `tests.rs` and `a_tests.rs` are tests modules.
fn check_lengths(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let lines = file.text.lines().count() - scan::test_lines(&scan::code(&file.text));
    if lines > MAX_FILE_LINES && !file.is_tests() {
        let what = format!("{lines} lines without its tests, over {MAX_FILE_LINES}: split it");
        problems.push(Problem::of(&file.path, what));
    }
    for (number, line) in file.text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > MAX_LINE_CHARS {
            let what = format!("{chars} characters, over {MAX_LINE_CHARS}");
            problems.push(Problem::at(&file.path, number + 1, what));
        }
    }
    problems
}

fn check_docs(file: &File) -> Vec<Problem> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Problem::of(&file.path, "doesn't open with its module docs (`//!`)")]
}

fn check_names(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for part in file.path.trim_end_matches(".rs").split('/') {
        if let Some(word) = vague_word(part) {
            let what = format!("`{part}`: \"{word}\" doesn't say what it is");
            problems.push(Problem::of(&file.path, what));
        }
    }
    let code = scan::code(&file.text);
    for (number, line) in code.lines().enumerate() {
        let words: Vec<&str> = line
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|w| !w.is_empty())
            .collect();
        for pair in words.windows(2) {
            let [keyword, name] = pair else { continue };
            let defines =
                matches!(*keyword, "struct" | "enum" | "trait" | "union" | "type" | "mod");
            if let Some(word) = vague_word(name).filter(|_| defines) {
                let what = format!("`{name}`: \"{word}\" doesn't say what it is");
                problems.push(Problem::at(&file.path, number + 1, what));
            }
        }
    }
    problems
}

fn check_leftovers(file: &File) -> Vec<Problem> {
    let code = scan::code(&file.text);
    let mut problems = Vec::new();
    for (token, instead) in LEFTOVERS {
        for at in scan::find_token(&code, token) {
            let what = format!("`{token}`: {instead}");
            problems.push(Problem::at(&file.path, scan::line_of(&code, at), what));
        }
    }
    for (at, _) in file.text.match_indices(MARK) {
        let what = format!("`{MARK}`: mend it, or file an issue");
        problems.push(Problem::at(&file.path, scan::line_of(&file.text, at), what));
    }
    problems
}

fn check_places(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for place in PRIVATE_PLACES.iter().filter(|place| line.contains(**place)) {
            let what = format!("`{place}` is a place on one machine or site");
            problems.push(Problem::at(&file.path, number + 1, what));
        }
    }
    problems
}

/// The first vague word of a `CamelCase` or `snake_case` name.
fn vague_word(name: &str) -> Option<String> {
    words_of(name).into_iter().find(|word| VAGUE.contains(&word.as_str()))
}

fn words_of(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        let after_small = before.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
        // The last capital of a run starts the next word: `HTTPServer` is `HTTP` and `Server`.
        let before_small = chars.get(at + 1).is_some_and(|c| c.is_lowercase());
        if !c.is_alphanumeric() || (c.is_uppercase() && (after_small || before_small)) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(check: fn(&File) -> Vec<Problem>, path: &str, text: &str) -> Vec<String> {
        told(&check(&File::new(path, text)))
    }

    #[test]
    fn a_long_file_is_found() {
        let long = "a;\n".repeat(MAX_FILE_LINES + 1);
        let expected = ["src/a.rs:1: 401 lines without its tests, over 400: split it"];
        assert_eq!(run(check_lengths, "src/a.rs", &long), expected);
        let tested = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(run(check_lengths, "src/a.rs", &tested).len(), 0);
        assert_eq!(run(check_lengths, "src/a/tests.rs", &long).len(), 0);
        assert_eq!(run(check_lengths, "src/a_tests.rs", &long).len(), 0);
    }

    #[test]
    fn a_long_line_is_found() {
        let text = format!("// {}\n// {}\n", "é".repeat(97), "é".repeat(98));
        assert_eq!(run(check_lengths, "src/a.rs", &text), ["src/a.rs:2: 101 characters, over 100"]);
    }

    #[test]
    fn missing_docs_are_found() {
        assert_eq!(run(check_docs, "src/a.rs", "use b;\n").len(), 1);
        assert_eq!(run(check_docs, "src/a.rs", "//! A.\n").len(), 0);
    }

    #[test]
    fn a_vague_name_is_found() {
        let samples = [
            ("src/a.rs", "pub struct SessionManager;"),
            ("src/a.rs", "enum HTTPUtil {}"),
            ("src/a.rs", "mod helpers;"),
            ("src/string_utils.rs", ""),
            ("src/common/id.rs", ""),
        ];
        for (path, text) in samples {
            assert_eq!(run(check_names, path, text).len(), 1, "{path}: {text}");
        }
        let expected = ["src/a.rs:2: `Base`: \"base\" doesn't say what it is"];
        assert_eq!(run(check_names, "src/a.rs", "\ntrait Base {}"), expected);
    }

    #[test]
    fn a_telling_name_is_fine() {
        let text =
            "struct Session; struct Base64; struct Database; impl Service for A {} // type Util";
        assert_eq!(run(check_names, "src/session.rs", text).len(), 0);
    }

    #[test]
    fn leftovers_are_found() {
        for (token, _) in LEFTOVERS {
            let text = format!("\n    {token}()]");
            assert_eq!(run(check_leftovers, "src/a.rs", &text).len(), 1, "{token}");
        }
        let comment = format!("// {MARK} later");
        assert_eq!(run(check_leftovers, "src/a.rs", &comment).len(), 1);
        assert_eq!(run(check_leftovers, "src/a.rs", "// no todo! here\n\"dbg!\"").len(), 0);
    }

    #[test]
    fn private_places_are_found() {
        for place in PRIVATE_PLACES {
            let text = format!("fine\nsee {place} for it");
            let expected = format!("docs/a.md:2: `{place}` is a place on one machine or site");
            assert_eq!(run(check_places, "docs/a.md", &text), [expected]);
        }
        assert_eq!(run(check_places, "rel/a", "/opt/erlmcp /var/lib/erlmcp").len(), 0);
    }
}
