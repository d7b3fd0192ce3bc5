//! What every QEMU board of this project shares, so that a board folder holds only what is its own: target, memory map and a few
//! lines per firmware.
//!
//! | module | stands in for |
//! |---|---|
//! | [`fault`] | panic, HardFault and default handlers: log, then end the run with a code of their own; nothing ever hangs |
//! | [`host`] | files of the host, by semihosting |
//! | [`partition`] | the part of flash where a product keeps its model |
//! | [`flash`] | a NOR flash chip that remembers between boots and can lose power anywhere |
//! | [`user`] | a person pressing a button, a clock, a delay |
//! | [`stack`] | how deep the stack went |
//! | [`markers`] | where the profiler switches its counters |
//!
//! and the firmware programs, which know nothing of a particular board:
//!
//! | module | does |
//! |---|---|
//! | [`runner`] | runs a model on every case the host sends |
//! | [`bench`] | runs one inference between profiler markers |
//! | [`finetune`] | the product: infers, learns its user's samples, keeps what it learned through a power cut |
//! | [`job`] | what the host asked for, and the answer |
//!
//! Logs are defmt over semihosting: bytes on QEMU's standard output that the host decodes with the firmware's ELF.

#![no_std]

pub mod bench;
pub mod fault;
pub mod finetune;
pub mod flash;
pub mod host;
pub mod job;
pub mod markers;
pub mod partition;
pub mod runner;
pub mod stack;
mod tensors;
pub mod user;

/// The logger and the start-up code are linked for their side effects.
use defmt_semihosting as _;

pub use nervelet_board_protocol as protocol;
pub use semihosting::process::exit;
