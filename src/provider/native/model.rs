//! The types of the official Rust SDK that this API shows: content, messages, annotations.
//!
//! The only place that names the SDK, so that an upgrade touches one file. What the SDK deprecates
//! (sampling, roots) has types of our own in [`ask`](super::ask).

pub use rmcp::model::{
    Annotations, ContentBlock, Icon, MetaObject, PromptMessage, Resource, ResourceContents, Role,
    ToolAnnotations,
};
