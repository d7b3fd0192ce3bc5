//! Where the golden material lies.

use std::path::PathBuf;

/// The folder of the golden material; where it is absent, says so and gives nothing.
pub(crate) fn oracle() -> Option<PathBuf> {
    let root = std::env::var_os("NERVELET_ORACLE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle"));
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no golden material at {}; NERVELET_ORACLE names its folder", root.display());
    None
}
