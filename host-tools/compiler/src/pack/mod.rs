//! Lays weights out for the kernels of a target: [`nervelet::kernels::packing`] says where each number lies.

mod scratch;

use std::str::FromStr;

use anyhow::bail;
use nervelet::fixed::Multiplier;
use nervelet::kernels::Window;
use nervelet::kernels::packing::{ARMV7EM, COLUMN_PAIRS, Filter, Layout, PackedLayer, Packing, padded_image_words};

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

/// Packs a layer of row-major `weights`, or tells that no packing fits it: then it stays row-major.
pub fn pack(target: Target, shape: &Shape, weights: &[i8], bias: &[i32], multipliers: &[Multiplier]) -> Option<Packed> {
    if target == Target::Any {
        return None;
    }
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    let pixels: usize = window.output.iter().product();
    let matrix = if pixels < 4 { Layout::DenseRowPairs } else { Layout::RowPairs };
    let (layout, row) = match depthwise {
        false => (matrix, columns * inputs),
        true if inputs == 1 && outputs > 1 => (matrix, columns),
        true if inputs == outputs && Layout::DepthwiseColumns.computes(&window) => (Layout::DepthwiseColumns, columns),
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
    // A factor of 0 gives 0 whatever its shift.
    let right = |multiplier: &Multiplier| if multiplier.mantissa == 0 { 1 } else { -i32::from(multiplier.exponent) };
    let shifts_right = multipliers.iter().all(|multiplier| right(multiplier) >= 1);
    let mut words = Vec::new();
    for record in 0..layout.records(outputs) {
        let first = layout.first_channel(record, outputs);
        let lanes = first..first + layout.lanes();
        words.extend(bias[lanes.clone()].iter().map(|bias| *bias as u32));
        let filters: Vec<Vec<i8>> = lanes.clone().map(|lane| padded(&filter, |at| weight(lane, at))).collect();
        words.extend(interleave(layout, &filters));
        words.extend(multipliers[lanes].iter().flat_map(|factor| [factor.mantissa as u32, right(factor) as u32]));
    }
    let least_scratch = 4 * layout.scratch_words(&window, inputs);
    let most_scratch = match layout {
        // All pixels at once, and a record's weights widened.
        Layout::RowPairs => {
            let padded = padded_image_words(&window, inputs);
            4 * (padded + filter.padded_row + filter.depth + 12 + pixels.div_ceil(4) * (2 * filter.depth + 1))
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
fn interleave(layout: Layout, filters: &[Vec<i8>]) -> Vec<u32> {
    let depth = filters[0].len();
    match layout {
        Layout::RowPairs | Layout::DenseRowPairs => (0..depth)
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
                let weights: Vec<i8> = (0..outputs * rows * row).map(|i| (i * 37 % 255) as u8 as i8).collect();
                let bias: Vec<i32> = (0..outputs).map(|i| i as i32 * 1000 - 3000).collect();
                let multipliers: Vec<Multiplier> =
                    (0..outputs).map(|i| Multiplier { mantissa: (1 << 30) + i as i32, exponent: -(i as i8) }).collect();
                let shape = Shape { window, channels, depthwise };
                let packed = pack(Target::Dsp, &shape, &weights, &bias, &multipliers).unwrap();
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
                    assert_eq!(found, Some((bias[channel], multipliers[channel])));
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
        let pack = |bias: i32, exponent: i8| pack(Target::Dsp, &shape, &[1; 8], &[bias, 0], &factor(exponent));
        assert!(pack(1 << 29, -1).is_some());
        assert!(pack(1 << 30, -1).is_none());
        // 4 weights and a bias of 1000 give sums below 2^18.
        assert!(pack(1000, 12).is_some_and(|packed| !packed.packing.shifts_right));
        assert!(pack(1000, 13).is_none());
    }
}
