//! Native servers: tools, prompts and resources that are Rust functions of this process.
//!
//! ```
//! use erlmcp::provider::native::{Context, HandlerError, NativeServer};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Greet {
//!     /// Who is greeted.
//!     name: String,
//! }
//!
//! async fn greet(greet: Greet, _: Context) -> Result<String, HandlerError> {
//!     if greet.name.is_empty() {
//!         return Err("somebody has to be greeted".into());
//!     }
//!     Ok(format!("Hello, {}!", greet.name))
//! }
//!
//! let server = NativeServer::builder("hello")
//!     .tool("greet", "Greets someone.", greet)
//!     .tool("wave", "Waves.", |greet: Greet, _| async move { format!("{}: o/", greet.name) })
//!     .build();
//! assert!(server.is_ok());
//! ```
//!
//! - What a tool returns: a text, blocks of [`content`], a [`ToolResult`], [`Json`], or a `Result`
//!   of one of these, see [`IntoToolResult`] and [`HandlerError`].
//! - What it says of itself, a schema that is written by hand, tasks: [`Tool::builder`].
//! - How it tells of its progress, logs, and asks the client: [`Context`].
//! - What changes while the server runs: [`Handle`].
//!
//! A handler that panics, hangs or fails costs its own call only.

pub mod ask;
pub mod content;
pub mod model;

mod completion;
mod context;
mod error;
mod form;
mod handle;
mod item;
mod prompt;
mod resource;
mod result;
mod schema;
mod server;
mod tool;

pub use ask::{Elicited, Root, Sampled, Sampling};
pub use completion::{Settled, starting_with};
pub use context::Context;
pub use error::{BuildError, HandlerError, Problem};
pub use handle::Handle;
pub use item::Item;
pub use prompt::{IntoPrompt, Prompt, PromptBuilder, assistant, user};
pub use resource::{IntoContents, Place, Resource, ResourceBuilder, Template, TemplateBuilder};
pub use result::{IntoToolResult, Json, ToolResult};
pub use server::{NativeServer, ServerBuilder};
pub use tool::{NoArguments, Tool, ToolBuilder};

pub use crate::catalogue::TaskSupport;
