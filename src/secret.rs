//! A text that is never shown: not in logs, not in `Debug`, not in what is serialised.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown in a secret's place.
const HIDDEN: &str = "***";

/// A secret; empty where there is none. Only [`expose`](Self::expose) gives its text.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for whoever works with it; `None` where there is none.
    pub fn expose(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expose().map_or("", |_| HIDDEN))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_given_to_who_asks_and_shown_to_nobody() {
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret.expose(), Some("hunter2"));
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!((format!("{secret:?} {secret}"), json), ("*** ***".into(), r#""***""#.into()));
        let none = Secret::default();
        assert_eq!((none.expose(), none.to_string()), (None, String::new()));
    }
}
