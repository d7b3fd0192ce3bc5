//! Runs one inference between profiler markers, with only the operators that its model needs.

#![no_std]
#![no_main]

use nervelet::Arena;
use nervelet::ops::Operator;
use nervelet_board_qemu::bench;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<Arena<{ 2 << 20 }>> = ConstStaticCell::new(Arena::new());
/// A product writes this list by hand; here the host names the operators, and the build script writes them down.
static OPERATORS: &[&Operator] = include!(concat!(env!("OUT_DIR"), "/operators.rs"));

#[cortex_m_rt::entry]
fn main() -> ! {
    bench::main(OPERATORS, ARENA.take())
}
