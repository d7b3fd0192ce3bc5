//! Random changes to a training example, so that the network does not count on what varies anyway.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::random::Generator;
use crate::recipe::AugmentationSpec;

/// Changes one normalized example of channel planes, each `height` rows of `width` values, in place.
pub(super) fn augment(
    values: &mut [f32],
    [height, width]: [usize; 2],
    spec: &AugmentationSpec,
    random: &mut Generator,
) {
    let normal = |random: &mut Generator| -> f32 { StandardNormal.sample(random) };
    if spec.time_shift > 0 {
        let most = spec.time_shift.min(width.saturating_sub(1)) as i64;
        let shift = random.random_range(-most..=most);
        for row in values.chunks_exact_mut(width) {
            let last = width as i64 - 1;
            let shifted: Vec<f32> = (0..=last).map(|place| row[(place - shift).clamp(0, last) as usize]).collect();
            row.copy_from_slice(&shifted);
        }
    }
    if spec.scale > 0.0 {
        let factor = (1.0 + spec.scale * normal(random)).max(0.1);
        values.iter_mut().for_each(|value| *value *= factor);
    }
    if spec.offset > 0.0 {
        for plane in values.chunks_exact_mut(height * width) {
            let offset = spec.offset * normal(random);
            plane.iter_mut().for_each(|value| *value += offset);
        }
    }
    if spec.jitter > 0.0 {
        values.iter_mut().for_each(|value| *value += spec.jitter * normal(random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn a_shift_moves_every_plane_alike_and_repeats_the_ends() {
        let spec = AugmentationSpec { time_shift: 2, ..AugmentationSpec::default() };
        let mut seen = std::collections::BTreeSet::new();
        let mut random = stream(1, Purpose::Augmentation);
        for _ in 0..50 {
            let mut values = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0];
            augment(&mut values, [1, 4], &spec, &mut random);
            for (first, second) in values[..4].iter().zip(&values[4..]) {
                assert_eq!(first + 10.0, *second);
            }
            seen.insert(values.map(|value| value as i32));
        }
        assert!(seen.contains(&[0, 0, 0, 1, 10, 10, 10, 11]) && seen.contains(&[2, 3, 3, 3, 12, 13, 13, 13]));
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn jitter_has_the_asked_deviation() {
        let spec = AugmentationSpec { jitter: 0.5, ..AugmentationSpec::default() };
        let mut values = vec![0.0; 20_000];
        augment(&mut values, [1, 20_000], &spec, &mut stream(1, Purpose::Augmentation));
        let variance = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!((variance.sqrt() - 0.5).abs() < 0.02);
    }
}
