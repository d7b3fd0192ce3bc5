//! Lists of variable-size records, kept encoded and decoded one at a time.

use core::marker::PhantomData;

use serde::{Deserialize, Serialize};

/// A list of `T`, each a postcard value, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records<'m, T> {
    bytes: &'m [u8],
    #[serde(skip)]
    item: PhantomData<T>,
}

impl<'m, T: Deserialize<'m>> Records<'m, T> {
    /// A list over its encoding.
    pub fn new(bytes: &'m [u8]) -> Self {
        Self { bytes, item: PhantomData }
    }

    /// Decodes the records in order; ends early at one that does not decode.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'m, T> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (item, behind) = postcard::take_from_bytes(rest).ok()?;
            // A record without a single byte would never end.
            let progress = behind.len() < rest.len();
            rest = behind;
            progress.then_some(item)
        })
    }

    /// Whether every byte belongs to a record that decodes.
    pub fn is_well_formed(&self) -> bool {
        let mut rest = self.bytes;
        while !rest.is_empty() {
            match postcard::take_from_bytes::<T>(rest) {
                Ok((_, behind)) if behind.len() < rest.len() => rest = behind,
                _ => return false,
            }
        }
        true
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for Records<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Records({=usize} bytes)", self.bytes.len());
    }
}
