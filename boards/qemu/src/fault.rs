//! What happens when the firmware can't go on: it says so and ends the run.
//!
//! A firmware under test must never hang, and the host must be able to tell a panic from a fault; hence the exit codes of
//! [`nervelet_board_protocol::exit`].

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use nervelet_board_protocol::exit;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    semihosting::process::exit(exit::PANIC)
}

// SAFETY: the handler reads the stacked frame and leaves by semihosting; it never returns to the faulted context.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("HardFault at pc {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    semihosting::process::exit(exit::HARD_FAULT)
}

// SAFETY: as above.
#[exception]
unsafe fn DefaultHandler(irqn: i16) {
    defmt::error!("no handler for interrupt {}", irqn);
    semihosting::process::exit(exit::UNEXPECTED_EXCEPTION)
}
