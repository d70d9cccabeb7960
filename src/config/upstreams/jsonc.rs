//! JSON as editors allow it: with comments, and with a comma behind the last item. Pure.
//!
//! Both become spaces, so that lines and columns stay what they are and the one JSON parser of the
//! node reads the rest: no second parser with rules of its own.

/// The text as JSON. Text without comments and trailing commas stays as it is.
pub(super) fn to_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    // Where the comma stands that nothing but space has followed so far.
    let mut comma = None;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if c == '/' && length > 1 {
            blank(&mut json, token);
            continue;
        }
        if let ('}' | ']', Some(at)) = (c, comma) {
            json.replace_range(at..=at, " ");
        }
        if !c.is_whitespace() {
            comma = (c == ',').then_some(json.len());
        }
        json.push_str(token);
    }
    json
}

/// How long the string is that begins here, quotes included; all there is where it doesn't end.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn blank(json: &mut String, comment: &str) {
    for c in comment.chars() {
        if c == '\n' {
            json.push('\n');
        } else {
            json.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(&to_json(text)).unwrap()
    }

    #[test]
    fn comments_and_trailing_commas_are_no_matter() {
        let text = "\u{feff}// first, ä\n{ /* a, \n */ \"a//b\": [1, 2, /* , */ ] , // ]\n \
                    \"c\": \"/* \\\" , }\", }\n// last";
        assert_eq!(read(text), json!({ "a//b": [1, 2], "c": "/* \" , }" }));
    }

    #[test]
    fn places_of_errors_stay_what_they_are() {
        let error = |text: &str| serde_json::from_str::<Value>(text).unwrap_err().to_string();
        let text = "{ /* ä */ \"a\": 1, // x\n  \"b\": , 1 }";
        assert_eq!(error(&to_json(text)), "expected value at line 2 column 8");
        for wrong in ["[1,,]", "[,1]", "/* open", "[1] /", "\"open", ""] {
            assert!(serde_json::from_str::<Value>(&to_json(wrong)).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_text_keeps_its_lines_and_its_length(text in r#"[\[\]{},:"\\/*a1 \nä]{0,60}"#) {
            let json = to_json(&text);
            prop_assert_eq!(json.len(), text.len());
            prop_assert_eq!(json.lines().count(), text.lines().count());
        }

        #[test]
        fn json_stays_as_it_is(texts in proptest::collection::vec(".{0,20}", 0..5)) {
            let text = json!({ "texts": texts, "n": [1, null, {}] }).to_string();
            prop_assert_eq!(to_json(&text), text);
        }
    }
}
