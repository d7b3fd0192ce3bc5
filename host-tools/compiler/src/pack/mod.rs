//! Lays weights out for the kernels of a target: [`nervelet::kernels::packing`] says where each number lies.

mod scratch;

use std::str::FromStr;

use anyhow::bail;
use nervelet::fixed::Multiplier;
use nervelet::kernels::Window;
use nervelet::kernels::packing::{
    ARMV7EM, COLUMN_PAIRS, Filter, Layout, PackedLayer, Packing, padded_image_words, staging_words,
};

pub(crate) use scratch::grow;

/// What a model file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// Every core, with row-major weights.
    #[default]
    Any,
    /// Cores with the Armv7E-M DSP instructions: Cortex-M4, M7, M33. Hosts run such a file as well, others refuse it.
    Dsp,
}

/// The names that [`Target::from_str`] knows.
pub const TARGET_NAMES: [&str; 4] = ["any", "m4", "m7", "m33"];

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "any" => Ok(Self::Any),
            "m4" | "m7" | "m33" => Ok(Self::Dsp),
            _ => bail!("there is no target `{name}`; targets are {}", TARGET_NAMES.join(", ")),
        }
    }
}

impl Target {
    /// The number of the core that the file names.
    pub fn core(self) -> u16 {
        match self {
            Self::Any => 0,
            Self::Dsp => ARMV7EM,
        }
    }
}

/// The geometry of a layer with weights.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The window; a dense layer has one pixel a row.
    pub window: Window,
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Whether every input channel has filters of its own.
    pub depthwise: bool,
}

/// A layer as the file holds it.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The packing.
    pub packing: Packing,
    /// The stream of words.
    pub words: Vec<u32>,
    /// Bytes of scratch memory that the kernel needs.
    pub least_scratch: usize,
    /// Bytes of scratch memory that it can make use of.
    pub most_scratch: usize,
}

/// Packs a layer of row-major `weights`, or tells that no packing fits it: then it stays row-major. `zero_point` is that
/// of the input.
pub fn pack(
    target: Target,
    shape: &Shape,
    weights: &[i8],
    bias: &[i32],
    multipliers: &[Multiplier],
    zero_point: i32,
) -> Option<Packed> {
    if target == Target::Any {
        return None;
    }
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    let pixels: usize = window.output.iter().product();
    let matrix = if pixels < 4 { Layout::DenseRowPairs } else { Layout::RowPairs };
    // Short columns don't pay for their packing.
    let by_columns = Layout::DepthwiseColumns.computes(&window) && window.output[0] >= 8;
    let (layout, row) = match depthwise {
        false => (matrix, columns * inputs),
        true if inputs == 1 && outputs > 1 => (matrix, columns),
        true if inputs == outputs && by_columns => (Layout::DepthwiseColumns, columns),
        true if inputs == outputs => (Layout::DepthwiseQuads, columns),
        true => return None,
    };
    let filter = layout.filter(rows, row);
    if outputs < layout.lanes() || weights.len() != outputs * rows * row {
        return None;
    }
    let weight = |channel: usize, at: usize| match depthwise {
        true => weights[at * outputs + channel],
        false => weights[channel * rows * row + at],
    };
    let channel = |channel: usize| {
        Channel {
            filter: padded(&filter, |at| weight(channel, at)),
            bias: bias[channel],
            multiplier: multipliers[channel],
        }
        .without_constant_sum(zero_point)
    };
    let all: Vec<Channel> = (0..outputs).map(channel).collect();
    let right = |channel: &Channel| -i32::from(channel.multiplier.exponent);
    let shifts_right = all.iter().all(|channel| right(channel) >= 1);
    let mut words = Vec::new();
    for record in 0..layout.records(outputs) {
        let first = layout.first_channel(record, outputs);
        let lanes = &all[first..first + layout.lanes()];
        for channel in lanes {
            words.push(match layout {
                Layout::DenseRowPairs => channel.dense_bias(zero_point)?,
                _ => channel.bias as u32,
            });
        }
        let filters: Vec<&[i8]> = lanes.iter().map(|channel| &channel.filter[..]).collect();
        words.extend(interleave(layout, &filters));
        words.extend(lanes.iter().flat_map(|channel| [channel.multiplier.mantissa as u32, right(channel) as u32]));
    }
    let least_scratch = 4 * layout.scratch_words(&window, inputs);
    let most_scratch = match layout {
        // All pixels at once, and a record's weights widened.
        Layout::RowPairs => {
            let padded = padded_image_words(&window, inputs);
            let staging = staging_words(&window, &filter);
            4 * (padded + staging + filter.depth + 12 + pixels.div_ceil(4) * (2 * filter.depth + 1))
        }
        // All columns at once.
        Layout::DepthwiseColumns => 4 * (window.output[1] + 2) * 4 * COLUMN_PAIRS,
        Layout::DenseRowPairs | Layout::DepthwiseQuads => least_scratch,
    };
    let packed = Packed { packing: Packing { layout, shifts_right }, words, least_scratch, most_scratch };
    let layer = PackedLayer {
        packing: packed.packing,
        words: &packed.words,
        input_offset: 0,
        output_zero_point: 0,
        range: [-128, 127],
    };
    layer.verify(&filter, outputs).then_some(packed)
}

/// An output channel with its filter padded.
struct Channel {
    filter: Vec<i8>,
    bias: i32,
    multiplier: Multiplier,
}

impl Channel {
    /// The smallest and the largest sum over all inputs.
    fn sums(&self, zero_point: i32) -> [i64; 2] {
        let extremes = [-128 - zero_point, 127 - zero_point].map(i64::from);
        self.filter.iter().fold([i64::from(self.bias); 2], |[low, high], weight| {
            let [a, b] = extremes.map(|x| x * i64::from(*weight));
            [low + a.min(b), high + a.max(b)]
        })
    }

    /// Channels that training has switched off have a scale next to nothing and a bias next to the largest: every sum
    /// gives one code. They become a filter of zeros with a bias that gives this code.
    fn without_constant_sum(mut self, zero_point: i32) -> Self {
        let [low, high] = self.sums(zero_point).map(|sum| i32::try_from(sum).ok());
        let Multiplier { mantissa, exponent } = self.multiplier;
        if let (Some(low), Some(high), true) = (low, high, exponent <= 0 || mantissa == 0) {
            // The product is monotonic where nothing wraps.
            let [low, high] = [low, high].map(|sum| self.multiplier.apply(sum));
            if low == high && low.unsigned_abs() < 1 << 20 {
                self.filter.fill(0);
                self.bias = 4 * low;
                self.multiplier = Multiplier { mantissa: 1 << 30, exponent: -1 };
            }
        }
        self
    }

    /// The bias for the dense layout, unless a sum could leave 24 bits or a weight of -128 does not fit a halfword.
    fn dense_bias(&self, zero_point: i32) -> Option<u32> {
        let [low, high] = self.sums(zero_point);
        let fits = low >= -(1 << 23) && high < 1 << 23 && !self.filter.contains(&-128);
        let total = |step: usize| self.filter.iter().step_by(step).map(|weight| i64::from(*weight)).sum::<i64>();
        let bias = 256 * (i64::from(self.bias) - i64::from(zero_point) * total(1)) - 127 * total(2);
        fits.then_some(bias as u32)
    }
}

/// A filter with the zeros that its layout wants behind each row and at the end.
fn padded(filter: &Filter, weight: impl Fn(usize) -> i8) -> Vec<i8> {
    let mut weights = vec![0; filter.depth];
    for row in 0..filter.rows {
        for column in 0..filter.row {
            weights[row * filter.padded_row + column] = weight(row * filter.row + column);
        }
    }
    weights
}

/// The weights of one record in the order of its layout.
fn interleave(layout: Layout, filters: &[&[i8]]) -> Vec<u32> {
    let depth = filters[0].len();
    match layout {
        Layout::DenseRowPairs => (0..depth)
            .step_by(4)
            .flat_map(|k| {
                filters.iter().map(move |filter| {
                    let half = |k: usize| (256 * i32::from(filter[k + 1]) + i32::from(filter[k])) as u16;
                    u32::from(half(k)) | u32::from(half(k + 2)) << 16
                })
            })
            .collect(),
        Layout::RowPairs => (0..depth)
            .step_by(4)
            .flat_map(|k| {
                [k, k + 1].map(|k| {
                    let bytes = [filters[0][k], filters[1][k], filters[0][k + 2], filters[1][k + 2]];
                    u32::from_le_bytes(bytes.map(|weight| weight as u8))
                })
            })
            .collect(),
        Layout::DepthwiseQuads => (0..depth)
            .step_by(2)
            .flat_map(|k| {
                filters.iter().map(move |filter| {
                    let [first, second] = [k, k + 1].map(|k| u32::from(i16::from(filter[k]) as u16));
                    first | second << 16
                })
            })
            .collect(),
        Layout::DepthwiseColumns => {
            let pair = |filter: &[i8], at: [usize; 2]| {
                let [first, second] = at.map(|k| u32::from(i16::from(filter[k]) as u16));
                first | second << 16
            };
            let column = |filter: &[i8], k: usize| [pair(filter, [k, k + 3]), pair(filter, [k + 3, k + 6])];
            filters.iter().flat_map(|filter| [0, 1, 2].map(|k| column(filter, k))).flatten().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight, bias and multiplier is read back from where the layout says it is.
    #[test]
    fn streams_read_back() {
        for (window, channels, depthwise) in [
            ([3, 3], [5, 7], false),
            ([1, 1], [8, 2], false),
            ([2, 5], [1, 6], true),
            ([3, 3], [9, 9], true),
            ([3, 2], [9, 9], true),
            ([4, 1], [4, 4], true),
        ] {
            for pixels in [1, 9] {
                let image = [1, pixels];
                let window = Window {
                    input: image,
                    output: image,
                    kernel: window,
                    stride: [1; 2],
                    dilation: [1; 2],
                    padding: [0; 2],
                };
                let [inputs, outputs] = channels;
                let [rows, columns] = window.kernel;
                let row = if depthwise { columns } else { columns * inputs };
                let weights: Vec<i8> = (0..outputs * rows * row)
                    .map(|i| (i * 37 % 255) as i32 as i8)
                    .map(|weight: i8| weight.max(-127))
                    .collect();
                let bias: Vec<i32> = (0..outputs).map(|i| i as i32 * 1000 - 3000).collect();
                let multipliers: Vec<Multiplier> =
                    (0..outputs).map(|i| Multiplier { mantissa: (1 << 30) + i as i32, exponent: -(i as i8) }).collect();
                let shape = Shape { window, channels, depthwise };
                let packed = pack(Target::Dsp, &shape, &weights, &bias, &multipliers, 5).unwrap();
                assert!(!packed.packing.shifts_right);
                let filter = packed.packing.layout.filter(rows, row);
                let layer = PackedLayer {
                    packing: packed.packing,
                    words: &packed.words,
                    input_offset: 0,
                    output_zero_point: 0,
                    range: [-128, 127],
                };
                for channel in 0..outputs {
                    let found = layer.requantization(channel, outputs, filter.depth);
                    let (start, multiplier) = found.unwrap();
                    assert_eq!(multiplier, multipliers[channel]);
                    let layer = PackedLayer { input_offset: -5, ..layer };
                    assert_eq!(layer.sum(channel, outputs, filter.depth, start, 77), bias[channel] + 77);
                    for at in 0..rows * row {
                        let k = at / row * filter.padded_row + at % row;
                        let expected = match depthwise {
                            true => weights[at * outputs + channel],
                            false => weights[channel * rows * row + at],
                        };
                        assert_eq!(layer.weight(channel, outputs, filter.depth, k), Some(i32::from(expected)));
                    }
                }
            }
        }
    }

    #[test]
    fn sums_that_could_wrap_stay_row_major() {
        let image = [1, 4];
        let window =
            Window { input: image, output: image, kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: [0; 2] };
        let shape = Shape { window, channels: [4, 2], depthwise: false };
        let factor = |exponent| [Multiplier { mantissa: 1 << 30, exponent }; 2];
        let pack = |bias: i32, exponent: i8| pack(Target::Dsp, &shape, &[1; 8], &[bias, 0], &factor(exponent), 0);
        assert!(pack(1 << 29, -1).is_some());
        assert!(pack(1 << 30, -1).is_none());
        // 4 weights and a bias of 1000 give sums below 2^18.
        assert!(pack(1000, 12).is_some_and(|packed| !packed.packing.shifts_right));
        assert!(pack(1000, 13).is_none());
    }
}
