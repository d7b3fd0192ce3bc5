//! Records for Cortex-M3, M0 and M0+: see [`Layout`].

use nervelet::kernels::packing::scalar::{FOURS, Layout, SUMS, segment_words, window_words};
use nervelet::kernels::packing::{self, Records, padded_image_words};

use super::{Channel, Choice, Shape};

/// The layouts for a layer, the fastest first.
pub(super) fn choose(shape: &Shape) -> Vec<Choice> {
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    let layouts: &[Layout] = match depthwise {
        true if inputs == outputs => &[Layout::Taps],
        true if inputs > 1 => &[],
        _ if Layout::Channels.computes(&window) => &[Layout::Channels],
        _ => dense(columns * rows * inputs, outputs),
    };
    let choice = |layout: &Layout| {
        let least = layout.scratch_words(&window, inputs);
        let words = match layout {
            Layout::Channels => padded_image_words(&window, inputs) + least,
            // All inputs at once.
            Layout::ChannelPairs => {
                let filter = layout.filter(rows, columns * inputs);
                window_words(&window, &filter) + SUMS + segment_words(filter.depth)
            }
            Layout::Taps | Layout::ChannelTriples | Layout::ChannelSingles => least,
        };
        Choice { layout: packing::Layout::Scalar(*layout), most_scratch: 4 * words }
    };
    layouts.iter().filter(|layout| layout.computes(&window)).map(choice).collect()
}

/// The layouts for one pixel, the fastest first: by the instructions of their kernels on Cortex-M3, beside those of all.
/// Inputs as they are are an operator of its own, which should be worth its code.
fn dense(inputs: usize, outputs: usize) -> &'static [Layout] {
    let fours = inputs.div_ceil(4);
    let direct = match outputs {
        ..3 => outputs * (15 + 3 * inputs + 2 * fours),
        _ => outputs.div_ceil(3) * (34 + 7 * inputs + 2 * fours),
    };
    let of_pairs = 50 + 13 * fours + outputs.div_ceil(2) * (37 + 14 * fours);
    match outputs {
        _ if 17 * direct > 16 * of_pairs => &[Layout::ChannelPairs],
        ..3 => &[Layout::ChannelSingles, Layout::ChannelPairs],
        _ => &[Layout::ChannelTriples, Layout::ChannelPairs],
    }
}

/// One record of channels, unless the layout can't hold them.
pub(super) fn record(layout: Layout, lanes: &[Channel], zero_point: i32) -> Option<Vec<u32>> {
    let mut words = Vec::new();
    for Channel { filter, bias, .. } in lanes {
        let total: i64 = filter.iter().map(|weight| i64::from(*weight)).sum();
        words.push(i32::try_from(i64::from(*bias) - i64::from(zero_point) * total).ok()? as u32);
    }
    if matches!(layout, Layout::ChannelTriples | Layout::ChannelSingles) {
        let four = |four: &[i8]| [0, 1, 2, 3].map(|at| four.get(at).map_or(0, |weight| weight.cast_unsigned()));
        let weights = lanes.iter().flat_map(|channel| channel.filter.chunks(4)).map(four).map(u32::from_le_bytes);
        words.extend(weights);
        words.extend(lanes.iter().flat_map(Channel::multiplier_words));
        return Some(words);
    }
    let apart = |weights: &[i8]| weights.iter().map(|weight| u32::from(weight.unsigned_abs())).sum::<u32>() <= 255;
    let fours = lanes.iter().all(|channel| channel.filter.chunks(4).all(apart));
    words.push(if fours { FOURS } else { 0 });
    match (layout, lanes) {
        (Layout::ChannelPairs, [a, b]) => {
            let shifted = |weight: i8| weight.cast_unsigned() ^ 128;
            words.extend(
                a.filter
                    .chunks_exact(2)
                    .zip(b.filter.chunks_exact(2))
                    .map(|(a, b)| u32::from_le_bytes([a[0], a[1], b[0], b[1]].map(shifted))),
            );
        }
        _ => words.extend(lanes.iter().flat_map(|channel| {
            channel
                .filter
                .chunks_exact(4)
                .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]].map(i8::cast_unsigned)))
        })),
    }
    words.extend(lanes.iter().flat_map(Channel::multiplier_words));
    Some(words)
}
