//! A person with a button: how labels get into a device that has no keyboard.
//!
//! [`read_label`] is what a product does and knows only embedded-hal traits. [`ScriptedUser`] plays the person, on a simulated
//! clock that only [`Delay`] moves, so a session is the same on every machine and takes no real time.

use core::cell::Cell;
use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin};

/// Time between two looks at the button; also its debounce time.
const SAMPLE_MS: u32 = 10;
/// A pause as long as this ends a label.
const PAUSE_MS: u32 = 400;
/// How long to wait for the first press.
const PATIENCE_MS: u32 = 5_000;

/// Reads one label: the user presses the (active low) button once for class 0, twice for class 1 and so on, then pauses.
///
/// Returns `None` when nobody presses.
pub fn read_label<B: InputPin>(button: &mut B, delay: &mut impl DelayNs) -> Result<Option<u8>, B::Error> {
    let mut presses: u8 = 0;
    let mut was_down = false;
    let mut idle_ms = 0;
    while idle_ms < if presses == 0 { PATIENCE_MS } else { PAUSE_MS } {
        let down = button.is_low()?;
        if down && !was_down {
            presses = presses.saturating_add(1);
        }
        idle_ms = if down { 0 } else { idle_ms + SAMPLE_MS };
        was_down = down;
        delay.delay_ms(SAMPLE_MS);
    }
    Ok(presses.checked_sub(1))
}

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
