//! The servers behind the node: from `[mcp_servers.NAME]` and from the files of MCP clients, read
//! as they are, to [`UpstreamSpec`](crate::provider::upstream::UpstreamSpec)s.
//!
//! A file becomes entries, whose keys know where they stand; entries of one name are merged; each
//! is read key by key, and what is left in the end is unknown. What can't be served is a problem,
//! what is served in another way than its file says a warning.

mod difference;
mod dotenv;
mod entry;
mod exposed;
mod fields;
mod files;
mod jsonc;
mod keys;
mod merge;
pub(super) mod names;
mod notes;
mod section;
mod server;
mod target;
mod variables;

pub use difference::{Change, Difference, Effect};
pub use section::UpstreamsConfig;

pub(super) use entry::own_entries;
pub(super) use files::read_files;
pub(super) use keys::value_of_text;
pub(super) use merge::{lay_over, servers};
pub(super) use notes::Notes;
pub(super) use variables::Variables;

/// The section of `erlmcp.toml` that holds the servers.
pub(super) const SECTION: &str = "mcp_servers";

#[cfg(test)]
mod tests;
