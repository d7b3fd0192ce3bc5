//! Runs a model on every case that the host sends.

#![no_std]
#![no_main]

use nervelet::Arena;
use nervelet_board_qemu::runner;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<Arena<{ 2 << 20 }>> = ConstStaticCell::new(Arena::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    runner::main(ARENA.take())
}
