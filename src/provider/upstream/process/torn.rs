//! Which request a message answers that can't be read as a whole: it is too long, or broken.

/// The id of our request that this message answers, as its beginning and its end tell; `None`
/// where it can't be told, or it is no answer.
///
/// Members that come before the result are read from the beginning, where most servers write the
/// id. Others write it last, where the brace behind it can only be that of the whole message.
pub(super) fn answered(beginning: &[u8], end: &[u8]) -> Option<u64> {
    let mut id = None;
    let mut rest = beginning.trim_ascii_start().strip_prefix(b"{")?;
    loop {
        let (name, behind) = string(rest.trim_ascii_start())?;
        let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        match name {
            b"method" => return None,
            b"result" | b"error" => return id.or_else(|| last_id(end)),
            b"id" => id = number(value),
            _ => {}
        }
        rest = behind_scalar(value)?.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// A string without escapes at the front, and what comes behind it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let (name, behind) = text.split_at(end);
    Some((name, behind.strip_prefix(b"\"")?))
}

fn behind_scalar(value: &[u8]) -> Option<&[u8]> {
    match value.first()? {
        b'"' => string(value).map(|(_, behind)| behind),
        b'{' | b'[' => None,
        _ => {
            let end = value.iter().position(|byte| matches!(byte, b',' | b'}'))?;
            value.get(end..)
        }
    }
}

/// The number at the front, where it ends there and is whole.
fn number(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, behind) = text.split_at(end);
    behind.first().filter(|byte| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The id, where it is the last member.
fn last_id(end: &[u8]) -> Option<u64> {
    let text = end.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let start = text.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let (before, digits) = text.split_at(start);
    let name = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    name.strip_suffix(b"\"id\"")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_at_either_end() {
        for (beginning, end, expected) in [
            (r#"{"jsonrpc":"2.0","id":17,"result":{"a":["#, "", Some(17)),
            (r#" { "id" : 17 , "jsonrpc" : "2.0", "error" : {"#, "", Some(17)),
            (r#"{"result":{"content":["#, r#"…"}],"jsonrpc":"2.0","id":17}"#, Some(17)),
            (r#"{"jsonrpc":"2.0","result":{"#, "…}, \"id\" : 17 } \r", Some(17)),
            // The last brace closes an object within the result.
            (r#"{"result":{"x":"#, r#"{"id":17}}"#, None),
            // Questions of the server have ids of its own.
            (r#"{"jsonrpc":"2.0","id":17,"method":"x","params":{"#, "", None),
            (r#"{"id":17,"method":"x","result":"#, "", None),
            (r#"{"method":"notifications/message","params":{"#, r#"},"id":17}"#, None),
            (r#"{"id":"17","result":{"#, "", None),
            (r#"{"id":1.5,"result":{"#, "", None),
            (r#"{"id":99999999999999999999,"result":{"#, "", None),
            (r#"{"id":17"#, "", None),
            (r#"{"_meta":{"id":17},"id":18,"result":{"#, "", None),
            (r#"{"i\u0064":17,"result":{"#, "", None),
            (r#"[{"id":17,"result":{}}]"#, "", None),
            ("Listening on port 17", "Listening on port 17", None),
            ("", "", None),
        ] {
            let found = answered(beginning.as_bytes(), end.as_bytes());
            assert_eq!(found, expected, "{beginning} … {end}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_breaks_it(
            beginning: Vec<u8>,
            end: Vec<u8>,
            text in "[\\{\\}\":,0-9a-z ]{0,40}",
        ) {
            let _ = answered(&beginning, &end);
            let _ = answered(text.as_bytes(), text.as_bytes());
        }
    }
}
