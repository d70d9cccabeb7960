//! Sealed texts: what a client keeps for us, and can neither read nor change.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes of a nonce in front of each sealed text.
const NONCE: usize = 24;

/// Seals and opens; clones share the key.
#[derive(Clone)]
pub struct Seal(Arc<XChaCha20Poly1305>);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(_)")
    }
}

/// A text that this key did not seal, or not for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed by this node")]
pub struct Broken;

impl Seal {
    /// A key of its own: what it sealed can't be opened after a restart, nor by another node.
    pub fn random() -> Self {
        Self(Arc::new(XChaCha20Poly1305::new(&Key::<XChaCha20Poly1305>::generate())))
    }

    /// The key that all nodes with the same secret have (HKDF, RFC 5869).
    pub fn derived(secret: &[u8], purpose: &str) -> Self {
        let mut key = Key::<XChaCha20Poly1305>::default();
        // HKDF-SHA256 gives up to 8,160 bytes, so 32 never fail.
        if Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), &mut key).is_err() {
            return Self::random();
        }
        Self(Arc::new(XChaCha20Poly1305::new(&key)))
    }

    /// Seals a text. It opens only with the same `bound`.
    ///
    /// # Errors
    /// Where it is longer than the cipher takes, 256 GiB.
    pub fn seal(&self, text: &[u8], bound: &[u8]) -> Result<String, Broken> {
        let nonce = XNonce::generate();
        let sealed =
            self.0.encrypt(&nonce, Payload { msg: text, aad: bound }).map_err(|_| Broken)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), sealed.as_slice()].concat()))
    }

    /// Opens what [`seal`](Self::seal) gave.
    ///
    /// # Errors
    /// Where it was changed, or sealed with another key or for something else.
    pub fn open(&self, sealed: &str, bound: &[u8]) -> Result<Vec<u8>, Broken> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Broken)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(Broken)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| Broken)?;
        self.0.decrypt(&nonce, Payload { msg: sealed, aad: bound }).map_err(|_| Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_secret_and_purpose_open() {
        let one = Seal::derived(b"secret", "p");
        let sealed = one.seal(b"text", b"bound").unwrap();
        assert_eq!(Seal::derived(b"secret", "p").open(&sealed, b"bound").unwrap(), b"text");
        assert_ne!(one.seal(b"text", b"bound").unwrap(), sealed, "no nonce comes twice");
        for (key, bound) in [
            (Seal::derived(b"secret", "q"), "bound"),
            (Seal::derived(b"Secret", "p"), "bound"),
            (Seal::random(), "bound"),
            (one, "other"),
        ] {
            assert_eq!(key.open(&sealed, bound.as_bytes()), Err(Broken));
        }
    }

    proptest! {
        /// No change of a sealed text goes unnoticed, and no text breaks the opening.
        #[test]
        fn changes_are_noticed(
            at in any::<prop::sample::Index>(),
            bit in 0_u8..6,
            odd in ".{0,80}",
        ) {
            let key = Seal::random();
            let sealed = key.seal(b"some text", b"").unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&URL_SAFE_NO_PAD.encode(bytes), b""), Err(Broken));
            prop_assert_eq!(key.open(&odd, b""), Err(Broken));
        }
    }
}
