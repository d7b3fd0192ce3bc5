//! Formatting, clippy and rustdoc, all without a warning.

use anyhow::Result;

use crate::process::{cargo, run as execute};
use crate::setup;

/// The targets that the library has to be clean on, beside the host.
const TARGETS: [&str; 4] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    execute(&mut cargo(&["fmt", "--all", "--check"]))?;
    for target in TARGETS {
        let library = ["clippy", "--package", "nervelet", "--target", target];
        execute(&mut cargo(&[&library[..], &["--", "-D", "warnings"]].concat()))?;
        execute(&mut cargo(&[&library[..], &["--features", "defmt", "--", "-D", "warnings"]].concat()))?;
    }
    execute(&mut cargo(&["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"]))?;
    execute(cargo(&["doc", "--workspace", "--no-deps", "--release"]).env("RUSTDOCFLAGS", "-D warnings"))
}
