//! Dense layers and single pixels: all output channels of one row of inputs.

use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result};
use super::assembly::{Dense, nervelet_dense, nervelet_spread};

/// The bits of the even codes that the dense and the matrix kernel take turned over.
pub const TURNED: u32 = 0x007F_007F;

/// One row of a dense layer.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
    let words = input.len().div_ceil(4).wrapping_mul(2);
    let (inputs, _) = scratch.split_at_mut_checked(words).ok_or(OutOfBounds)?;
    spread(input, inputs)?;
    outputs(inputs, layer, output)
}

/// Makes the factors of the dense kernel: of each four codes, the last ones with zeros behind, the words `even` and
/// `256 * odd + 127 - even`.
#[inline(always)]
pub fn spread(codes: &[i8], target: &mut [u32]) -> Result {
    if target.len() / 2 < codes.len().div_ceil(4) {
        return Err(OutOfBounds);
    }
    // SAFETY: reads all of `codes`, and writes two words for each four of them and for what is left.
    unsafe { nervelet_spread(codes.as_ptr(), codes.len(), target.as_mut_ptr()) };
    Ok(())
}

/// All output channels from inputs that were spread.
#[inline(always)]
pub fn outputs(inputs: &[u32], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let (quads, outputs) = (inputs.len() / 2, output.len());
    let record = inputs.len().wrapping_add(2 + 2 * Scaling::WORDS);
    if quads == 0 || outputs < 2 || Some(layer.words.len()) != outputs.div_ceil(2).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let frame = Dense {
        stream: layer.words.as_ptr(),
        output: output.as_mut_ptr(),
        outputs,
        inputs: inputs.as_ptr(),
        quads,
        any_zero_point: layer.output_zero_point.wrapping_add(128),
    };
    // SAFETY: the stream holds a record of `4 * quads` weights, at least four, of two channels for each two codes, and
    // one for an odd last code with the code before it; there are at least two. `inputs` is two words for each quad.
    unsafe { nervelet_dense(&raw const frame) };
    let [low, high] = layer.range;
    if low != -128 || high != 127 {
        output.iter_mut().for_each(|code| *code = i32::from(*code).min(high).max(low) as i8);
    }
    Ok(())
}
