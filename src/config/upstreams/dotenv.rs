//! Files of variables, as `envFile` names them: a `NAME=VALUE` on each line. Pure.

/// The variables of such a text, in their order, or the numbers of the lines that can't be read.
///
/// A value in single quotes is taken as it stands; in double quotes, `\n`, `\t`, `\"` and `\\` are
/// what they are in shells. Else it ends at ` #`. Nothing is expanded.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Vec<usize>> {
    let (mut variables, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Some(variable) => variables.push(variable),
            None => wrong.push(number + 1),
        }
    }
    if wrong.is_empty() { Ok(variables) } else { Err(wrong) }
}

fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(legal) {
        return None;
    }
    let value = if let Some(quoted) = value.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        is_comment(rest).then(|| value.to_owned())?
    } else if let Some(quoted) = value.strip_prefix('"') {
        unquoted(quoted)?
    } else {
        let end = value.find(" #").unwrap_or(value.len());
        value.get(..end)?.trim_end().to_owned()
    };
    Some((name.to_owned(), value))
}

/// The text up to the closing double quote.
fn unquoted(quoted: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return is_comment(chars.as_str()).then_some(value),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other @ ('"' | '\\' | '$') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_variables() {
        let text = "\u{feff}# comment\n\nA=1\nexport B = two words # said\nC='a #b' # said\n\
                    D=\"x\\n\\\"y\\\\ \\q\"\r\nE=\nF=a=b#c\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a #b"),
            ("D", "x\n\"y\\ \\q"),
            ("E", ""),
            ("F", "a=b#c"),
        ];
        let read = parse(text).unwrap();
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn lines_that_cannot_be_read_are_told_by_their_number() {
        assert_eq!(parse("A=1\nB\n=2\nC='x\nD=\"x\nE=\"x\" y\nF G=1"), Err(vec![2, 3, 4, 5, 6, 7]));
    }
}
