//! Documents that tell what the code does are compared with the code.
//!
//! A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`, as a table or in
//! a code fence. To compare one more, render it from the library and add a test like this:
//!
//! ```ignore
//! #[test]
//! fn the_tree_is_the_documented_one() {
//!     let document = document("ARCHITECTURE.md");
//!     assert_none(&check_block(document, "tree", &erlmcp::tree::rendered()));
//! }
//! ```

use crate::problem::{Problem, told};
use crate::repository::File;

/// Compares a document's generated part with what the code says now.
fn check_block(file: &File, name: &str, expected: &str) -> Vec<Problem> {
    let Some(actual) = block(&file.text, name) else {
        let what = format!("has no part between `<!-- begin {name} -->` and `<!-- end {name} -->`");
        return vec![Problem::of(&file.path, what)];
    };
    if lines(actual) == lines(expected) {
        return Vec::new();
    }
    let what = format!("the part `{name}` isn't what the code says:\n{}", expected.trim());
    vec![Problem::of(&file.path, what)]
}

fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<!-- begin {name} -->"))?;
    let (block, _) = rest.split_once(&format!("<!-- end {name} -->"))?;
    Some(block)
}

/// The lines that count: no fence, no blank ones, no spaces at the end.
fn lines(text: &str) -> Vec<&str> {
    let counts = |line: &&str| !line.is_empty() && !line.starts_with("```");
    text.lines().map(str::trim_end).filter(counts).collect()
}

#[test]
fn a_stale_part_is_found() {
    let text = "# A\n<!-- begin tree -->\n```text\nroot\n  leaf\n```\n<!-- end tree -->\nB\n";
    let file = File::new("ARCHITECTURE.md", text);
    let none: [&str; 0] = [];
    assert_eq!(told(&check_block(&file, "tree", "root\n  leaf\n")), none);
    assert_eq!(
        told(&check_block(&file, "tree", "root\n")),
        ["ARCHITECTURE.md:1: the part `tree` isn't what the code says:\nroot"],
    );
    assert_eq!(
        told(&check_block(&file, "metrics", "")),
        ["ARCHITECTURE.md:1: has no part between `<!-- begin metrics -->` \
             and `<!-- end metrics -->`"],
    );
}
