//! Lays weights out for the kernels of a target: [`nervelet::kernels::packing`] says where each number lies.

mod armv7em;
mod mve;
pub(crate) mod rows;
mod scalar;
mod scratch;

use std::str::FromStr;

use anyhow::bail;
use nervelet::fixed::Multiplier;
use nervelet::kernels::Window;
use nervelet::kernels::packing::{ARMV6M, ARMV7EM, ARMV7M, Filter, Layout, MVE, PackedLayer, Packing};

pub(crate) use scratch::{grow, use_room};

/// What a model file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// Every core, with row-major weights.
    #[default]
    Any,
    /// Cores with the Armv7E-M DSP instructions: Cortex-M4, M7, M33. Hosts run such a file as well, others refuse it.
    Dsp,
    /// The same with weights of 16 bits in dense layers: a twentieth fewer instructions, twice the flash, no scratch memory.
    DspWide,
    /// Cortex-M3; the same holds for it and those that follow.
    Armv7m,
    /// Cortex-M0 and M0+.
    Armv6m,
    /// Cortex-M55 and M85 with vector instructions.
    Mve,
}

/// The names that [`Target::from_str`] knows.
pub const TARGET_NAMES: [&str; 10] = ["any", "m4", "m7", "m33", "m3", "m0", "m55", "m4-wide", "m7-wide", "m33-wide"];

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "any" => Ok(Self::Any),
            "m4" | "m7" | "m33" => Ok(Self::Dsp),
            "m4-wide" | "m7-wide" | "m33-wide" => Ok(Self::DspWide),
            "m3" => Ok(Self::Armv7m),
            "m0" => Ok(Self::Armv6m),
            "m55" => Ok(Self::Mve),
            _ => bail!("there is no target `{name}`; targets are {}", TARGET_NAMES.join(", ")),
        }
    }
}

impl Target {
    /// The number of the core that the file names.
    pub fn core(self) -> u16 {
        match self {
            Self::Any => 0,
            Self::Dsp | Self::DspWide => ARMV7EM,
            Self::Armv7m => ARMV7M,
            Self::Armv6m => ARMV6M,
            Self::Mve => MVE,
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
    /// Bytes of scratch memory with which the output may begin where the input does.
    pub in_place_scratch: Option<usize>,
}

/// Packs a layer of row-major `weights`, or tells that no packing fits it: then it stays row-major. `zero_points` are
/// those of input and output.
pub fn pack(
    target: Target,
    shape: &Shape,
    weights: &[i8],
    bias: &[i32],
    multipliers: &[Multiplier],
    zero_points: [i32; 2],
) -> Option<Packed> {
    let choices = match target {
        Target::Dsp => armv7em::choose(shape, armv7em::FEW_OUTPUTS),
        Target::DspWide => armv7em::choose(shape, usize::MAX),
        Target::Armv7m | Target::Armv6m => scalar::choose(shape),
        Target::Mve => mve::choose(shape),
        Target::Any => Vec::new(),
    };
    let channels = |filter: &Filter| channels(shape, filter, weights, bias, multipliers, zero_points[0]);
    choices.into_iter().find_map(|choice| packed(&choice, shape, channels, zero_points))
}

/// The output channels with their filters padded, unless the weights are not those of the geometry.
fn channels(
    shape: &Shape,
    filter: &Filter,
    weights: &[i8],
    bias: &[i32],
    multipliers: &[Multiplier],
    zero_point: i32,
) -> Option<Vec<Channel>> {
    let (outputs, taps) = (shape.channels[1], filter.rows * filter.row);
    if weights.len() != outputs * taps {
        return None;
    }
    let weight = |channel: usize, at: usize| match shape.depthwise {
        true => weights[at * outputs + channel],
        false => weights[channel * taps + at],
    };
    let channel = |channel: usize| {
        Channel {
            filter: padded(filter, |at| weight(channel, at)),
            bias: bias[channel],
            multiplier: multipliers[channel],
        }
        .without_constant_sum(zero_point)
    };
    Some((0..outputs).map(channel).collect())
}

/// A layer in a layout, unless one of its numbers doesn't fit.
fn packed(
    choice: &Choice,
    shape: &Shape,
    channels: impl FnOnce(&Filter) -> Option<Vec<Channel>>,
    zero_points: [i32; 2],
) -> Option<Packed> {
    let Choice { layout, most_scratch } = *choice;
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    // A single input channel with many filters is an ordinary convolution.
    let row = if depthwise { columns } else { columns * inputs };
    let filter = layout.filter(rows, row);
    let all = channels(&filter)?;
    if !layout.holds(outputs) || !layout.computes(&window) {
        return None;
    }
    let shifts_right = all.iter().all(|channel| channel.right_shift() >= 1);
    let mut words = Vec::new();
    for record in 0..layout.records(outputs) {
        let first = layout.first_channel(record, outputs);
        let lanes = &all[first..outputs.min(first + layout.lanes())];
        match layout {
            Layout::Armv7em(layout) => words.extend(armv7em::record(layout, lanes, zero_points)?),
            Layout::Scalar(layout) => words.extend(scalar::record(layout, lanes, zero_points[0])?),
            Layout::Mve(layout) => words.extend(mve::record(layout, lanes, zero_points[0])?),
        }
    }
    let least_scratch = 4 * layout.scratch_words(&window, inputs);
    let in_place_scratch = layout.in_place_words(&window, [inputs, outputs]).map(|words| 4 * words);
    let packed =
        Packed { packing: Packing { layout, shifts_right }, words, least_scratch, most_scratch, in_place_scratch };
    let layer = PackedLayer {
        packing: packed.packing,
        words: &packed.words,
        input_offset: -zero_points[0],
        output_zero_point: zero_points[1],
        range: [-128, 127],
    };
    layer.verify(&filter, outputs).then_some(packed)
}

/// What a core makes of a layer's geometry.
struct Choice {
    layout: Layout,
    /// Bytes of scratch memory that the kernel can make use of.
    most_scratch: usize,
}

/// An output channel with its filter padded.
#[derive(Clone)]
struct Channel {
    filter: Vec<i8>,
    bias: i32,
    multiplier: Multiplier,
}

impl Channel {
    fn right_shift(&self) -> i32 {
        -i32::from(self.multiplier.exponent)
    }

    /// What a record ends with for the channel, unless its layout has scales of its own.
    fn multiplier_words(&self) -> [u32; 2] {
        [self.multiplier.mantissa as u32, self.right_shift() as u32]
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight, bias and multiplier is read back from where the layout says it is.
    #[test]
    fn streams_read_back() {
        for (window, channels, depthwise) in [
            ([3, 3], [5, 7], false),
            ([1, 1], [8, 2], false),
            ([1, 1], [5, 7], false),
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
                let multipliers: Vec<Multiplier> = (0..outputs)
                    .map(|i| Multiplier { mantissa: (1 << 30) + i as i32, exponent: -1 - (i as i8) })
                    .collect();
                let shape = Shape { window, channels, depthwise };
                for (target, factor) in [(Target::Dsp, 256), (Target::Armv7m, 1), (Target::Mve, 1)] {
                    let Some(packed) = pack(target, &shape, &weights, &bias, &multipliers, [5, 7]) else {
                        // Few rows of weights stay rows.
                        let few_rows = !depthwise && pixels == 1 && window.kernel == [1; 2] && outputs < 8;
                        assert!(target == Target::Mve && few_rows);
                        continue;
                    };
                    let filter = packed.packing.layout.filter(rows, row);
                    let layer = PackedLayer {
                        packing: packed.packing,
                        words: &packed.words,
                        input_offset: -5,
                        output_zero_point: 7,
                        range: [-128, 127],
                    };
                    for channel in 0..outputs {
                        let (start, multiplier) = layer.requantization(channel, outputs, filter.depth).unwrap();
                        assert_eq!(multiplier, multipliers[channel]);
                        let sum = layer.sum(channel, outputs, filter.depth, start, 77);
                        assert_eq!(sum, (bias[channel] + 77) * factor);
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
    }

    #[test]
    fn sums_that_could_wrap_take_another_layout() {
        use nervelet::kernels::packing::armv7em::Layout as Own;
        let of = Layout::Armv7em;
        let image = [1, 4];
        let window =
            Window { input: image, output: image, kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: [0; 2] };
        let shape = Shape { window, channels: [4, 2], depthwise: false };
        let factor = |exponent| [Multiplier { mantissa: 1 << 30, exponent }; 2];
        let pack = |weight: i8, bias: i32, exponent: i8| {
            let weights = [weight, weight, 1, 1, 1, 1, 1, 1];
            let packed = pack(Target::Dsp, &shape, &weights, &[bias, 0], &factor(exponent), [0, 0]);
            packed.map(|packed| packed.packing.layout)
        };
        assert_eq!(pack(1, 1 << 22, -15), Some(of(Own::SharedRowPairs)));
        assert_eq!(pack(1, 1 << 23, -5), Some(of(Own::RowPairs)));
        assert_eq!(pack(1, 1 << 29, -5), Some(of(Own::RowPairs)));
        assert_eq!(pack(1, 1 << 30, -1), None);
        // Two weights of -128 don't share a halfword.
        assert_eq!(pack(-128, 0, -1), Some(of(Own::RowPairs)));
        // 4 weights and a bias of 1000 give sums below 2^11.
        assert_eq!(pack(1, 1000, 6), Some(of(Own::SharedRowPairs)));
        assert_eq!(pack(1, 1000, 7), None);
    }
}
