//! Records for Cortex-M4, M7 and M33: see [`Layout`].

use nervelet::fixed::Multiplier;
use nervelet::kernels::packing::armv7em::{COLUMN_PAIRS, Layout};
use nervelet::kernels::packing::{self, Records, padded_image_words, staging_words};
use nervelet::kernels::scaling::{Scaling, Sums};

use super::{Channel, Choice, Shape};

/// Outputs that don't pay for bringing the inputs of a dense layer into another form, and have few weights.
pub(super) const FEW_OUTPUTS: usize = 4;

/// What convolutions may have, by their pixels.
const CONVOLUTION: &[Layout] = &[Layout::SharedPixels, Layout::SharedRowPairs, Layout::RowPairs];

/// The layouts for a layer, the fastest first; dense layers of up to so many outputs get weights of 16 bits.
pub(super) fn choose(shape: &Shape, most_wide: usize) -> Vec<Choice> {
    let Shape { window, channels: [inputs, outputs], depthwise } = *shape;
    let [rows, columns] = window.kernel;
    // Short columns don't pay for their packing.
    let by_columns = Layout::DepthwiseColumns.computes(&window) && window.output[0] >= 8;
    let wide = Layout::WideQuads.computes(&window) && outputs <= most_wide;
    let layouts: &[Layout] = match depthwise {
        false if wide && outputs == 1 => &[Layout::WideRow],
        false if wide && outputs == 2 => &[Layout::WidePair, Layout::SharedPixels],
        false if wide && outputs == 3 => &[Layout::WideTriple, Layout::SharedPixels],
        false if wide => &[Layout::WideQuads, Layout::SharedPixels],
        false => CONVOLUTION,
        true if inputs == 1 && outputs > 1 => CONVOLUTION,
        true if inputs == outputs && by_columns => &[Layout::DepthwiseColumns],
        true if inputs == outputs => &[Layout::DepthwiseQuads],
        true => &[],
    };
    let choice = |layout: &Layout| {
        let most_scratch = match layout {
            // All pixels at once, and a record's weights widened.
            Layout::SharedRowPairs | Layout::RowPairs => {
                let filter = layout.filter(rows, columns * inputs);
                let padded = padded_image_words(&window, inputs);
                let staging = staging_words(&window, &filter);
                let pixels: usize = window.output.iter().product();
                4 * (padded + staging + filter.depth + 14 + pixels.div_ceil(4) * (2 * filter.depth + 1))
            }
            // All columns at once.
            Layout::DepthwiseColumns => 4 * (window.output[1] + 2) * 4 * COLUMN_PAIRS,
            _ => 4 * layout.scratch_words(&window, inputs),
        };
        Choice { layout: packing::Layout::Armv7em(*layout), most_scratch }
    };
    layouts.iter().map(choice).collect()
}

/// One record of channels, unless the layout can't hold them.
pub(super) fn record(layout: Layout, lanes: &[Channel], zero_points: [i32; 2]) -> Option<Vec<u32>> {
    let mut words = Vec::new();
    let lanes: Vec<Channel> = match layout.sums() {
        Sums::Plain => lanes.to_vec(),
        Sums::Shifted => lanes.iter().map(|channel| with_smaller_sums(channel, zero_points[0])).collect(),
    };
    for channel in &lanes {
        words.push(bias(layout, channel, zero_points[0])?);
    }
    let filters: Vec<&[i8]> = lanes.iter().map(|channel| &channel.filter[..]).collect();
    words.extend(interleave(layout, &filters));
    for channel in &lanes {
        words.extend(Scaling::new(channel.multiplier, zero_points[1], layout.sums())?.words());
    }
    Some(words)
}

/// Training all but switches some channels off: a scale next to nothing, and a bias far beyond 24 bits. Where all their
/// sums give one of two neighbouring codes, only the sum from which on it is the second one counts. Another bias and
/// another factor put that at the same inputs.
fn with_smaller_sums(channel: &Channel, zero_point: i32) -> Channel {
    let smaller = || {
        let [low, high] = channel.sums(zero_point);
        let fits = low >= -LARGEST && high < LARGEST && channel.right_shift() <= MOST_RIGHT;
        let (first, last) = (i32::try_from(low).ok()?, i32::try_from(high).ok()?);
        let code = |sum: i32| channel.multiplier.apply(sum);
        if fits || channel.right_shift() < 0 || code(last).checked_sub(code(first)) != Some(1) {
            return None;
        }
        // The first sum with the second code: the factor is positive, so that codes never fall.
        let (mut below, mut from) = (low, high);
        while from - below > 1 {
            let middle = below + (from - below) / 2;
            let second = code(i32::try_from(middle).ok()?) == code(last);
            *(if second { &mut from } else { &mut below }) = middle;
        }
        // The larger the sums, the less of a code is between them.
        let edge = f64::from(code(first)) + 0.5;
        let moved = if edge > 0.0 { LARGEST - 1 - high } else { -LARGEST - low };
        // The first rounding brings sums half a unit closer to the edge.
        let half = (-f64::from(MOST_RIGHT) - 1.0).exp2() * -edge.signum();
        let factor = (edge + half) / ((from + moved) as f64 - 0.5);
        let mantissa = (factor * f64::from(31 + MOST_RIGHT).exp2()).round();
        let usable = mantissa > 0.0 && mantissa < 2.0_f64.powi(31);
        let multiplier = Multiplier { mantissa: usable.then_some(mantissa as i32)?, exponent: -MOST_RIGHT as i8 };
        let same = [low, below, from, high].iter().all(|sum| {
            let [sum, moved] = [*sum, *sum + moved].map(i32::try_from);
            matches!((sum, moved), (Ok(sum), Ok(moved)) if multiplier.apply(moved) == code(sum))
        });
        let bias = i32::try_from(i64::from(channel.bias) + moved).ok()?;
        same.then(|| Channel { filter: channel.filter.clone(), bias, multiplier })
    };
    smaller().unwrap_or_else(|| channel.clone())
}

/// Sums below fit 24 bits.
const LARGEST: i64 = 1 << 23;
/// The largest right shift that a scale takes with any zero point.
const MOST_RIGHT: i32 = 16;

/// The bias for a layout, unless a sum could leave 24 bits or two weights don't fit a halfword.
fn bias(layout: Layout, channel: &Channel, zero_point: i32) -> Option<u32> {
    if layout.sums() == Sums::Plain {
        return Some(channel.bias as u32);
    }
    let [low, high] = channel.sums(zero_point);
    // Where the multiplier shifts left, what it shifts has to fit as well.
    let largest = LARGEST >> channel.multiplier.exponent.max(0);
    let total = |first: usize| channel.filter.iter().skip(first).map(|weight| i64::from(*weight));
    let mut bias = 256 * i64::from(channel.bias);
    let mut fits = low >= -largest && high < largest;
    if !layout.form().is_depthwise() {
        bias -= 256 * i64::from(zero_point) * total(0).sum::<i64>();
    }
    if matches!(layout, Layout::SharedRowPairs | Layout::SharedPixels) {
        bias -= 127 * total(1).step_by(2).sum::<i64>();
        fits &= channel.filter.chunks_exact(2).all(|pair| i16::try_from(shared(pair[0], pair[1])).is_ok());
    }
    fits.then_some(bias as u32)
}

/// Two weights as one factor.
fn shared(even: i8, odd: i8) -> i32 {
    256 * i32::from(even) + i32::from(odd)
}

/// The weights of one record in the order of its layout.
fn interleave(layout: Layout, filters: &[&[i8]]) -> Vec<u32> {
    let depth = filters[0].len();
    match layout {
        Layout::SharedRowPairs | Layout::SharedPixels => (0..depth)
            .step_by(4)
            .flat_map(|k| {
                filters.iter().map(move |filter| {
                    let half = |k: usize| shared(filter[k], filter[k + 1]) as u16;
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
        Layout::WideRow | Layout::WidePair | Layout::WideTriple | Layout::WideQuads => (0..depth)
            .step_by(4)
            .flat_map(|k| [k, k + 1])
            .flat_map(|k| {
                filters.iter().map(move |filter| {
                    let [first, second] = [k, k + 2].map(|k| u32::from(filter[k] as u8));
                    first << 8 | second << 24
                })
            })
            .collect(),
        Layout::DepthwiseQuads => (0..depth)
            .step_by(2)
            .flat_map(|k| {
                filters.iter().map(move |filter| {
                    let [first, second] = [k, k + 1].map(|k| u32::from(filter[k] as u8));
                    first << 8 | second << 24
                })
            })
            .collect(),
        Layout::DepthwiseColumns => {
            let pair = |filter: &[i8], at: [usize; 2]| {
                let [first, second] = at.map(|k| u32::from(filter[k] as u8));
                first << 8 | second << 24
            };
            let column = |filter: &[i8], k: usize| [pair(filter, [k, k + 3]), pair(filter, [k + 3, k + 6])];
            filters.iter().flat_map(|filter| [0, 1, 2].map(|k| column(filter, k))).flatten().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_codes_of_large_sums_stay_at_their_inputs() {
        let factor = |exponent| Multiplier { mantissa: 1_565_063_334, exponent };
        // 18.5, -18.5, 0.5 and -0.5 steps of the factor lie between the smallest and the largest sum.
        for (bias, exponent) in [(26_571_660, -20), (-26_571_660, -20), (740_000, -20), (-740_000, -20), (26_573, -17)]
        {
            let filter = vec![127, 95, 9, -69, -114, -86, -26, -63, 24, 0];
            let channel = Channel { filter, bias, multiplier: factor(exponent) };
            let smaller = with_smaller_sums(&channel, -128);
            let ([low, high], [moved, last]) = (channel.sums(-128), smaller.sums(-128));
            let codes = [low, high].map(|sum| channel.multiplier.apply(sum as i32));
            assert_eq!(codes[1] - codes[0], 1);
            assert_ne!(smaller.bias, bias);
            assert!(moved >= -LARGEST && last < LARGEST && smaller.right_shift() <= MOST_RIGHT);
            for sum in low..=high {
                let same = smaller.multiplier.apply((sum - low + moved) as i32);
                assert_eq!(same, channel.multiplier.apply(sum as i32), "{bias} {sum}");
            }
            assert!(record(Layout::DepthwiseQuads, &vec![channel.clone(); 4], [-128; 2]).is_some());
        }
    }
}
