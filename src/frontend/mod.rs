//! From raw readings to model input: the same code on the host, which trains with it, and on the device.

mod button;
mod error;
mod fft;
mod mel;
mod mfcc;
#[cfg(test)]
mod tests;
mod window;

pub use button::read_label;
pub use error::FrontendError;
pub use fft::Fft;
pub use mel::{LogMel, MelSettings, Spectrum};
pub use mfcc::{Mfcc, MfccSettings, clip_peak};
pub use window::SlidingWindow;

/// `(x - mean) * scale` along the last axis: value `i` belongs to channel `i % mean.len()`. Without channels the
/// values pass as they are.
pub fn normalize<'v>(values: &'v [f32], mean: &'v [f32], scale: &'v [f32]) -> impl Iterator<Item = f32> + 'v {
    // An empty normalisation repeats the identity.
    let (mean, scale): (&[f32], &[f32]) = if mean.is_empty() { (&[0.0], &[1.0]) } else { (mean, scale) };
    let channels = mean.iter().zip(scale).cycle();
    values.iter().zip(channels).map(|(value, (mean, scale))| (value - mean) * scale)
}
