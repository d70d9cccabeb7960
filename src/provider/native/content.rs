//! Blocks of content, for results of tools and messages of prompts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::model::{ContentBlock, Resource, ResourceContents};

/// A text.
pub fn text(text: impl Into<String>) -> ContentBlock {
    ContentBlock::text(text)
}

/// A picture: its bytes, and its MIME type, such as `image/png`.
pub fn image(bytes: impl AsRef<[u8]>, mime: impl Into<String>) -> ContentBlock {
    ContentBlock::image(base64(bytes), mime)
}

/// A sound: its bytes, and its MIME type, such as `audio/wav`.
pub fn audio(bytes: impl AsRef<[u8]>, mime: impl Into<String>) -> ContentBlock {
    ContentBlock::audio(base64(bytes), mime)
}

/// A resource that the client may read.
pub fn link(uri: impl Into<String>, name: impl Into<String>) -> ContentBlock {
    ContentBlock::resource_link(Resource::new(uri, name))
}

/// A resource's content itself.
pub fn resource(contents: ResourceContents) -> ContentBlock {
    ContentBlock::resource(contents)
}

/// A resource's text.
pub fn text_of(
    uri: impl Into<String>,
    mime: impl Into<String>,
    text: impl Into<String>,
) -> ResourceContents {
    ResourceContents::text(text, uri).with_mime_type(mime)
}

/// A resource's bytes.
pub fn bytes_of(
    uri: impl Into<String>,
    mime: impl Into<String>,
    bytes: impl AsRef<[u8]>,
) -> ResourceContents {
    ResourceContents::blob(base64(bytes), uri).with_mime_type(mime)
}

/// Bytes as the protocol writes them.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}
