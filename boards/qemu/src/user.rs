//! A person with a button, for [`nervelet::frontend::read_label`].
//!
//! [`ScriptedUser`] plays the person, on a simulated clock that only [`Delay`] moves, so a session is the same on every machine and
//! takes no real time.

use core::cell::Cell;
use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin};

/// Simulated time, in nanoseconds since boot.
#[derive(Default)]
pub struct Clock(Cell<u64>);

/// A delay that moves a [`Clock`] instead of waiting.
pub struct Delay<'c>(pub &'c Clock);

impl DelayNs for Delay<'_> {
    fn delay_ns(&mut self, ns: u32) {
        self.0.0.set(self.0.0.get().saturating_add(u64::from(ns)));
    }
}

/// A user who answers each sample by pressing the button as often as its label asks.
pub struct ScriptedUser<'c> {
    clock: &'c Clock,
    first_press_at: u64,
    presses: u64,
}

impl<'c> ScriptedUser<'c> {
    const REACTION_NS: u64 = 300_000_000;
    const PRESS_NS: u64 = 90_000_000;
    const PERIOD_NS: u64 = 200_000_000;

    /// A user who does nothing yet.
    pub fn new(clock: &'c Clock) -> Self {
        Self { clock, first_press_at: 0, presses: 0 }
    }

    /// The user has seen what the sample is and begins to tell the device.
    pub fn tell(&mut self, label: u8) {
        self.first_press_at = self.clock.0.get().saturating_add(Self::REACTION_NS);
        self.presses = u64::from(label) + 1;
    }
}

impl ErrorType for ScriptedUser<'_> {
    type Error = Infallible;
}

impl InputPin for ScriptedUser<'_> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        self.is_low().map(|low| !low)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        let since = self.clock.0.get().checked_sub(self.first_press_at);
        let down = |t: u64| t / Self::PERIOD_NS < self.presses && t % Self::PERIOD_NS < Self::PRESS_NS;
        Ok(since.is_some_and(down))
    }
}
