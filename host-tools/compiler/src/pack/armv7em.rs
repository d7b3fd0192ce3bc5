//! Records for Cortex-M4, M7 and M33: see [`Layout`].

use nervelet::kernels::packing::armv7em::{COLUMN_PAIRS, Layout};
use nervelet::kernels::packing::{self, Records, padded_image_words, staging_words};

use super::{Channel, Choice, Shape};

/// The layout for a layer, if any fits it.
pub(super) fn choose(shape: &Shape) -> Option<Choice> {
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    let pixels: usize = window.output.iter().product();
    let matrix = if pixels < 4 { Layout::DenseRowPairs } else { Layout::RowPairs };
    // Short columns don't pay for their packing.
    let by_columns = Layout::DepthwiseColumns.computes(&window) && window.output[0] >= 8;
    let layout = match depthwise {
        false => matrix,
        true if inputs == 1 && outputs > 1 => matrix,
        true if inputs == outputs && by_columns => Layout::DepthwiseColumns,
        true if inputs == outputs => Layout::DepthwiseQuads,
        true => return None,
    };
    let most_scratch = match layout {
        // All pixels at once, and a record's weights widened.
        Layout::RowPairs => {
            let filter = layout.filter(rows, columns * inputs);
            let padded = padded_image_words(&window, inputs);
            let staging = staging_words(&window, &filter);
            4 * (padded + staging + filter.depth + 12 + pixels.div_ceil(4) * (2 * filter.depth + 1))
        }
        // All columns at once.
        Layout::DepthwiseColumns => 4 * (window.output[1] + 2) * 4 * COLUMN_PAIRS,
        Layout::DenseRowPairs | Layout::DepthwiseQuads => 4 * layout.scratch_words(&window, inputs),
    };
    Some(Choice { layout: packing::Layout::Armv7em(layout), most_scratch })
}

/// One record of channels, unless the layout can't hold them.
pub(super) fn record(layout: Layout, lanes: &[Channel], zero_point: i32) -> Option<Vec<u32>> {
    let mut words = Vec::new();
    for channel in lanes {
        words.push(match layout {
            Layout::DenseRowPairs => dense_bias(channel, zero_point)?,
            _ => channel.bias as u32,
        });
    }
    let filters: Vec<&[i8]> = lanes.iter().map(|channel| &channel.filter[..]).collect();
    words.extend(interleave(layout, &filters));
    words.extend(lanes.iter().flat_map(Channel::multiplier_words));
    Some(words)
}

/// The bias for the dense layout, unless a sum could leave 24 bits or a weight of -128 does not fit a halfword.
fn dense_bias(channel: &Channel, zero_point: i32) -> Option<u32> {
    let [low, high] = channel.sums(zero_point);
    let fits = low >= -(1 << 23) && high < 1 << 23 && !channel.filter.contains(&-128);
    let total = |step: usize| channel.filter.iter().step_by(step).map(|weight| i64::from(*weight)).sum::<i64>();
    let bias = 256 * (i64::from(channel.bias) - i64::from(zero_point) * total(1)) - 127 * total(2);
    fits.then_some(bias as u32)
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
