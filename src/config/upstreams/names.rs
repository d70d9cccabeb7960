//! The names of servers: they stand in paths, and in front of their tools' names. Pure.

use crate::provider::demo;

/// The longest name, in characters.
const LONGEST: usize = 64;

/// Why a server can't have this name, if it can't.
pub(in super::super) fn problem(name: &str, separator: &str) -> Option<String> {
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_legal) {
        return Some(format!("a server's name is 1 to {LONGEST} of A-Z, a-z, 0-9, _, . and -"));
    }
    // Else nobody could tell where the name of `NAME__tool` ends.
    let first = format!("{name}{separator}").find(separator);
    if !separator.is_empty() && first != Some(name.len()) {
        return Some(format!(
            "a server's name must not contain {separator:?}, nor end with its beginning: that \
             stands between a server's and a tool's name"
        ));
    }
    (name == demo::NAME).then(|| "is the name of a server that comes with the node".to_owned())
}

/// The name that a server of a client's file has here: clients allow any text.
pub(in super::super) fn of_client(name: &str, separator: &str) -> String {
    let mut legal = String::new();
    for c in name.chars().map(|c| if is_legal(c) { c } else { '-' }) {
        if c != '-' || !legal.ends_with('-') {
            legal.push(c);
        }
    }
    // A `-` has no meaning here, unless it is the separator's.
    let last = separator.chars().next().unwrap_or('-');
    let mut name = legal.trim_start_matches('-').trim_end_matches(['-', last]).to_owned();
    while !separator.is_empty() && separator != "-" && name.contains(separator) {
        name = name.replace(separator, "-");
    }
    name
}

/// Whether a variable's name means this server: variables can't contain `-` or `.`, nor small
/// letters by habit.
pub(in super::super) fn means(variable: &str, name: &str) -> bool {
    let plain = |c: char| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() };
    variable.chars().map(plain).eq(name.chars().map(plain))
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_short_plain_and_end_where_the_separator_begins() {
        for name in ["a", "GitHub", "a_b", "a.b-c", "_a", &"x".repeat(64)] {
            assert_eq!(problem(name, "__"), None, "{name}");
        }
        for name in ["", "a b", "ä", "a/b", "a__b", "a_", "demo", &"x".repeat(65)] {
            assert!(problem(name, "__").is_some(), "{name}");
        }
        assert_eq!((problem("a_", "."), problem("a.b", ".").is_some()), (None, true));
    }

    #[test]
    fn names_of_clients_become_legal() {
        let table = [
            ("GitHub", "GitHub"),
            ("My Server", "My-Server"),
            ("github.com/a/b-mcp", "github.com-a-b-mcp"),
            ("@21st-dev/magic", "21st-dev-magic"),
            ("a__b", "a-b"),
            ("a___", "a"),
            ("a___b-", "a-_b"),
            ("日本", ""),
        ];
        for (name, expected) in table {
            assert_eq!(of_client(name, "__"), expected);
        }
    }

    #[test]
    fn a_variable_means_a_server_though_it_has_fewer_letters() {
        assert!(means("MY_SERVER", "my-Server") && means("a_b", "a.b") && !means("a", "b"));
    }

    proptest! {
        #[test]
        fn only_empty_long_and_taken_names_stay_a_problem(name in ".{0,60}") {
            let here = of_client(&name, "__");
            let tolerated = here.is_empty() || here == demo::NAME;
            prop_assert!(tolerated || problem(&here, "__").is_none(), "{here}");
        }
    }
}
