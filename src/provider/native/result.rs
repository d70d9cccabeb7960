//! What tools return.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::HandlerError;
use super::model::ContentBlock;
use super::{content, schema};
use crate::protocol::{Code, ResultObject, RpcError};

/// A tool's result: blocks of content, structured content beside them, and whether it is a
/// failure that the model should see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolResult {
    content: Vec<ContentBlock>,
    pub(super) structured: Option<Value>,
    pub(super) is_error: bool,
    meta: Map<String, Value>,
}

impl ToolResult {
    /// One block of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::blocks([content::text(text)])
    }

    /// Several blocks; see [`content`].
    pub fn blocks(blocks: impl IntoIterator<Item = ContentBlock>) -> Self {
        Self { content: blocks.into_iter().collect(), ..Self::default() }
    }

    /// A failure that the model should see.
    pub fn error(text: impl Into<String>) -> Self {
        Self::text(text).failed()
    }

    /// Adds a block.
    #[must_use]
    pub fn block(mut self, block: ContentBlock) -> Self {
        self.content.push(block);
        self
    }

    /// Sets the structured content: an object, for clients of the legacy era.
    #[must_use]
    pub fn structured(mut self, value: Value) -> Self {
        self.structured = Some(value);
        self
    }

    /// Marks it as a failure.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// Adds a member of `_meta`; the key has a prefix, such as `org.example/key`.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    pub(super) fn into_object(self) -> Result<ResultObject, RpcError> {
        let encode = || {
            let mut object = ResultObject::empty();
            object.set("content", &self.content)?;
            if let Some(structured) = &self.structured {
                object.set("structuredContent", structured)?;
            }
            object.set("isError", &self.is_error)?;
            if !self.meta.is_empty() {
                object.set("_meta", &self.meta)?;
            }
            Ok::<_, serde_json::Error>(object)
        };
        let encoded = encode();
        encoded.map_err(|_| RpcError::new(Code::InternalError, "The result could not be encoded"))
    }
}

/// Structured content: `T` as JSON, the same as a block of text for clients that don't know
/// structured content, and `T`'s schema as the tool's output schema. `T` is written as an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// What a tool's handler may return.
pub trait IntoToolResult {
    /// The result.
    ///
    /// # Errors
    /// Why there is none.
    fn into_tool_result(self) -> Result<ToolResult, HandlerError>;

    /// The schema of its structured content, where each result has some.
    fn output_schema() -> Option<Value> {
        None
    }
}

impl IntoToolResult for ToolResult {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(self)
    }
}

impl IntoToolResult for String {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(ToolResult::text(self))
    }
}

impl IntoToolResult for &str {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(ToolResult::text(self))
    }
}

/// Done, and nothing to tell.
impl IntoToolResult for () {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(ToolResult::default())
    }
}

impl IntoToolResult for ContentBlock {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(ToolResult::blocks([self]))
    }
}

impl IntoToolResult for Vec<ContentBlock> {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        Ok(ToolResult::blocks(self))
    }
}

impl<T: Serialize + JsonSchema> IntoToolResult for Json<T> {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        let unwritable = |_| RpcError::new(Code::InternalError, "The result could not be encoded");
        let value = serde_json::to_value(self.0).map_err(unwritable)?;
        Ok(ToolResult::text(value.to_string()).structured(value))
    }

    fn output_schema() -> Option<Value> {
        Some(schema::of_output::<T>())
    }
}

impl<T: IntoToolResult, E: Into<HandlerError>> IntoToolResult for Result<T, E> {
    fn into_tool_result(self) -> Result<ToolResult, HandlerError> {
        self.map_err(Into::into)?.into_tool_result()
    }

    fn output_schema() -> Option<Value> {
        T::output_schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(result: impl IntoToolResult) -> String {
        let object = result.into_tool_result().unwrap().into_object().unwrap();
        serde_json::to_string(&object).unwrap()
    }

    #[derive(Serialize, JsonSchema)]
    struct Sum {
        sum: u32,
    }

    #[test]
    fn results_are_written_as_the_protocol_wants() {
        let text = r#"{"content":[{"type":"text","text":"a"}],"isError":false}"#;
        assert_eq!(written("a"), text);
        assert_eq!(written(Ok::<_, HandlerError>("a".to_owned())), text);
        assert_eq!(written(()), r#"{"content":[],"isError":false}"#);
        let failed = ToolResult::error("a").meta("x/y", 1);
        let expected =
            r#"{"content":[{"type":"text","text":"a"}],"isError":true,"_meta":{"x/y":1}}"#;
        assert_eq!(written(failed), expected);
        let json = written(Json(Sum { sum: 5 }));
        assert!(json.contains(r#""structuredContent":{"sum":5}"#), "{json}");
        assert!(json.contains(r#""text":"{\"sum\":5}""#), "{json}");
        let schema = Result::<Json<Sum>, HandlerError>::output_schema().unwrap();
        assert_eq!(schema.pointer("/properties/sum/type"), Some(&json!("integer")));
    }

    #[test]
    fn blocks_are_of_all_kinds() {
        let blocks = ToolResult::blocks([
            content::image([1, 2, 3], "image/png"),
            content::audio([1], "audio/wav"),
            content::link("a:b", "b"),
        ])
        .block(content::resource(content::bytes_of("a:c", "x/y", [255])));
        let text = written(blocks);
        for expected in [
            r#"{"type":"image","data":"AQID","mimeType":"image/png"}"#,
            r#"{"type":"audio","data":"AQ==","mimeType":"audio/wav"}"#,
            r#"{"type":"resource_link","uri":"a:b","name":"b"}"#,
            r#"{"type":"resource","resource":{"uri":"a:c","mimeType":"x/y","blob":"/w=="}}"#,
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
