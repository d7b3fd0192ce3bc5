//! Layers on int16 activations with row-major int8 weights, in sums of 64 bits.
//!
//! | file | idea |
//! |---|---|
//! | `patch.rs` | output positions whose windows have the same taps in the image |
//! | `blocks.s` | an output channel over blocks of four pixels: convolutions |
//! | `window.s` | two output channels of one window at a time: dense layers, single pixels |
//! | `line.s` | four channels along a line of pixels: depthwise convolutions |

mod assembly;
mod convolution;
mod dense;
mod depthwise;
mod patch;

use super::super::{Code, WideRequantization};
use crate::fixed::Multiplier;
use assembly::WideRange;

pub use convolution::conv_2d_i16;
pub use dense::fully_connected_i16;
pub use depthwise::depthwise_conv_2d_i16;

/// Where layers without biases read them.
static NO_BIAS: [i64; 4] = [0; 4];

/// What a sum times a factor is, for the assembly: sums of more than 32 bits, and factors that are not small.
extern "C" fn exact(sum: i64, mantissa: i32, exponent: i32) -> i32 {
    Multiplier { mantissa, exponent: exponent as i8 }.apply_wide(sum)
}

/// The range of a fused activation, for the assembly.
fn range(requantization: &WideRequantization<'_>) -> WideRange {
    let [low, high] = requantization.range.map(|bound| u32::from(bound as u16).wrapping_mul(0x0001_0001));
    WideRange { low, high, ranged: u32::from(requantization.range != i16::RANGE) }
}
