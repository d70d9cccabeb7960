//! Standard output: one message a line, and what should not be there.

use std::io::{Write, stdout};

use serde_json::Value;

/// Bytes of one write where there is much to write.
const CHUNK: usize = 64 * 1024;

/// Where messages are written.
#[derive(Debug)]
pub(crate) struct Output {
    noise: bool,
}

impl Output {
    pub(crate) fn new(noise: bool) -> Self {
        Self { noise }
    }

    pub(crate) fn message(&self, message: &Value) {
        self.line(&message.to_string());
    }

    /// Writes a line, whatever it is.
    pub(crate) fn line(&self, text: &str) {
        let noise = if self.noise { "Server is listening, isn't it?\n{\"not\":\n\n" } else { "" };
        self.raw(format!("{noise}{text}\n").as_bytes());
    }

    /// Writes bytes. Where nobody reads, it waits, as most servers do; where nobody can read any
    /// more, there is nothing to be done.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut out = stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// Writes so many bytes of text without an end.
    pub(crate) fn endless(&self, bytes: usize) {
        let chunk = [b'x'; CHUNK];
        for _ in 0..bytes / CHUNK {
            self.raw(&chunk);
        }
        self.raw(&vec![b'x'; bytes % CHUNK]);
    }
}
