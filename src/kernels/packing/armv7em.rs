//! The layouts of Cortex-M4, M7 and M33.
//!
//! Sums come 256 times as large, modulo 2^32, where the packer can prove that they fit 24 bits: what a kernel adds up
//! is then what it scales. Scales are those of [`Scaling`].

use super::super::Window;
use super::super::scaling::{Scaling, Sums};
use super::{Filter, Form, Records, in_blocks, staging_words};
use crate::fixed::Multiplier;

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// Two output channels a record, every row of the kernel padded with zeros to a multiple of 4 weights. Of 4 weights
    /// of both channels two words are made, `[a0 b0 a2 b2]` and `[a1 b1 a3 b3]`: what sign-extending every other byte
    /// turns into pairs of neighbours' neighbours. Sums are plain: for layers that [`Layout::SharedRowPairs`] can't take.
    RowPairs = 1,
    /// Two output channels a record, rows padded as above. The channels take turns with words of 4 weights: two
    /// halfwords `256 * even + odd`. A bias is `256 * (bias - zero_point * sum of weights) - 127 * sum of odd weights`,
    /// with the zero point of the inputs.
    SharedRowPairs = 2,
    /// Depthwise, four channels a record. Taps are paired in order, an odd one with a weight of zero; a pair has a
    /// word `[first second]` of 16-bit weights, 256 times as large, for each of the four channels. So are biases.
    DepthwiseQuads = 3,
    /// Depthwise 3 x 3 with stride 1, four channels a record: for each channel and column the words `[top middle]` and
    /// `[middle bottom]` of 16-bit weights, 256 times as large. So are biases.
    DepthwiseColumns = 4,
    /// A dense layer of one output channel, rows padded as above. Of 4 weights the even and the odd ones are a word each,
    /// of 16-bit weights, 256 times as large. A bias is `256 * (bias - zero_point * sum of weights)`.
    WideRow = 5,
    /// The same for two output channels: of 4 weights first the even ones of all channels, then the odd ones.
    WidePair = 6,
    /// The same for three output channels.
    WideTriple = 7,
    /// The same for four output channels a record.
    WideQuads = 8,
    /// As [`Layout::SharedRowPairs`], for single pixels.
    SharedPixels = 9,
}

/// The most output rows that [`Layout::DepthwiseColumns`] is computed for at once, and the pairs of rows they need.
pub const COLUMN_ROWS: usize = 26;
/// See [`COLUMN_ROWS`].
pub const COLUMN_PAIRS: usize = 14;

impl Records for Layout {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Layout::RowPairs),
            2 => Some(Layout::SharedRowPairs),
            3 => Some(Layout::DepthwiseQuads),
            4 => Some(Layout::DepthwiseColumns),
            5 => Some(Layout::WideRow),
            6 => Some(Layout::WidePair),
            7 => Some(Layout::WideTriple),
            8 => Some(Layout::WideQuads),
            9 => Some(Layout::SharedPixels),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        self as u8
    }

    fn form(self) -> Form {
        match self {
            Layout::RowPairs => Form::PlainConvolution,
            Layout::SharedRowPairs => Form::Convolution,
            Layout::SharedPixels => Form::Pixels,
            Layout::DepthwiseQuads => Form::Depthwise,
            Layout::DepthwiseColumns => Form::DepthwiseColumns,
            Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => Form::DirectDense,
        }
    }

    fn computes(self, window: &Window) -> bool {
        let Window { input, output, kernel, stride, dilation, padding } = window;
        match self {
            Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => *window == Window::pixel(),
            Layout::RowPairs | Layout::SharedRowPairs => in_blocks(window),
            Layout::SharedPixels => !in_blocks(window),
            Layout::DepthwiseQuads => true,
            // At most one row of padding above and below.
            Layout::DepthwiseColumns => {
                kernel[0] == 3
                    && kernel[1] == 3
                    && stride[0] == 1
                    && stride[1] == 1
                    && dilation[0] == 1
                    && dilation[1] == 1
                    && padding[0] <= 1
                    && output[0] >= 4
                    && output[0].saturating_add(1) <= input[0].saturating_add(padding[0])
            }
        }
    }

    fn lanes(self) -> usize {
        match self {
            Layout::WideRow => 1,
            Layout::RowPairs | Layout::SharedRowPairs | Layout::SharedPixels | Layout::WidePair => 2,
            Layout::WideTriple => 3,
            Layout::DepthwiseQuads | Layout::DepthwiseColumns | Layout::WideQuads => 4,
        }
    }

    fn in_place_words(self, window: &Window, [inputs, outputs]: [usize; 2]) -> Option<usize> {
        match self {
            Layout::SharedRowPairs if window.is_pointwise() => {
                let block = self.filter(1, inputs).depth.saturating_mul(2).saturating_add(1);
                // A last block that overlaps others is widened with the one before.
                let pixels = window.output[0].saturating_mul(window.output[1]);
                let second = if pixels.is_multiple_of(4) { 0 } else { block };
                Some(self.scratch_words(window, inputs).saturating_add(second))
            }
            // All columns of four channels at once.
            Layout::DepthwiseColumns => {
                let fits = self.computes(window)
                    && window.input == window.output
                    && window.output[0] <= COLUMN_ROWS
                    && inputs == outputs
                    && inputs.is_multiple_of(4);
                fits.then(|| window.output[1].saturating_add(2).saturating_mul(4 * COLUMN_PAIRS))
            }
            _ => None,
        }
    }

    fn holds(self, channels: usize) -> bool {
        match self {
            Layout::WideRow | Layout::WidePair | Layout::WideTriple => channels == self.lanes(),
            _ => channels >= self.lanes(),
        }
    }

    fn filter(self, rows: usize, row: usize) -> Filter {
        let (padded_row, depth) = match self {
            _ if !self.form().is_depthwise() => {
                let padded = row.saturating_add(3) & !3;
                (padded, rows.saturating_mul(padded))
            }
            Layout::DepthwiseQuads => (row, rows.saturating_mul(row).saturating_add(1) & !1),
            _ => (row, rows.saturating_mul(row)),
        };
        Filter { rows, row, padded_row, depth }
    }

    fn record_words(self, depth: usize) -> usize {
        match self {
            Layout::RowPairs | Layout::SharedRowPairs | Layout::SharedPixels => (depth / 2).saturating_add(8),
            Layout::DepthwiseQuads => depth.saturating_mul(2).saturating_add(16),
            Layout::DepthwiseColumns => 40,
            _ => (depth / 2).saturating_add(4).saturating_mul(self.lanes()),
        }
    }

    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32> {
        let at = self.weight_byte(lane, k);
        let shifted = *record.get(at / 4)? >> (at % 4 * 8);
        Some(match self {
            Layout::RowPairs => i32::from(shifted as i8),
            Layout::SharedRowPairs | Layout::SharedPixels if k.is_multiple_of(2) => {
                i32::from(shifted as i16).wrapping_sub(i32::from(shifted as i8)) >> 8
            }
            Layout::SharedRowPairs | Layout::SharedPixels => i32::from(shifted as i8),
            _ => i32::from(shifted as i16) >> 8,
        })
    }

    fn sum(self, bias: i32, zero_point: i32, weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        match self {
            Layout::RowPairs => bias.wrapping_add(products),
            Layout::DepthwiseQuads | Layout::DepthwiseColumns => bias.wrapping_add(products.wrapping_mul(256)),
            Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => weights
                .fold(bias, |sum, weight| sum.wrapping_add(weight.wrapping_mul(zero_point.wrapping_mul(256))))
                .wrapping_add(products.wrapping_mul(256)),
            Layout::SharedRowPairs | Layout::SharedPixels => {
                let start = weights.enumerate().fold(bias, |sum, (k, weight)| {
                    let factor = zero_point.wrapping_mul(256).wrapping_add(if k.is_multiple_of(2) { 0 } else { 127 });
                    sum.wrapping_add(weight.wrapping_mul(factor))
                });
                start.wrapping_add(products.wrapping_mul(256))
            }
        }
    }

    fn scale_words(self) -> usize {
        Scaling::WORDS
    }

    fn multiplier(self, scale: &[u32]) -> Multiplier {
        Scaling::from_words(scale).map(|scaling| scaling.multiplier(self.sums())).unwrap_or_default()
    }

    fn scaled(self, scale: &[u32], sum: i32, _zero_point: i32) -> i32 {
        Scaling::from_words(scale).map_or(0, |scaling| scaling.apply(sum, self.sums()))
    }

    fn scales(self, scale: &[u32], _shifts_right: bool, largest: i64, zero_point: i32) -> bool {
        // Others wrap by definition.
        let bounded = self.sums() == Sums::Shifted || largest < 1 << 30;
        let expected = Scaling::new(self.multiplier(scale), zero_point, self.sums());
        bounded && expected.is_some() && expected == Scaling::from_words(scale)
    }

    fn scratch_words(self, window: &Window, channels: usize) -> usize {
        let [rows, columns] = window.kernel;
        match self {
            // Four widened pixels with the place they go to.
            Layout::RowPairs | Layout::SharedRowPairs => {
                let filter = self.filter(rows, columns.saturating_mul(channels));
                let staging = staging_words(window, &filter);
                staging.saturating_add(filter.depth.saturating_mul(2)).saturating_add(1)
            }
            Layout::SharedPixels => {
                let filter = self.filter(rows, columns.saturating_mul(channels));
                (filter.padded_row / 4).saturating_add(filter.depth / 2)
            }
            // A pixel of zeros and two tables of taps.
            Layout::DepthwiseQuads => {
                let filter = self.filter(rows, columns);
                channels.div_ceil(4).saturating_add(filter.depth.saturating_mul(2))
            }
            // Three columns of four planes.
            Layout::DepthwiseColumns => 3 * 4 * COLUMN_PAIRS,
            Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => 0,
        }
    }
}

impl Layout {
    /// How its sums come out of a kernel.
    pub const fn sums(self) -> Sums {
        match self {
            Layout::RowPairs => Sums::Plain,
            _ => Sums::Shifted,
        }
    }

    /// The byte of weight `k` of a lane, from the start of its record.
    fn weight_byte(self, lane: usize, k: usize) -> usize {
        match self {
            Layout::RowPairs => 8 + k / 4 * 8 + k % 2 * 4 + k % 4 / 2 * 2 + lane,
            // The halfword that it shares.
            Layout::SharedRowPairs | Layout::SharedPixels => 8 + k / 4 * 8 + lane * 4 + k % 4 / 2 * 2,
            Layout::DepthwiseQuads => 16 + k / 2 * 16 + lane * 4 + k % 2 * 2,
            // The middle row is there twice.
            Layout::DepthwiseColumns => 16 + lane * 24 + k % 3 * 8 + k / 3 * 2 + k / 6 * 2,
            Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => {
                let lanes = self.lanes();
                4 * (lanes * (1 + k / 4 * 2 + k % 2) + lane) + k % 4 / 2 * 2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_record_lie_apart() {
        // Two weights of a dense filter share their bytes; the weights of the columns' middle row are there twice.
        for (layout, bytes, shared) in [
            (Layout::RowPairs, 1, 1),
            (Layout::SharedRowPairs, 2, 2),
            (Layout::DepthwiseQuads, 2, 1),
            (Layout::WideRow, 2, 1),
            (Layout::WidePair, 2, 1),
            (Layout::WideTriple, 2, 1),
            (Layout::WideQuads, 2, 1),
        ] {
            let depth = 16;
            let mut taken = std::vec![false; layout.record_words(depth) * 4];
            for lane in 0..layout.lanes() {
                for k in (0..depth).step_by(shared) {
                    for byte in 0..bytes {
                        assert!(!std::mem::replace(&mut taken[layout.weight_byte(lane, k) + byte], true));
                    }
                }
            }
            let edges = [layout.lanes() * 4, layout.lanes() * 12];
            assert_eq!(taken.iter().position(|taken| *taken), Some(edges[0]));
            assert_eq!(taken.iter().rposition(|taken| *taken), Some(taken.len() - edges[1] - 1));
        }
    }
}
