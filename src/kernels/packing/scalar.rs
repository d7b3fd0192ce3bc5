//! The layouts of Cortex-M3, M0 and M0+: a multiplication does the work of two.
//!
//! With two numbers `a` and `b` in one word, `a + 65536 * b`, one multiplication by `c` gives both products. They come
//! apart again where the lower sum fits 16 bits: that of two products always does, if no two weights are -128; that of
//! four does if their magnitudes add up to 255 or less, which a record notes.
//!
//! Biases are those for input codes as they are, `bias - zero_point * sum of weights`.

use super::super::Window;
use super::{Filter, Form, Records, in_blocks, staging_words};

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// One output channel a record, for blocks of output pixels, of which two share a word: the bias, the chunk, the
    /// weights as bytes in order. Every row of the kernel is padded with zeros to a multiple of 4 weights.
    Channels = 32,
    /// Depthwise, one channel a record: the same, with the whole filter padded to a multiple of 4.
    Taps = 33,
    /// Two output channels a record, for one output pixel at a time: the biases, the chunk, and words of the bytes
    /// `[a0 a1 b0 b1]`, each 128 more than the weight. Rows are padded with zeros to a multiple of 4 weights.
    ChannelPairs = 34,
    /// Three output channels a record, for the only pixel: the biases, the weights as bytes in order, those of each channel
    /// in whole words. Inputs are taken as they are, which pays where they are few, or few outputs share them.
    ChannelTriples = 35,
    /// The same with one output channel a record.
    ChannelSingles = 36,
}

/// What a record's second number is where four products fit 16 bits; else it is 0.
pub const FOURS: u32 = 1;

/// Output channels whose sums [`Layout::ChannelPairs`] holds at a time.
pub const SUMS: usize = 32;
/// The fewest inputs, of many, that it widens at a time, with the words they take.
pub const LEAST_SEGMENT: usize = 64;

/// [`Layout::ChannelTriples`] and [`Layout::ChannelSingles`] are for fewer inputs and fewer outputs than this.
pub const DIRECT_END: usize = 1 << 16;

/// The words of `inputs` widened inputs: of each four three words a pair.
pub const fn segment_words(inputs: usize) -> usize {
    inputs.div_ceil(4).wrapping_mul(6)
}

/// The scratch words for a window of [`Layout::ChannelPairs`] that does not lie in the image in one piece.
pub const fn window_words(window: &Window, filter: &Filter) -> usize {
    if window.kernel[0] == 1 && window.kernel[1] == 1 && filter.row == filter.padded_row { 0 } else { filter.depth / 4 }
}

impl Records for Layout {
    fn from_number(number: u8) -> Option<Self> {
        // The numbers are the variants' own, so that this is the check of a range.
        Some(match number {
            32 => Layout::Channels,
            33 => Layout::Taps,
            34 => Layout::ChannelPairs,
            35 => Layout::ChannelTriples,
            36 => Layout::ChannelSingles,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
        self as u8
    }

    fn form(self) -> Form {
        match self {
            Layout::Channels | Layout::ChannelPairs => Form::Convolution,
            Layout::Taps => Form::Depthwise,
            Layout::ChannelTriples | Layout::ChannelSingles => Form::DirectDense,
        }
    }

    fn computes(self, window: &Window) -> bool {
        match self {
            Layout::Channels => in_blocks(window),
            Layout::ChannelTriples | Layout::ChannelSingles => {
                let Window { input, output, kernel, padding, .. } = *window;
                (input, output, kernel, padding) == ([1; 2], [1; 2], [1; 2], [0; 2])
            }
            Layout::Taps | Layout::ChannelPairs => true,
        }
    }

    fn lanes(self) -> usize {
        match self {
            Layout::Channels | Layout::Taps | Layout::ChannelSingles => 1,
            Layout::ChannelPairs => 2,
            Layout::ChannelTriples => 3,
        }
    }

    fn holds(self, channels: usize) -> bool {
        let direct = matches!(self, Layout::ChannelTriples | Layout::ChannelSingles);
        channels >= self.lanes() && (!direct || channels < DIRECT_END)
    }

    fn filter(self, rows: usize, row: usize) -> Filter {
        if matches!(self, Layout::ChannelTriples | Layout::ChannelSingles) {
            return Filter { rows, row, padded_row: row, depth: rows.saturating_mul(row) };
        }
        let padded_row = if self == Layout::Taps { row } else { row.saturating_add(3) & !3 };
        Filter { rows, row, padded_row, depth: rows.saturating_mul(padded_row).saturating_add(3) & !3 }
    }

    fn record_words(self, depth: usize) -> usize {
        match self {
            Layout::Channels | Layout::Taps => (depth / 4).saturating_add(4),
            Layout::ChannelPairs => (depth / 2).saturating_add(7),
            Layout::ChannelTriples => depth.div_ceil(4).saturating_mul(3).saturating_add(9),
            Layout::ChannelSingles => depth.div_ceil(4).saturating_add(3),
        }
    }

    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32> {
        let byte = |word: usize, byte: usize| Some((*record.get(word)? >> (8 * byte)) as u8);
        Some(match self {
            Layout::Channels | Layout::Taps => i32::from(byte(2 + k / 4, k % 4)?.cast_signed()),
            Layout::ChannelPairs => i32::from(byte(3 + k / 2, k % 2 + 2 * lane)?) - 128,
            Layout::ChannelTriples => {
                let words = record.len().checked_sub(9)? / 3;
                i32::from(byte(3 + lane * words + k / 4, k % 4)?.cast_signed())
            }
            Layout::ChannelSingles => i32::from(byte(1 + k / 4, k % 4)?.cast_signed()),
        })
    }

    fn largest_sum(self, depth: usize, bias: i32) -> i64 {
        // Twice what it is: without long multiplications the product needs a bit more.
        ((depth as i64) << 15).wrapping_add(i64::from(bias.unsigned_abs()) << 1)
    }

    fn sum(self, bias: i32, zero_point: i32, weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        let total = weights.fold(0, i32::wrapping_add);
        bias.wrapping_add(total.wrapping_mul(zero_point)).wrapping_add(products)
    }

    fn scales(self, scale: &[u32], _shifts_right: bool, largest: i64, _zero_point: i32) -> bool {
        let [mantissa, right] = [0, 1].map(|at| scale.get(at).map_or(i32::MIN, |word| *word as i32));
        mantissa >= 0 && (1..=31).contains(&right) && largest < 1 << 30
    }

    fn admits(self, record: &[u32], depth: usize) -> bool {
        // Words whose magnitudes add up, where four products fit 16 bits; bits by which their bytes differ from weights.
        let (words, flipped) = match self {
            Layout::Channels | Layout::Taps => (1, 0),
            Layout::ChannelPairs => (2, 0x8080_8080),
            Layout::ChannelTriples | Layout::ChannelSingles => return true,
        };
        let (head, weights) = record.split_at_checked(self.lanes().wrapping_add(1)).unwrap_or_default();
        let fours = match head.last() {
            Some(&FOURS) => true,
            Some(0) => false,
            _ => return false,
        };
        let weights = weights.get(..(depth / 4).wrapping_mul(words)).unwrap_or_default();
        self == Layout::Taps
            || weights.chunks(if fours { words } else { 1 }).all(|words| {
                let sums = words.iter().fold(0_u32, |sums, word| sums.wrapping_add(magnitudes(word ^ flipped)));
                let four_of_a_word = fours && self == Layout::Channels;
                let sums = if four_of_a_word { sums.wrapping_add(sums.rotate_right(16)) } else { sums };
                sums & 0xFF00_FF00 == 0
            })
    }

    fn scratch_words(self, window: &Window, channels: usize) -> usize {
        let [rows, columns] = window.kernel;
        let filter = self.filter(rows, if self == Layout::Taps { columns } else { columns.saturating_mul(channels) });
        // Filters have at most `MAX_DEPTH` weights: nothing wraps.
        match self {
            // Four pixels, two words for each input.
            Layout::Channels => staging_words(window, &filter).wrapping_add(filter.depth.wrapping_mul(2)),
            // A pixel of zeros and two tables of taps for four pixels; the codes of these where there are fewer.
            Layout::Taps => {
                let codes = if in_blocks(window) { 0 } else { channels };
                let tables = rows.wrapping_mul(columns).wrapping_mul(8);
                channels.div_ceil(4).wrapping_add(tables).wrapping_add(codes)
            }
            Layout::ChannelPairs => {
                let segment = segment_words(if filter.depth < LEAST_SEGMENT { filter.depth } else { LEAST_SEGMENT });
                window_words(window, &filter).wrapping_add(SUMS).wrapping_add(segment)
            }
            Layout::ChannelTriples | Layout::ChannelSingles => 0,
        }
    }
}

/// The magnitudes of a word's bytes, as signed numbers: the sum of the lower two and that of the upper two, as halfwords.
const fn magnitudes(word: u32) -> u32 {
    let signs = word >> 7 & 0x0101_0101;
    let bytes = (word ^ signs.wrapping_mul(0xFF)).wrapping_add(signs);
    (bytes & 0x00FF_00FF).wrapping_add(bytes >> 8 & 0x00FF_00FF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_layouts_hold_numbers_of_16_bits() {
        for (layout, lanes) in [(Layout::ChannelTriples, 3), (Layout::ChannelSingles, 1)] {
            for (channels, held) in [(lanes - 1, false), (lanes, true), (DIRECT_END - 1, true), (DIRECT_END, false)] {
                assert_eq!(layout.holds(channels), held, "{layout:?}, {channels}");
            }
        }
        assert!(Layout::Channels.holds(DIRECT_END));
    }

    #[test]
    fn magnitudes_of_all_bytes_add_up() {
        for a in i8::MIN..=i8::MAX {
            for b in [i8::MIN, -127, -1, 0, 1, 126, i8::MAX] {
                for [lower, upper] in [[[a, b], [b, a]], [[b, b], [a, a]], [[a, -1], [0, b]]] {
                    let word = u32::from_le_bytes([lower[0], lower[1], upper[0], upper[1]].map(i8::cast_unsigned));
                    let [low, high] =
                        [lower, upper].map(|of| of.map(|byte| u32::from(byte.unsigned_abs())).iter().sum::<u32>());
                    assert_eq!(magnitudes(word), low | high << 16);
                }
            }
        }
    }
}
