//! Records for Cortex-M55 and M85: see [`Layout`].

use nervelet::kernels::Window;
use nervelet::kernels::packing::mve::{LANES, LONGEST_PASS, LONGEST_ROW, Layout, PITCH, PLANES, SLACK};
use nervelet::kernels::packing::mve::{is_inside, strip_bytes};
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
    let layouts = match depthwise {
        true if inputs == 1 && outputs > 1 => vec![Layout::FlatPairs],
        true if inputs == outputs => depthwise_layouts(&window, outputs),
        true => vec![],
        false if Layout::Rows.computes(&window) && few => vec![Layout::Rows, Layout::Eights],
        false if pixels < 4 => vec![Layout::Eights, Layout::FlatPairs],
        false if by_rows(shape) => vec![Layout::RowPairs, Layout::FlatPairs],
        false => vec![Layout::FlatPairs],
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

/// The layouts for a depthwise layer: what costs less goes first.
fn depthwise_layouts(window: &Window, channels: usize) -> Vec<Layout> {
    let fits = window.output[1] * channels < LONGEST_ROW;
    let planes = [Layout::Planes, Layout::Columns].into_iter().find(|layout| fits && layout.computes(window));
    match planes {
        Some(planes) if cost_of_planes(planes, window, channels) < cost_of_lanes(window, channels) => {
            vec![planes, Layout::Lanes]
        }
        Some(planes) => vec![Layout::Lanes, planes],
        None => vec![Layout::Lanes],
    }
}

/// About how many instructions channels spread over planes take: eight at a time, each in blocks of eight outputs.
fn cost_of_planes(layout: Layout, window: &Window, channels: usize) -> usize {
    let [rows, columns] = window.output;
    let (tiles, tile, blocks) = match layout {
        Layout::Columns => (columns, [rows, 1], rows.div_ceil(8)),
        _ if window.stride[0] == 1 => (rows.div_ceil(4), [rows.min(4), columns], columns.div_ceil(2)),
        _ => (rows.div_ceil(2), [rows.min(2), columns], columns.div_ceil(4)),
    };
    let inputs = |axis: usize| ((tile[axis] - 1) * window.stride[axis] + window.kernel[axis]).min(window.input[axis]);
    let spread = 8 * inputs(0).min(inputs(1)) + 5 * inputs(0) * inputs(1);
    let groups = channels.div_ceil(PLANES);
    let of_channels = groups * PLANES.min(channels) * (22 + 40 * blocks);
    tiles * (100 + groups * (120 + spread) + of_channels)
}

/// The same of channels in the lanes of vectors: runs of pixels with the same taps in the image, for each of which weights
/// outside are looked at once.
fn cost_of_lanes(window: &Window, channels: usize) -> usize {
    let records = channels.div_ceil(LANES);
    let [height, width] = window.kernel;
    let along = usize::from(window.output[1] != 1);
    let rows_of_taps = if width == 1 { 1 } else { height };
    let taps_at = |axis: usize, position: usize| window.taps(axis, position).0.len();
    let mut cost = 0;
    for line in 0..window.output[1 - along] {
        let across = taps_at(1 - along, line);
        let mut is_whole = false;
        for position in 0..window.output[along] {
            let taps = taps_at(along, position);
            let follows = is_whole && taps == window.kernel[along];
            is_whole = taps == window.kernel[along];
            if !follows {
                cost += 200 + records * (60 + 10 * (height * width - taps * across));
            }
            cost += records * (43 + 5 * rows_of_taps + 13 * taps * across);
        }
    }
    cost
}

/// About how many instructions putting a window together takes, and one more vector of a pair of channels.
const WINDOW: usize = 200;
const VECTOR: usize = 4;

/// Whether the rows of a window are multiplied where they lie, rather than put together first: they are long enough, or the
/// channels too few to make up for it.
fn by_rows(shape: &Shape) -> bool {
    let [rows, columns] = shape.window.kernel;
    let one_by_one = rows == 1 && (columns == 1 || is_inside(&shape.window));
    let row = columns * shape.channels[0];
    let vectors = row.div_ceil(LANES);
    let (apart, together) = (rows * vectors, (rows * row).div_ceil(LANES));
    let more = (apart - together) * VECTOR * shape.channels[1].div_ceil(2);
    !one_by_one && vectors <= LONGEST_PASS && (apart < 2 * together || more < WINDOW)
}

/// One record of channels, unless the layout can't hold them.
pub(super) fn record(layout: Layout, channels: &[Channel], zero_point: i32) -> Option<Vec<u32>> {
    let (lanes, depth) = (layout.lanes(), channels.first()?.filter.len());
    let scales = lanes * layout.scale_words();
    let mut record = vec![0_u32; layout.record_words(depth).checked_sub(scales)?];
    let bytes = record.len() * 4 / lanes;
    for (lane, channel) in channels.iter().enumerate() {
        for (k, weight) in channel.filter.iter().enumerate() {
            let at = layout.weight_byte(bytes, lane, k);
            *record.get_mut(at / 4)? |= u32::from(weight.cast_unsigned()) << (at % 4 * 8);
        }
    }
    for lane in 0..lanes {
        // Lanes without a channel have a scale of zero.
        let mut scale = [0, 0, -1, 0];
        if let Some(Channel { filter, bias, multiplier }) = channels.get(lane) {
            let total: i64 = filter.iter().map(|weight| i64::from(*weight)).sum();
            let bias = i32::try_from(i64::from(*bias) - i64::from(zero_point) * total).ok()?;
            scale = [bias, multiplier.mantissa, multiplier.exponent.into(), 0];
        }
        record.extend(&scale.map(i32::cast_unsigned)[..layout.scale_words()]);
    }
    Some(record)
}
