//! URI templates (RFC 6570), matched rather than expanded: which variables a URI was made of.

use std::collections::BTreeMap;

/// A template, ready to match. The forms `{x}`, `{+x}`, `{#x}`, `{/x}`, `{.x}` and `{?x,y}` are
/// known; a trailing `*` or a length is read over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable { name: String, reserved: bool },
    Query(Vec<String>),
}

/// Something in braces that is no expression of RFC 6570.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template {0:?} is not valid: braces hold an operator and names")]
pub struct BadTemplate(String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where a brace isn't closed, or holds no name.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let bad = || BadTemplate(text.to_owned());
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((literal, after)) = rest.split_once('{') {
            let (expression, after) = after.split_once('}').ok_or_else(bad)?;
            push_literal(&mut parts, literal);
            push_expression(&mut parts, expression).ok_or_else(bad)?;
            rest = after;
        }
        if rest.contains('}') {
            return Err(bad());
        }
        push_literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The names of its variables, in their order.
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(_) => {}
                Part::Variable { name, .. } => names.push(name.as_str()),
                Part::Query(all) => names.extend(all.iter().map(String::as_str)),
            }
        }
        names
    }

    /// The variables of a URI that the template could have been expanded to, percent-decoded.
    pub fn matches(&self, uri: &str) -> Option<BTreeMap<String, String>> {
        let mut variables = BTreeMap::new();
        match_parts(&self.0, uri, &mut variables).then_some(variables)
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
}

fn push_expression(parts: &mut Vec<Part>, expression: &str) -> Option<()> {
    let operator = expression.chars().next()?;
    let names = expression.strip_prefix(['+', '#', '/', '.', '?', '&']).unwrap_or(expression);
    let names: Option<Vec<String>> = names.split(',').map(variable).collect();
    let names = names?;
    match operator {
        '?' | '&' => parts.push(Part::Query(names)),
        _ => {
            for name in names {
                match operator {
                    '#' | '/' | '.' => push_literal(parts, &operator.to_string()),
                    _ => {}
                }
                parts.push(Part::Variable { name, reserved: matches!(operator, '+' | '#') });
            }
        }
    }
    Some(())
}

/// A variable's name without its modifier.
fn variable(text: &str) -> Option<String> {
    let name = text.split(':').next()?.trim_end_matches('*');
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '%');
    (!name.is_empty() && name.chars().all(legal)).then(|| name.to_owned())
}

fn match_parts(parts: &[Part], uri: &str, variables: &mut BTreeMap<String, String>) -> bool {
    let Some((part, rest)) = parts.split_first() else { return uri.is_empty() };
    match part {
        Part::Literal(text) => {
            uri.strip_prefix(text.as_str()).is_some_and(|uri| match_parts(rest, uri, variables))
        }
        Part::Variable { name, reserved } => {
            let end = if *reserved { uri.len() } else { plain_length(uri) };
            let Some((value, after)) = split_variable(rest, uri, end) else { return false };
            variables.insert(name.clone(), decode(value));
            match_parts(rest, after, variables)
        }
        Part::Query(names) => {
            let (query, after) = uri.split_at(uri.find('#').unwrap_or(uri.len()));
            for pair in query.trim_start_matches(['?', '&']).split('&').filter(|p| !p.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if !names.iter().any(|known| known == name) {
                    return false;
                }
                variables.insert(name.to_owned(), decode(value));
            }
            match_parts(rest, after, variables)
        }
    }
}

/// How far a variable that isn't reserved may reach.
fn plain_length(uri: &str) -> usize {
    uri.find(['/', '?', '#', '&']).unwrap_or(uri.len())
}

/// A variable's value ends where the next literal begins: at its last place for a variable at the
/// end of its part, at its first otherwise, so that no backtracking is needed.
fn split_variable<'a>(rest: &[Part], uri: &'a str, end: usize) -> Option<(&'a str, &'a str)> {
    let within = uri.get(..end)?;
    let at = match rest.first() {
        Some(Part::Literal(next)) => match within.find(next.as_str()) {
            Some(at) => at,
            // The literal may be the very character at which the value had to end.
            None => uri.get(end..)?.starts_with(next.as_str()).then_some(end)?,
        },
        Some(Part::Query(_)) => within.find('?').unwrap_or(end),
        Some(Part::Variable { .. }) | None => end,
    };
    let (value, after) = uri.split_at_checked(at)?;
    (!value.is_empty()).then_some((value, after))
}

fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matched(template: &str, uri: &str) -> Option<String> {
        let variables = Template::parse(template).unwrap().matches(uri)?;
        let pairs: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(pairs.join(" "))
    }

    #[test]
    fn uris_give_their_variables_back() {
        let table = [
            ("test://template/{id}/data", "test://template/7/data", Some("id=7")),
            ("test://template/{id}/data", "test://template/a%20b/data", Some("id=a b")),
            ("test://template/{id}/data", "test://template//data", None),
            ("test://template/{id}/data", "test://template/7/8/data", None),
            ("test://template/{id}/data", "test://template/7/data/x", None),
            ("file:///{+path}", "file:///a/b.txt", Some("path=a/b.txt")),
            ("a://{x}-{y}", "a://1-2", Some("x=1 y=2")),
            ("a://h{/x,y}", "a://h/1/2", Some("x=1 y=2")),
            ("a://h{?q,n*}", "a://h?q=1&n=2", Some("n=2 q=1")),
            ("a://h{?q}", "a://h", Some("")),
            ("a://h{?q}", "a://h?z=1", None),
            ("a://{x}{?q}", "a://1?q=2", Some("q=2 x=1")),
            ("a://b", "a://b", Some("")),
            ("a://b", "a://c", None),
        ];
        for (template, uri, expected) in table {
            assert_eq!(matched(template, uri).as_deref(), expected, "{template} {uri}");
        }
        let template = Template::parse("a://{x}/{+y}{?q,n*}").unwrap();
        assert_eq!(template.variables(), ["x", "y", "q", "n"]);
        for bad in ["a{", "a}", "{}", "{a b}", "{+}", "{{a}}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(template in ".{0,40}", uri in ".{0,60}") {
            if let Ok(template) = Template::parse(&template) {
                let _ = template.matches(&uri);
            }
        }
    }
}
