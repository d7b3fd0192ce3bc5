//! A device that learns its user's own samples, and remembers them through a power cut.

#![no_std]
#![no_main]

use nervelet::Arena;
use nervelet_board_qemu::finetune;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<Arena<{ 2 << 20 }>> = ConstStaticCell::new(Arena::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    finetune::main(ARENA.take())
}
