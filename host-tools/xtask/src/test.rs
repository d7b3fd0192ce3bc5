//! Every test, with the totals of all of them at the end.

use anyhow::{Result, bail};

use crate::process::{cargo, run_watched};
use crate::setup;

/// Tests counted over all runs.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
}

impl Totals {
    /// Adds a `test result: ok. 3 passed; 0 failed; ...` line.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result:") else { return };
        let number = |what: &str| {
            let words: Vec<&str> = counts.split_whitespace().collect();
            let at = words.iter().position(|word| word.trim_end_matches(';') == what)?;
            words.get(at.checked_sub(1)?)?.parse::<u64>().ok()
        };
        self.passed += number("passed").unwrap_or(0);
        self.failed += number("failed").unwrap_or(0);
    }
}

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let mut totals = Totals::default();
    let mut broken = Vec::new();
    // The library and its compiler with overflow checks; the tools around the trainer in release, since the demo and
    // the command are built that way: the trainer's dependencies are compiled once.
    let suites: [&[&str]; 2] = [
        &["test", "--no-fail-fast", "--package", "nervelet", "--package", "nervelet-compiler"],
        &[
            "test",
            "--no-fail-fast",
            "--release",
            "--workspace",
            "--exclude",
            "nervelet",
            "--exclude",
            "nervelet-compiler",
        ],
    ];
    for suite in suites {
        if let Err(error) = run_watched(&mut cargo(suite), |line| totals.add(line)) {
            broken.push(error);
        }
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    match broken.first() {
        None => Ok(()),
        Some(error) => bail!("{error:#}"),
    }
}
