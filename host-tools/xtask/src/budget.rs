//! What five networks cost on six cores, against the checked-in table.

use anyhow::Result;

use crate::process::{cargo, run as execute};
use crate::setup;

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let program = ["run", "--release", "--quiet", "--package", "nervelet-budget", "--"];
    let arguments: Vec<&str> = program.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    execute(&mut cargo(&arguments))
}
