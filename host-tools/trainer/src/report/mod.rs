//! The report.
use crate::run::Run;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::Path;
/// x
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Fragment {}
pub(crate) fn training_fragment(_run: &Run) -> Fragment {
    Fragment {}
}
/// x
pub fn render(_folder: &Path) -> Result<()> {
    Ok(())
}
