//! The layouts of Cortex-M55 and M85: bytes as vectors of 16.
//!
//! Inputs are multiplied as they are: biases hold `bias - zero_point * sum of weights`, with the zero point of the inputs.
//! A channel's scale is `[bias, mantissa, exponent]`.

use super::super::Window;
use super::{Filter, Form, Records};
use crate::fixed::Multiplier;

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// Two output channels a record that take turns with vectors of 16 weights, every row of the kernel padded with zeros.
    RowPairs = 64,
    /// Two output channels a record, the whole filter padded with zeros at its end. Up to [`SHORT`] vectors a channel, the
    /// first is followed by the others from the last to the second.
    FlatPairs = 65,
    /// Eight output channels a record that take turns with vectors of 16 weights, padded at the end, for single pixels.
    /// Scales have a fourth word, 0.
    Eights = 66,
    /// Depthwise 3 x 3, one channel a record: a vector with tap `[row][column]` at byte `6 * column + row`.
    Planes = 67,
    /// Depthwise with a single column of up to 16 taps, one channel a record: a vector of the taps.
    Columns = 68,
    /// One output channel a record, for the only pixel: the weights in order, in whole words. It pays for few outputs.
    Rows = 69,
    /// Depthwise, 16 channels a record: for each tap a vector of their weights. Fewer channels are padded with zeros. It pays for
    /// few outputs, and for windows that the others don't compute.
    Lanes = 70,
}

/// The weights of a vector.
pub const LANES: usize = 16;
/// Vectors of a filter that [`Layout::FlatPairs`] turns over.
pub const SHORT: usize = 8;
/// The most vectors that a kernel takes from one place before it moves on to the next.
pub const LONGEST_PASS: usize = 16;
/// The bytes of a column of [`Layout::Planes`].
pub const PITCH: usize = 6;
/// Channels that are brought into planes at a time.
pub const PLANES: usize = 8;
/// A bound on the bytes of an output row of [`Layout::Planes`] and [`Layout::Columns`], of which a block has up to eight.
pub const LONGEST_ROW: usize = 7168;
/// The scratch words of a layer that needs none.
const NONE: usize = 4;
/// What kernels read behind the last column of a plane.
pub const SLACK: usize = 64;

/// The passes of a row of `vectors` vectors, and the vectors of each.
pub const fn passes(vectors: usize) -> [usize; 2] {
    let vectors = if vectors == 0 { 1 } else { vectors };
    let passes = vectors.div_ceil(LONGEST_PASS);
    [passes, vectors.div_ceil(passes)]
}

/// The bytes of the padded rows that an output row of [`Layout::RowPairs`] needs, with what is read behind them.
pub const fn strip_bytes(window: &Window, channels: usize) -> usize {
    let row = window.padded_input()[1].saturating_mul(channels);
    (row.saturating_mul(window.kernel[0]).saturating_add(2 * LANES - 1)) & !(LANES - 1)
}

/// Whether all windows lie in the image.
pub const fn is_inside(window: &Window) -> bool {
    let [rows, columns] = window.padded_input();
    window.padding[0] == 0 && window.padding[1] == 0 && rows <= window.input[0] && columns <= window.input[1]
}

impl Records for Layout {
    fn from_number(number: u8) -> Option<Self> {
        // The numbers are the variants' own, so that this is the check of a range.
        Some(match number {
            64 => Layout::RowPairs,
            65 => Layout::FlatPairs,
            66 => Layout::Eights,
            67 => Layout::Planes,
            68 => Layout::Columns,
            69 => Layout::Rows,
            70 => Layout::Lanes,
            _ => return None,
        })
    }

    fn number(self) -> u8 {
        self as u8
    }

    fn form(self) -> Form {
        match self {
            Layout::Lanes => Form::Depthwise,
            Layout::Planes | Layout::Columns => Form::DepthwiseColumns,
            Layout::Eights | Layout::Rows => Form::Pixels,
            Layout::RowPairs | Layout::FlatPairs => Form::Convolution,
        }
    }

    fn computes(self, window: &Window) -> bool {
        let Window { input, output, kernel, stride, dilation, padding } = *window;
        let is_pixel = (input, output, kernel, padding) == ([1; 2], [1; 2], [1; 2], [0; 2]);
        match self {
            // Single pixels have layouts of their own.
            Layout::RowPairs => !is_pixel && (dilation[1] == 1 || kernel[1] == 1),
            Layout::FlatPairs => !is_pixel,
            Layout::Eights => kernel == [1; 2] && (is_pixel || is_inside(window)),
            Layout::Planes => kernel == [3; 2] && (stride == [1; 2] || stride == [2; 2]) && dilation == [1; 2],
            Layout::Rows => is_pixel,
            Layout::Columns => kernel[1] == 1 && kernel[0] <= LANES && stride[0] == 1 && dilation[0] == 1,
            Layout::Lanes => true,
        }
    }

    fn lanes(self) -> usize {
        match self {
            Layout::RowPairs | Layout::FlatPairs => 2,
            Layout::Eights => 8,
            Layout::Planes | Layout::Columns | Layout::Rows => 1,
            Layout::Lanes => LANES,
        }
    }

    fn holds(self, channels: usize) -> bool {
        channels >= if self == Layout::Lanes { 1 } else { self.lanes() }
    }

    fn filter(self, rows: usize, row: usize) -> Filter {
        let padded = |weights: usize| {
            let [passes, vectors] = passes(weights.div_ceil(LANES));
            passes.saturating_mul(vectors).saturating_mul(LANES)
        };
        let (padded_row, depth) = match self {
            Layout::RowPairs => (padded(row), rows.saturating_mul(padded(row))),
            Layout::FlatPairs => (row, padded(rows.saturating_mul(row))),
            Layout::Eights => (row, rows.saturating_mul(row).saturating_add(LANES - 1) & !(LANES - 1)),
            Layout::Planes | Layout::Columns | Layout::Rows | Layout::Lanes => (row, rows.saturating_mul(row)),
        };
        Filter { rows, row, padded_row, depth }
    }

    fn record_words(self, depth: usize) -> usize {
        // Filters have at most `MAX_DEPTH` weights: nothing wraps.
        let weights = match self {
            Layout::Planes | Layout::Columns => LANES,
            Layout::Lanes => depth.wrapping_mul(LANES),
            _ => depth.wrapping_mul(self.lanes()),
        };
        weights.div_ceil(4).wrapping_add(self.lanes() * self.scale_words())
    }

    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32> {
        let words = record.len().checked_sub(self.lanes() * self.scale_words())?;
        let at = self.weight_byte(words * 4 / self.lanes(), lane, k);
        Some(i32::from((*record.get(at / 4)? >> (at % 4 * 8)) as i8))
    }

    fn bias_word(self, depth: usize, lane: usize) -> usize {
        let scales = self.record_words(depth).saturating_sub(self.lanes() * self.scale_words());
        scales.saturating_add(lane.saturating_mul(self.scale_words()))
    }

    fn sum(self, bias: i32, zero_point: i32, weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        let total = weights.fold(0, i32::wrapping_add);
        bias.wrapping_add(zero_point.wrapping_mul(total)).wrapping_add(products)
    }

    fn scale_words(self) -> usize {
        if self == Layout::Eights { 4 } else { 3 }
    }

    fn multiplier(self, scale: &[u32]) -> Multiplier {
        let [mantissa, exponent] = [1, 2].map(|at| scale.get(at).map_or(0, |word| *word as i32));
        Multiplier { mantissa, exponent: exponent as i8 }
    }

    fn scales(self, scale: &[u32], shifts_right: bool, largest: i64, _zero_point: i32) -> bool {
        let [mantissa, exponent] = [1, 2].map(|at| scale.get(at).map_or(i32::MIN, |word| *word as i32));
        let most = match self {
            _ if shifts_right || matches!(self, Layout::Rows | Layout::Lanes) => -1,
            // Its kernels don't shift left.
            Layout::Planes | Layout::Columns => 0,
            _ => 30,
        };
        mantissa >= 0 && (-31..=most).contains(&exponent) && largest << exponent.max(0) < 1 << 30
    }

    fn scratch_words(self, window: &Window, channels: usize) -> usize {
        let [rows, columns] = window.kernel;
        let filter = self.filter(rows, columns.saturating_mul(channels));
        match self {
            // Four pixels, unless all lie in the image as they are needed.
            Layout::RowPairs | Layout::FlatPairs => {
                let as_it_is = self == Layout::FlatPairs && rows == 1 && columns == 1 && is_inside(window);
                if as_it_is && filter.depth == filter.row { NONE } else { filter.depth }
            }
            Layout::Eights if filter.depth == filter.row => NONE,
            Layout::Eights => filter.depth / 4,
            Layout::Rows | Layout::Lanes => 0,
            // Distances from output to output have 16 bits: none is enough for rows that are longer.
            Layout::Planes | Layout::Columns if window.output[1].saturating_mul(channels) >= LONGEST_ROW => usize::MAX,
            // Planes of the fewest columns or rows that a block takes.
            Layout::Planes => PLANES * (9 * PITCH + SLACK).div_ceil(LANES) * (LANES / 4),
            Layout::Columns => PLANES * (2 * LANES + SLACK) / 4,
        }
    }
}

impl Layout {
    /// The byte of weight `k` of a lane whose weights take `bytes`, from the start of their record.
    pub const fn weight_byte(self, bytes: usize, lane: usize, k: usize) -> usize {
        let (vector, vectors) = (k / LANES, bytes / LANES);
        match self {
            Layout::FlatPairs if vectors <= SHORT && vectors > 0 => {
                // Turned over behind the first.
                (vectors - vector % vectors) % vectors * 2 * LANES + lane * LANES + k % LANES
            }
            Layout::RowPairs | Layout::FlatPairs => vector * 2 * LANES + lane * LANES + k % LANES,
            Layout::Eights => vector * 8 * LANES + lane * LANES + k % LANES,
            Layout::Planes => k % 3 * PITCH + k / 3,
            Layout::Columns | Layout::Rows => k,
            Layout::Lanes => k * LANES + lane,
        }
    }
}
