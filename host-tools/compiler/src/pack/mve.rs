//! Records for Cortex-M55 and M85: see [`Layout`].

use nervelet::kernels::packing::mve::{LANES, LONGEST_PASS, Layout, PITCH, PLANES, SLACK, is_inside, strip_bytes};
use nervelet::kernels::packing::{self, Records};

use super::{Channel, Choice, Shape};

/// Fewer channels leave most lanes of a vector empty.
const LEAST_CHANNELS: usize = 8;
/// A dense layer of fewer outputs, from no more inputs, is not worth bringing together eight channels.
const FEW_OUTPUTS: usize = 12;
const FEW_INPUTS: usize = 64;

/// The layouts for a layer, the fastest first.
pub(super) fn choose(shape: &Shape) -> Vec<Choice> {
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let pixels: usize = window.output.iter().product();
    let few = outputs < LEAST_CHANNELS || outputs < FEW_OUTPUTS && inputs <= FEW_INPUTS;
    let layouts: &[Layout] = match depthwise {
        true if inputs == 1 && outputs > 1 => &[Layout::FlatPairs],
        true if inputs == outputs && outputs >= LEAST_CHANNELS => &[Layout::Planes, Layout::Columns],
        true => &[],
        false if Layout::Rows.computes(&window) && few => &[Layout::Rows, Layout::FlatPairs],
        false if pixels < 4 => &[Layout::Eights, Layout::FlatPairs],
        false if by_rows(shape) => &[Layout::RowPairs, Layout::FlatPairs],
        false => &[Layout::FlatPairs],
    };
    let choice = |layout: &Layout| {
        let least = layout.scratch_words(&window, inputs);
        let words = match layout {
            // The rows of an output row; all of a channel's columns.
            Layout::RowPairs if !is_inside(&window) => least.max(strip_bytes(&window, inputs) / 4),
            Layout::Planes => PLANES * (window.padded_input()[1] * PITCH + SLACK).div_ceil(LANES) * LANES / 4,
            Layout::Columns => PLANES * (window.padded_input()[0] + SLACK).div_ceil(LANES) * LANES / 4,
            _ => least,
        };
        Choice { layout: packing::Layout::Mve(*layout), most_scratch: 4 * words.max(least) }
    };
    layouts.iter().filter(|layout| layout.computes(&window)).map(choice).collect()
}

/// Whether the rows of a window are long enough to be multiplied where they lie, rather than put together first.
fn by_rows(shape: &Shape) -> bool {
    let [rows, columns] = shape.window.kernel;
    let one_by_one = rows == 1 && (columns == 1 || is_inside(&shape.window));
    let row = columns * shape.channels[0];
    let vectors = row.div_ceil(LANES);
    !one_by_one && vectors <= LONGEST_PASS && rows * vectors < 2 * (rows * row).div_ceil(LANES)
}

/// One record of channels, unless the layout can't hold them.
pub(super) fn record(layout: Layout, lanes: &[Channel], zero_point: i32) -> Option<Vec<u32>> {
    let depth = lanes.first()?.filter.len();
    let scales = lanes.len() * layout.scale_words();
    let mut record = vec![0_u32; layout.record_words(depth).checked_sub(scales)?];
    let bytes = record.len() * 4 / lanes.len();
    for (lane, channel) in lanes.iter().enumerate() {
        for (k, weight) in channel.filter.iter().enumerate() {
            let at = layout.weight_byte(bytes, lane, k);
            *record.get_mut(at / 4)? |= u32::from(weight.cast_unsigned()) << (at % 4 * 8);
        }
    }
    for Channel { filter, bias, multiplier } in lanes {
        let total: i64 = filter.iter().map(|weight| i64::from(*weight)).sum();
        let bias = i32::try_from(i64::from(*bias) - i64::from(zero_point) * total).ok()?;
        let scale = [bias, multiplier.mantissa, multiplier.exponent.into(), 0].map(i32::cast_unsigned);
        record.extend(&scale[..layout.scale_words()]);
    }
    Some(record)
}
