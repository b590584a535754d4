//! Random secrets that are shown once and kept as hashes.

use zeroize::Zeroizing;

use crate::sys::World;

/// Hashes of secrets live in a domain of their own, so that no other hash of the store can be taken for one.
const CONTEXT: &str = "skybridge 2026-01 secret";

/// A random secret of 256 bits, as a text. Wiped when dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Draws one whose text begins with `prefix`, by which secrets that got somewhere else are recognised.
    #[must_use]
    pub fn draw(world: &dyn World, prefix: &str) -> Self {
        let numbers = Zeroizing::new([(); 4].map(|()| world.draw()));
        let mut text = Zeroizing::new(prefix.to_owned());
        for number in numbers.iter() {
            text.push_str(&Zeroizing::new(format!("{number:016x}")));
        }
        Self(text)
    }

    /// Returns the text, to give it to whom it was made for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns what is kept of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns what is kept of a secret. A fast hash is enough: there are 2^256 secrets to try.
#[must_use]
pub fn hash(secret: &str) -> [u8; 32] {
    blake3::derive_key(CONTEXT, secret.as_bytes())
}
