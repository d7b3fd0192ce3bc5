//! What `cargo run` starts in a QEMU board's folder: runs a firmware on its board and prints its log.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nervelet_qemu::{Board, Image};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (board, firmware) = arguments
        .next()
        .zip(arguments.next())
        .context("usage: run-in-qemu BOARD FIRMWARE.elf, such as `qemu-m4 hello`")?;
    let board = Board::from_name(&board)?.with_log(|line| println!("{line}"));
    board.boot(&Image::read(Path::new(&firmware))?)?;
    Ok(())
}
