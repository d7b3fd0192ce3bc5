//! The smallest firmware: it logs a line and ends the run. Try it when something below your own code is in doubt.

#![no_std]
#![no_main]

use nervelet_board_qemu::{exit, protocol};

#[cortex_m_rt::entry]
fn main() -> ! {
    let half = core::hint::black_box(0.5_f32);
    defmt::info!("hello from a Cortex-M55: 3 halves are {=f32}", 3.0 * half);
    exit(protocol::exit::SUCCESS)
}
