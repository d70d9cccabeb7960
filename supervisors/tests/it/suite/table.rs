//! `tests/SUITE.md` and the cases in this folder agree.

use std::collections::BTreeMap;
use std::path::Path;

/// How many cases OTP's suite has.
const CASES: usize = 93;

/// Which file of this folder has which test.
fn tests() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/suite");
    let mut tests = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        let mut marked = false;
        for line in source.lines() {
            if let Some(name) = line.strip_prefix("async fn ").filter(|_| marked) {
                let name = name.split('(').next().unwrap().to_owned();
                assert_eq!(tests.insert(name.clone(), file.clone()), None, "{name} twice");
            }
            marked = line.starts_with("#[tokio::test");
        }
    }
    tests
}

/// The rows of the table: case, what it proves, and where it is or why it is not.
fn rows() -> Vec<[String; 3]> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/SUITE.md");
    let table = std::fs::read_to_string(table).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [case, proves, place] = cells[..] else { panic!("three cells: {line}") };
        [case.trim_matches('`'), proves, place].map(str::to_owned)
    })
    .collect()
}

#[test]
fn the_table_has_every_case_once() {
    let mut cases: Vec<String> = rows().into_iter().map(|[case, ..]| case).collect();
    cases.sort();
    cases.dedup();
    assert_eq!(cases.len(), CASES);
}

#[test]
fn each_case_is_a_test_or_has_a_reason() {
    let tests = tests();
    for [case, proves, place] in rows() {
        assert!(!proves.is_empty(), "{case}: what does it prove?");
        match tests.get(&case) {
            Some(file) => assert_eq!(place, format!("`suite/{file}`"), "{case}"),
            None => assert!(place.starts_with("does not apply: "), "{case} is missing"),
        }
    }
}

#[test]
fn each_test_is_a_case() {
    let cases: Vec<String> = rows().into_iter().map(|[case, ..]| case).collect();
    for (test, file) in tests() {
        assert!(cases.contains(&test), "{test} in {file} is no case of OTP's suite");
    }
}
