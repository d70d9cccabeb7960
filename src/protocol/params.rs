//! The parameters of a request, as they came.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::value::RawValue;

/// The whole text of a request's parameters, an object. Clones share it.
#[derive(Clone)]
pub struct ParamsText(Arc<Box<RawValue>>);

impl From<Box<RawValue>> for ParamsText {
    fn from(text: Box<RawValue>) -> Self {
        Self(Arc::new(text))
    }
}

impl Deref for ParamsText {
    type Target = RawValue;

    fn deref(&self) -> &RawValue {
        &self.0
    }
}

/// Without the text: arguments are never logged.
impl fmt::Debug for ParamsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParamsText({} bytes)", self.get().len())
    }
}
