//! Runs nervelet firmware on QEMU boards: builds it, exchanges data with it, reads its log and profiles it.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use nervelet_qemu::Board;
//!
//! let board = Board::from_name("qemu-m4")?;
//! let model = std::fs::read("kws.postcard")?;
//! let silence = vec![0; 490];
//! let run = board.run(&model, &[vec![silence]])?;
//! println!("first output of the first case: {:?}", run.outputs[0][0]);
//! # Ok(())
//! # }
//! ```
//!
//! A board is a folder of `boards/`. Its firmware is built by cargo when it is first needed, into the board's own target folder, or
//! into `boards/` of `CARGO_TARGET_DIR` when that is set. Every run has a time-out: a firmware that hangs is an error, not a wait.

mod bench;
mod board;
mod build;
mod cycles;
mod finetune;
mod image;
mod log;
mod machine;
mod operators;
mod profile;
mod run;

pub use bench::{Bench, Cost};
pub use board::{Board, NAMES};
pub use finetune::{FineTuneReport, FineTuned, Learning, Optimizer, Outcome, Samples, Settings};
pub use image::Image;
pub use log::LogLine;
pub use machine::{Ended, Finished, qemu_version};
pub use nervelet_board_protocol::limits;
pub use run::Run;
