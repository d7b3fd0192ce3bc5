//! Dense layers and single pixels: all output channels of one row of inputs.

use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result};
use super::assembly::{Dense, Finish, nervelet_dense, nervelet_spread};

/// The bits of the even codes that the dense and the matrix kernel take turned over.
pub const TURNED: u32 = 0x007F_007F;

/// Units of 8 weights that the kernel unrolls.
const UNITS: usize = 8;

/// One row of a dense layer.
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
    let words = input.len().div_ceil(4).wrapping_mul(2);
    let (inputs, _) = scratch.split_at_mut_checked(words).ok_or(OutOfBounds)?;
    spread(input, inputs)?;
    outputs(inputs, layer, output)
}

/// Makes the factors of the dense kernel: of each four codes, the last ones with zeros behind, the words `even` and
/// `256 * odd + 127 - even`.
pub fn spread(codes: &[i8], target: &mut [u32]) -> Result {
    let (words, rest) = codes.as_chunks::<4>();
    let (whole, behind) = target.split_at_mut_checked(words.len().wrapping_mul(2)).ok_or(OutOfBounds)?;
    // SAFETY: reads `words`, which may be unaligned on these cores, and writes twice as many, all of `whole`.
    unsafe { nervelet_spread(words.as_ptr(), words.len(), whole.as_mut_ptr()) };
    if !rest.is_empty() {
        let mut padded = [0; 4];
        padded.iter_mut().zip(rest).for_each(|(padded, code)| *padded = *code);
        let behind = behind.get_mut(..2).ok_or(OutOfBounds)?;
        // SAFETY: reads a word and writes two.
        unsafe { nervelet_spread(&raw const padded, 1, behind.as_mut_ptr()) };
    }
    Ok(())
}

/// All output channels from inputs that were spread.
pub fn outputs(inputs: &[u32], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let (quads, outputs) = (inputs.len() / 2, output.len());
    let record = inputs.len().wrapping_add(2 + 2 * Scaling::WORDS);
    if quads == 0 || outputs < 2 || Some(layer.words.len()) != outputs.div_ceil(2).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let Finish { tail, bounds } = Finish::of(layer);
    let units = quads / 2;
    let (inputs, codes) = (inputs.as_ptr_range(), output.as_mut_ptr_range());
    let odd = outputs % 2;
    let frame = Dense {
        stream: layer.words.as_ptr(),
        output: codes.start,
        output_end: codes.end.wrapping_sub(odd),
        inputs: inputs.start,
        inputs_end: inputs.start.wrapping_add(quads.wrapping_mul(2)),
        // Without a single unit of eight all are skipped.
        entry: if units == 0 { UNITS } else { units.wrapping_neg() % UNITS },
        half: quads % 2,
        tail,
        bounds,
        odd,
    };
    // SAFETY: the stream holds a record of `4 * quads` weights, at least four, of two channels for each two codes, and
    // one for an odd last code with the code before it; there are at least two. `inputs` is two words for each quad.
    unsafe { nervelet_dense(&raw const frame) };
    Ok(())
}
