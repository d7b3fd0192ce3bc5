//! Model files from disk.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nervelet_compiler::AlignedBytes;

/// Larger files are no models for a microcontroller; refusing them keeps memory bounded.
const LARGEST: u64 = 256 << 20;

/// Reads a model file, aligned; [`nervelet::Model::from_bytes`] verifies it.
pub fn read(path: &Path) -> Result<AlignedBytes> {
    let size = std::fs::metadata(path).with_context(|| format!("can't open model {}", path.display()))?.len();
    ensure!(size <= LARGEST, "{} has {size} bytes: a model has at most {LARGEST}", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("can't read model {}", path.display()))?;
    Ok(AlignedBytes::from(&bytes[..]))
}

/// Verifies the bytes of a model file read from `path`.
pub fn open<'m>(bytes: &'m [u8], path: &Path) -> Result<nervelet::Model<'m>> {
    nervelet::Model::from_bytes(bytes).with_context(|| format!("can't use model {}", path.display()))
}
