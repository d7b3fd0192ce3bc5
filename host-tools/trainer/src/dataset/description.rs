//! What a dataset's folder says of itself: `meta.json` and a datasheet, both optional.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What `meta.json` may say; other keys are the dataset's own affair.
#[derive(Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) classes: Vec<String>,
    #[serde(default)]
    pub(super) channels: Vec<String>,
    #[serde(default)]
    pub(super) simulated: bool,
}

pub(super) fn read_meta(path: &Path) -> Result<Meta> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("can't read {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Meta::default()),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// The datasheet's paragraph on content, when there is one.
pub(super) fn origin(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("- Content: ")).unwrap_or_default().to_owned()
}
