//! What changed between two benches of a model.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::bench::{Figures, grouped};

/// The parts of an earlier `bench --json` that are compared.
#[derive(Debug, Deserialize)]
struct Earlier {
    board: String,
    model: String,
    ops: Vec<EarlierOperation>,
    total: EarlierTotal,
    arena_bytes: u64,
    scratch_bytes: u64,
    stack_bytes: Option<u64>,
    text_bytes: Option<u64>,
    weights_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct EarlierOperation {
    name: String,
    instructions: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct EarlierTotal {
    instructions: Option<u64>,
}

/// Prints the figures that moved, with what they were in the file.
///
/// # Errors
/// When the file is none that `bench --json` wrote.
pub fn print(path: &Path, now: &Figures) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let earlier: Earlier = serde_json::from_str(&text)
        .with_context(|| format!("{} is no file that bench --json wrote", path.display()))?;
    println!("since {} ({} on {}):", path.display(), earlier.model, earlier.board);
    let mut moved = Vec::new();
    for (index, operation) in now.ops.iter().enumerate() {
        // By place where the names agree, else by name: a layer may have been folded away since.
        let same = |candidate: &&EarlierOperation| candidate.name == operation.name;
        let before = earlier.ops.get(index).filter(same).or_else(|| earlier.ops.iter().find(same));
        let before = before.and_then(|before| before.instructions);
        moved.extend(change(&format!("{} instructions", operation.name), before, operation.cost.instructions));
    }
    let gone = |name: &str| !now.ops.iter().any(|operation| operation.name == name);
    for before in earlier.ops.iter().filter(|before| gone(&before.name)) {
        moved.extend(change(&format!("{} instructions", before.name), before.instructions, None));
    }
    moved.extend(change("total instructions", earlier.total.instructions, now.total.instructions));
    let sizes = [
        ("arena bytes", Some(earlier.arena_bytes), Some(now.arena_bytes as u64)),
        ("scratch bytes", Some(earlier.scratch_bytes), Some(now.scratch_bytes as u64)),
        ("stack bytes", earlier.stack_bytes, now.stack_bytes.map(u64::from)),
        ("code bytes", earlier.text_bytes, now.text_bytes),
        ("weights bytes", Some(earlier.weights_bytes), Some(now.weights_bytes as u64)),
    ];
    moved.extend(sizes.into_iter().filter_map(|(name, before, now)| change(name, before, now)));
    if moved.is_empty() {
        println!("  nothing moved");
    }
    for line in moved {
        println!("  {line}");
    }
    Ok(())
}

/// A figure that moved, for people; `None` for one that did not.
fn change(name: &str, before: Option<u64>, now: Option<u64>) -> Option<String> {
    match (before, now) {
        (Some(before), Some(now)) if before != now => {
            let part = if before == 0 { 0.0 } else { 100.0 * (now as f64 - before as f64) / before as f64 };
            Some(format!("{name}: {} -> {} ({part:+.1} %)", grouped(before), grouped(now)))
        }
        (Some(before), None) => Some(format!("{name}: {} -> gone", grouped(before))),
        (None, Some(now)) => Some(format!("{name}: new, {}", grouped(now))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn only_what_moved_is_named() {
        assert_eq!(change("code bytes", Some(2000), Some(2000)), None);
        assert_eq!(change("code bytes", None, None), None);
        assert_eq!(change("code bytes", Some(2000), Some(1500)).unwrap(), "code bytes: 2,000 -> 1,500 (-25.0 %)");
        assert_eq!(change("code bytes", None, Some(1500)).unwrap(), "code bytes: new, 1,500");
    }
}
