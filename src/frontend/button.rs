//! How labels get into a device that has no keyboard.

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::InputPin;

/// Time between two looks at the button; also its debounce time.
const SAMPLE_MS: u32 = 10;
/// A pause as long as this ends a label.
const PAUSE_MS: u32 = 400;
/// How long to wait for the first press.
const PATIENCE_MS: u32 = 5_000;

/// Reads the label of a sample from a button: pressed once for class 0, twice for class 1 and so on, then a pause.
///
/// The button is active low and sampled every 10 ms. A pause of 0.4 s ends the label. Returns `None` when nobody
/// presses within 5 s.
///
/// # Errors
/// Those of the pin.
pub fn read_label<B: InputPin>(button: &mut B, delay: &mut impl DelayNs) -> Result<Option<u8>, B::Error> {
    let mut presses: u8 = 0;
    let mut was_down = false;
    let mut idle_ms = 0_u32;
    while idle_ms < if presses == 0 { PATIENCE_MS } else { PAUSE_MS } {
        let down = button.is_low()?;
        if down && !was_down {
            presses = presses.saturating_add(1);
        }
        idle_ms = if down { 0 } else { idle_ms.saturating_add(SAMPLE_MS) };
        was_down = down;
        delay.delay_ms(SAMPLE_MS);
    }
    Ok(presses.checked_sub(1))
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::convert::Infallible;

    use embedded_hal::digital::ErrorType;

    use super::*;

    /// A button pressed during the given intervals, on a clock that only the delay moves.
    struct Button<'c> {
        now_ms: &'c Cell<u32>,
        presses: &'c [(u32, u32)],
    }

    impl ErrorType for Button<'_> {
        type Error = Infallible;
    }

    impl InputPin for Button<'_> {
        fn is_high(&mut self) -> Result<bool, Infallible> {
            self.is_low().map(|low| !low)
        }

        fn is_low(&mut self) -> Result<bool, Infallible> {
            let now = self.now_ms.get();
            Ok(self.presses.iter().any(|(from, to)| (*from..*to).contains(&now)))
        }
    }

    struct Clock<'c>(&'c Cell<u32>);

    impl DelayNs for Clock<'_> {
        fn delay_ns(&mut self, ns: u32) {
            self.0.set(self.0.get() + ns / 1_000_000);
        }
    }

    fn read(presses: &[(u32, u32)]) -> (Option<u8>, u32) {
        let now_ms = Cell::new(0);
        let Ok(label) = read_label(&mut Button { now_ms: &now_ms, presses }, &mut Clock(&now_ms));
        (label, now_ms.get())
    }

    #[test]
    fn presses_are_counted_until_a_pause() {
        assert_eq!(read(&[(300, 400)]).0, Some(0));
        assert_eq!(read(&[(300, 400), (550, 600), (900, 1000)]).0, Some(2));
        // The second press comes after the pause: it belongs to the next label.
        assert_eq!(read(&[(300, 400), (900, 1000)]).0, Some(0));
    }

    #[test]
    fn nobody_is_waited_for_only_so_long() {
        assert_eq!(read(&[]), (None, 5_000));
    }
}
