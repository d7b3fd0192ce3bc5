//! `cargo xtask`: the project's own commands. Light on purpose: it starts before anything else is built.

mod budget;
mod demo;
mod lint;
mod miri;
mod process;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask <command>

  demo    the whole story on a QEMU Cortex-M4F: train, quantize, export, run, fine-tune, power cut, report
  test    every test: host, docs, firmware under QEMU
  budget  instructions, arena and code of five networks on six cores, against the checked-in table;
          --update writes it, --only NAME picks a network or a board
  lint    formatting, clippy on host and thumb targets, rustdoc
  miri    the library's tests under Miri (needs a nightly toolchain with miri and rust-src)
  setup   installs what demo and test need: Rust targets through rustup, QEMU through apt";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str) -> Result<()> {
    match command {
        "demo" => demo::run(),
        "test" => test::run(),
        "budget" => budget::run(),
        "lint" => lint::run(),
        "miri" => miri::run(),
        "setup" => setup::run(),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        "" => bail!("no command given\n\n{HELP}"),
        other => bail!("no command {other}\n\n{HELP}"),
    }
}
