//! Tables, and a map as the model of an edited object.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn raw(text: &str) -> Box<RawValue> {
    serde_json::from_str(text).unwrap()
}

fn edits(changes: &[(&str, Option<&str>)]) -> Edits {
    let mut edits = Edits::default();
    for (name, value) in changes {
        match value {
            Some(value) => edits.put(name, raw(value)),
            None => edits.remove(name),
        };
    }
    edits
}

#[test]
fn what_is_not_edited_stays_byte_by_byte() {
    let check = |text: &str, changes: &[(&str, Option<&str>)], expected: &str| {
        assert_eq!(edits(changes).apply(Some(&raw(text))), expected, "{text} {changes:?}");
    };
    let all = r#"{ "b" : 1.10,"\u0061":[ 1 ], "c":"\/\u00e9" }"#;
    check(all, &[], all);
    check(all, &[("x", None)], all);
    check(all, &[("b", Some("2"))], r#"{ "b" : 2,"\u0061":[ 1 ], "c":"\/\u00e9" }"#);
    check(all, &[("a", Some("2"))], r#"{ "b" : 1.10,"\u0061":2, "c":"\/\u00e9" }"#);
    check(all, &[("a", None)], r#"{ "b" : 1.10, "c":"\/\u00e9" }"#);
    check(all, &[("b", None)], r#"{"\u0061":[ 1 ], "c":"\/\u00e9" }"#);
    check(all, &[("c", None)], r#"{ "b" : 1.10,"\u0061":[ 1 ] }"#);
    check(all, &[("b", None), ("a", None)], r#"{"c":"\/\u00e9" }"#);
    check(all, &[("b", None), ("a", Some("0"))], r#"{"\u0061":0, "c":"\/\u00e9" }"#);
    check(all, &[("b", None), ("a", None), ("c", None)], "{ }");
    check(all, &[("b", None), ("a", None), ("c", None), ("d", Some("1"))], r#"{ "d":1}"#);
    check(
        r#"{"a":12345678901234567890123}"#,
        &[("\"", Some("1"))],
        r#"{"a":12345678901234567890123,"\"":1}"#,
    );
    check("{\n}", &[("a", Some("1")), ("b", Some("2"))], "{\n\"a\":1,\"b\":2}");
}

#[test]
fn the_last_of_several_counts_and_an_edit_leaves_one() {
    let text = r#"{"a":1,"b":2,"a":3,"a":4}"#;
    let [a, b] = find(&raw(text), ["a", "b"])
        .unwrap()
        .map(|value| value.map(RawValue::get).map(str::to_owned));
    assert_eq!((a.as_deref(), b.as_deref()), (Some("4"), Some("2")));
    assert_eq!(edits(&[("a", Some("5"))]).apply(Some(&raw(text))), r#"{"b":2,"a":5}"#);
    assert_eq!(edits(&[("a", None)]).apply(Some(&raw(text))), r#"{"b":2}"#);
}

#[test]
fn members_are_edited_from_within() {
    let check = |text: &str, inner: &[(&str, Option<&str>)], expected: &str| {
        let mut outer = Edits::default();
        outer.within("m", edits(inner));
        assert_eq!(outer.apply(Some(&raw(text))), expected, "{text}");
    };
    let text = r#"{"a":1,"m":{ "x":1.0, "y":2 }}"#;
    check(text, &[("y", Some("3")), ("z", Some("4"))], r#"{"a":1,"m":{ "x":1.0, "y":3 ,"z":4}}"#);
    check(text, &[("x", None)], r#"{"a":1,"m":{"y":2 }}"#);
    check(r#"{"a":1}"#, &[("x", None)], r#"{"a":1}"#);
    check(r#"{"a":1}"#, &[("x", Some("2"))], r#"{"a":1,"m":{"x":2}}"#);
    check(r#"{"m":null}"#, &[("x", Some("2"))], r#"{"m":{"x":2}}"#);
    check(r#"{"m":[7]}"#, &[("x", None)], r#"{"m":[7]}"#);
    check(r#"{"m":{"x":1},"m":{"y":1}}"#, &[("y", Some("2"))], r#"{"m":{"y":2}}"#);
}

#[test]
fn what_is_no_object_has_no_members() {
    assert!(members(&raw("[1]"), |_| ()).is_err());
    assert!(find(&raw("null"), ["a"]).is_err());
    assert_eq!(edits(&[("a", Some("1"))]).apply(Some(&raw("[1]"))), r#"{"a":1}"#);
    assert_eq!(edits(&[("a", Some("1"))]).apply(None), r#"{"a":1}"#);
    // A lone half of a surrogate pair is no text, so nobody can name it; the rest can be read.
    let odd = raw(r#"{"\ud800":1,"a":2}"#);
    assert_eq!(find(&odd, ["a"]).unwrap()[0].unwrap().get(), "2");
}

/// A name, as it may be written.
fn name() -> impl Strategy<Value = (String, &'static str)> {
    prop::sample::select(vec![
        ("a", r#""a""#),
        ("a", r#""\u0061""#),
        ("b", r#""b""#),
        ("", r#""""#),
    ])
    .prop_map(|(name, text)| (name.to_owned(), text))
}

fn value() -> impl Strategy<Value = &'static str> {
    let texts = [
        "1.10",
        "12345678901234567890123",
        "-0",
        r#""\u00e9\/\"}{""#,
        r#"{ "a" : [1 , {"b":2}] }"#,
        "[ ]",
        "null",
        "true",
    ];
    prop::sample::select(texts.to_vec())
}

fn blanks() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n\t"])
}

prop_compose! {
    fn member()(name in name(), value in value(), b in prop::array::uniform4(blanks()))
        -> (String, String, &'static str)
    {
        (name.0, format!("{}{}{}:{}{}{}", b[0], name.1, b[1], b[2], value, b[3]), value)
    }
}

fn parsed(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

proptest! {
    #[test]
    fn edits_do_what_they_do_to_a_map(
        written in prop::collection::vec(member(), 0..6),
        changes in prop::collection::vec((name(), prop::option::of(value())), 0..4),
    ) {
        let members: Vec<_> = written.iter().map(|(_, text, _)| text.as_str()).collect();
        let text = format!("{{{}}}", members.join(","));
        let mut edits = Edits::default();
        let mut expected = parsed(&text);
        for ((name, _), value) in &changes {
            match value {
                Some(value) => {
                    edits.put(name, raw(value));
                    expected.insert(name.clone(), serde_json::from_str(value).unwrap());
                }
                None => {
                    edits.remove(name);
                    expected.remove(name);
                }
            }
        }
        let out = edits.apply(Some(&raw(&text)));
        prop_assert_eq!(parsed(&out), expected);
        // Each member that no edit names is there, byte by byte, and in its order.
        let mut rest = out.as_str();
        for (name, written, _) in &written {
            if changes.iter().all(|((changed, _), _)| changed != name) {
                let at = rest.find(written.trim());
                prop_assert!(at.is_some(), "{} is not in {}", written, out);
                rest = &rest[at.unwrap() + written.trim().len()..];
            }
        }
        // Where nothing is named, nothing at all is different.
        let named = changes.iter().any(|((changed, _), value)| {
            value.is_some() || written.iter().any(|(name, ..)| name == changed)
        });
        if !named {
            prop_assert_eq!(out, text);
        }
    }

    #[test]
    fn the_values_found_are_those_of_a_map(
        written in prop::collection::vec(member(), 0..6),
    ) {
        let members: Vec<_> = written.iter().map(|(_, text, _)| text.as_str()).collect();
        let text = raw(&format!("{{{}}}", members.join(",")));
        let all = parsed(text.get());
        let names = ["a", "b", "", "x"];
        for (name, found) in names.into_iter().zip(find(&text, names).unwrap()) {
            let last = written.iter().rev().find(|(own, ..)| own == name).map(|(.., value)| *value);
            prop_assert_eq!(found.map(RawValue::get), last);
            let found = found.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
            prop_assert_eq!(found.as_ref(), all.get(name));
        }
    }
}
