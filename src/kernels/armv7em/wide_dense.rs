//! Dense layers with weights of 16 bits: inputs are taken as they are, up to four output channels at a time.

use super::super::packing::MAX_DEPTH;
use super::super::packing::armv7em::Layout;
use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result};
use super::assembly::{
    WideDense, nervelet_wide_dense_1, nervelet_wide_dense_2, nervelet_wide_dense_3, nervelet_wide_dense_4,
};
use super::own;

/// The words of a channel beside its weights: its bias and its scale.
const LANE_WORDS: usize = 1 + Scaling::WORDS;

/// Channels up to here have few enough words to count.
const MOST_CHANNELS: usize = 1 << 16;

/// One row of a dense layer.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let (kernel, lanes): (unsafe extern "C" fn(*const WideDense), usize) = match own(layer) {
        Layout::WideRow => (nervelet_wide_dense_1, 1),
        Layout::WidePair => (nervelet_wide_dense_2, 2),
        Layout::WideTriple => (nervelet_wide_dense_3, 3),
        Layout::WideQuads => (nervelet_wide_dense_4, 4),
        _ => return Err(OutOfBounds),
    };
    let word;
    let input = if (4..=MAX_DEPTH).contains(&input.len()) {
        input
    } else {
        word = a_word(input).ok_or(OutOfBounds)?;
        &word
    };
    let (depth, channels) = (input.len(), output.len());
    // Only fours of channels may be several.
    let (computed, most) = if lanes == 4 { (channels.wrapping_add(3) & !3, MOST_CHANNELS) } else { (lanes, lanes) };
    let words = (depth.wrapping_add(3) / 4).wrapping_mul(2).wrapping_add(LANE_WORDS);
    if !(lanes..=most).contains(&channels) {
        return Err(OutOfBounds);
    }
    if layer.words.len() != computed.wrapping_mul(words) {
        return Err(OutOfBounds);
    }
    let frame = WideDense {
        stream: layer.words.as_ptr(),
        inputs: input.as_ptr(),
        words: depth / 4,
        missing: depth.wrapping_neg() % 4,
        records: computed / 4,
        shared: computed.wrapping_sub(channels),
        output: output.as_mut_ptr(),
    };
    // SAFETY: the stream holds a weight, or a zero for what a last word lacks, of each input for `computed` channels, in one
    // record or in several ones of four channels. The kernel reads whole words of `input`, at least one, and its last four
    // bytes. Every record writes a byte a channel; of several, the last one begins `shared` bytes before the end of those
    // before it, so that it ends with `output`.
    unsafe { kernel(&raw const frame) };
    let [low, high] = layer.range;
    if low != -128 || high != 127 {
        output.iter_mut().for_each(|code| *code = i32::from(*code).min(high).max(low) as i8);
    }
    Ok(())
}

/// Fewer inputs than a word has, with others behind them, which meet weights of zero.
#[cold]
#[inline(never)]
fn a_word(input: &[i8]) -> Option<[i8; 4]> {
    let mut word = [0; 4];
    word.get_mut(..input.len()).filter(|_| !input.is_empty())?.copy_from_slice(input);
    Some(word)
}
