//! Edits of a JSON object's text that leave every other byte of it as it is.
//!
//! Payloads that are only passed on keep their members' order, their blanks, their escapes and the
//! digits of their numbers. Where a name occurs more than once, its last member counts, as
//! serde_json has it; an edit of that name leaves one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};

/// One member of an object, as it stands there.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The name with its quotes and escapes.
    name: &'a RawValue,
    /// The value.
    pub value: &'a RawValue,
}

impl<'a> Member<'a> {
    /// The name; `None` where its escapes stand for no text.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        let quoted = self.name.get();
        if quoted.contains('\\') {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        quoted.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }
}

/// Shows the members of an object in their order, in one pass.
///
/// # Errors
/// Where the text is no object.
pub fn members<'a>(object: &'a RawValue, see: impl FnMut(Member<'a>)) -> serde_json::Result<()> {
    walk(object.get(), see)
}

fn walk<'a>(text: &'a str, see: impl FnMut(Member<'a>)) -> serde_json::Result<()> {
    struct Walk<F>(F);

    impl<'de, F: FnMut(Member<'de>)> Visitor<'de> for Walk<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry()? {
                (self.0)(Member { name, value });
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(text).deserialize_map(Walk(see))
}

/// The values of these names, in one pass.
///
/// # Errors
/// Where the text is no object.
pub fn find<'a, const N: usize>(
    object: &'a RawValue,
    names: [&str; N],
) -> serde_json::Result<[Option<&'a RawValue>; N]> {
    let mut found = [None; N];
    members(object, |member| {
        let own = member.name();
        if let Some(at) = names.iter().position(|name| own.as_deref() == Some(name))
            && let Some(slot) = found.get_mut(at)
        {
            *slot = Some(member.value);
        }
    })?;
    Ok(found)
}

const EMPTY: &str = "{}";

/// What becomes of one member.
#[derive(Debug, Clone)]
enum Change {
    /// It is this, whether it was there or not.
    Set(Box<RawValue>),
    /// It isn't there.
    Remove,
    /// It is an object, and these are its own edits.
    Within(Edits),
}

/// What is to be changed in an object, by the names of its members.
#[derive(Debug, Clone, Default)]
pub struct Edits(Vec<(Box<str>, Change)>);

impl Edits {
    /// Sets a member: in the place where it stands, or behind all others.
    ///
    /// # Errors
    /// Where `value` can't be written as JSON, as a map with keys that are no strings.
    pub fn set<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> serde_json::Result<&mut Self> {
        Ok(self.put(name, to_raw_value(value)?))
    }

    /// Sets a member to this text.
    pub fn put(&mut self, name: &str, value: Box<RawValue>) -> &mut Self {
        self.change(name, Change::Set(value))
    }

    /// Removes a member.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.change(name, Change::Remove)
    }

    /// Edits a member that is an object. One that is missing, or is something else, becomes an
    /// object where there is something to be set in it, and stays as it is where not.
    pub fn within(&mut self, name: &str, edits: Self) -> &mut Self {
        self.change(name, Change::Within(edits))
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edited object's text; of an empty one where there is none, or the text is no object.
    pub fn apply(&self, object: Option<&RawValue>) -> String {
        let mut out = String::with_capacity(object.map_or(0, |raw| raw.get().len()) + 256);
        self.write(object, &mut out);
        out
    }

    /// Writes the same text to the end of `out`.
    pub fn write(&self, object: Option<&RawValue>, out: &mut String) {
        let text = object.map_or(EMPTY, RawValue::get);
        match Plan::of(self, text).or_else(|| Plan::of(self, EMPTY)) {
            Some(plan) => plan.write(out),
            // An empty object is one.
            None => out.push_str(EMPTY),
        }
    }

    /// What a member is set to; `Some(None)` where it is removed. Edits within it say nothing.
    pub(super) fn get(&self, name: &str) -> Option<Option<&RawValue>> {
        self.settled().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// What members are set to, and `None` for those that are removed, in the order in which that
    /// was first said. Edits within a member say nothing here.
    pub(super) fn settled(&self) -> impl Iterator<Item = (&str, Option<&RawValue>)> {
        self.0.iter().filter_map(|(name, change)| match change {
            Change::Set(value) => Some((&**name, Some(&**value))),
            Change::Remove => Some((&**name, None)),
            Change::Within(_) => None,
        })
    }

    /// Whether an object that was empty isn't any more.
    pub(super) fn bring(&self) -> bool {
        self.0.iter().any(|(_, change)| match change {
            Change::Set(_) => true,
            Change::Remove => false,
            Change::Within(edits) => edits.bring(),
        })
    }

    fn change(&mut self, name: &str, change: Change) -> &mut Self {
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => *known = change,
            None => self.0.push((name.into(), change)),
        }
        self
    }
}

/// A member that an edit names.
struct Hit {
    edit: usize,
    /// How many members are in front of it.
    before: usize,
    /// Where the member in front of it ends, or the object begins.
    lead: usize,
    value: Range<usize>,
    /// Where the name of the next one begins, if there is one.
    next: Option<usize>,
}

/// An object's text with the places that are to be edited.
struct Plan<'a> {
    edits: &'a Edits,
    text: &'a str,
    hits: Vec<Hit>,
    /// The last hit of each edit; the others are removed.
    last: Vec<Option<usize>>,
    members: usize,
}

impl<'a> Plan<'a> {
    /// `None` where the text is no object.
    fn of(edits: &'a Edits, text: &'a str) -> Option<Self> {
        let last = vec![None; edits.0.len()];
        let mut plan = Self { edits, text, hits: Vec::new(), last, members: 0 };
        // The object's own brace is in front of the first member.
        let (mut lead, mut open) = (1, false);
        walk(text, |member| {
            let (name, value) = (span(text, member.name.get()), span(text, member.value.get()));
            if std::mem::take(&mut open)
                && let Some(hit) = plan.hits.last_mut()
            {
                hit.next = Some(name.start);
            }
            let own = member.name();
            let named = |(known, _): &(Box<str>, Change)| own.as_deref() == Some(&**known);
            if let Some(edit) = edits.0.iter().position(named) {
                if let Some(last) = plan.last.get_mut(edit) {
                    *last = Some(plan.hits.len());
                }
                let (before, value) = (plan.members, value.clone());
                plan.hits.push(Hit { edit, before, lead, value, next: None });
                open = true;
            }
            lead = value.end;
            plan.members += 1;
        })
        .ok()?;
        Some(plan)
    }

    fn write(&self, out: &mut String) {
        let (mut at, mut removed) = (0, 0);
        for (nth, hit) in self.hits.iter().enumerate() {
            let is_last = self.last.get(hit.edit) == Some(&Some(nth));
            let change = self.edits.0.get(hit.edit).map(|(_, change)| change);
            match change.filter(|_| is_last) {
                None | Some(Change::Remove) => {
                    out.push_str(self.slice(at..hit.lead));
                    // Without a member in front of it, the next one has no comma.
                    let first = hit.before == removed;
                    at = hit.next.filter(|_| first).unwrap_or(hit.value.end);
                    removed += 1;
                }
                Some(change) => {
                    out.push_str(self.slice(at..hit.value.start));
                    change.write(self.slice(hit.value.clone()), out);
                    at = hit.value.end;
                }
            }
        }
        let end = self.text.len().saturating_sub(1);
        out.push_str(self.slice(at..end));
        self.append(self.members > removed, out);
        out.push_str(self.slice(end..self.text.len()));
    }

    /// Writes what is set and was not there.
    fn append(&self, mut behind: bool, out: &mut String) {
        for ((name, change), last) in self.edits.0.iter().zip(&self.last) {
            let brings = match change {
                Change::Set(_) => true,
                Change::Remove => false,
                Change::Within(edits) => edits.bring(),
            };
            if last.is_none() && brings {
                if std::mem::replace(&mut behind, true) {
                    out.push(',');
                }
                // A text always has a JSON form.
                out.push_str(&serde_json::to_string(name).unwrap_or_default());
                out.push(':');
                change.write("null", out);
            }
        }
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }
}

impl Change {
    /// Writes what becomes of a value that stays.
    fn write(&self, value: &str, out: &mut String) {
        match self {
            Self::Set(new) => out.push_str(new.get()),
            Self::Remove => {}
            Self::Within(edits) => match Plan::of(edits, value) {
                Some(plan) => plan.write(out),
                None if edits.bring() => edits.write(None, out),
                None => out.push_str(value),
            },
        }
    }
}

/// Where a part of a text stands in it.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.len()
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
