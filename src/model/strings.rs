//! Lists of strings, kept encoded and decoded one at a time.

use serde::{Deserialize, Serialize};

/// Strings, each a postcard value, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Strings<'m>(&'m [u8]);

impl<'m> Strings<'m> {
    /// A list over its encoding.
    pub const fn new(bytes: &'m [u8]) -> Self {
        Self(bytes)
    }

    /// Decodes the strings in order; ends early at one that does not decode.
    pub fn iter(self) -> impl Iterator<Item = &'m str> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (string, behind) = postcard::take_from_bytes(rest).ok()?;
            rest = behind;
            Some(string)
        })
    }
}
