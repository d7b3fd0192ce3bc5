//! Per-channel scaling with statistics of the training split, which the device repeats.

use serde::{Deserialize, Serialize};

/// `(value - mean) * scale` for each channel.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Normalization {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Inverse of each channel's standard deviation.
    pub scale: Vec<f32>,
}

impl Normalization {
    /// Measures the channels of the given rows, whose channels lie innermost. A channel that never changes is only
    /// shifted.
    pub fn measure<'v>(rows: impl Iterator<Item = &'v [f32]> + Clone, channels: usize) -> Self {
        let mut sum = vec![0f64; channels];
        let mut square = vec![0f64; channels];
        let samples = || rows.clone().flat_map(|row| row.chunks_exact(channels));
        let count = samples().count().max(1) as f64;
        for sample in samples() {
            for (sum, &value) in sum.iter_mut().zip(sample) {
                *sum += f64::from(value);
            }
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
        for sample in samples() {
            for ((square, &value), mean) in square.iter_mut().zip(sample).zip(&mean) {
                *square += (f64::from(value) - mean).powi(2);
            }
        }
        let scale = square.iter().map(|square| {
            let deviation = (square / count).sqrt();
            if deviation > 1e-12 { (1.0 / deviation) as f32 } else { 1.0 }
        });
        Self { scale: scale.collect(), mean: mean.iter().map(|&mean| mean as f32).collect() }
    }

    /// Leaves values as they are.
    pub fn identity(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], scale: vec![1.0; channels] }
    }

    /// What [`Self::apply`] makes of values, back in their own units.
    pub fn undo(&self, values: &[f32]) -> Vec<f32> {
        let channels = self.mean.iter().zip(&self.scale).cycle();
        values.iter().zip(channels).map(|(value, (mean, scale))| value / scale + mean).collect()
    }

    /// Scales values whose channels lie innermost.
    pub fn apply(&self, values: &[f32]) -> Vec<f32> {
        let mut out = values.to_vec();
        for sample in out.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, mean), scale) in sample.iter_mut().zip(&self.mean).zip(&self.scale) {
                *value = (*value - mean) * scale;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_rows_come_out_with_zero_mean_and_unit_variance() {
        let values = [1.0, 10.0, 3.0, 30.0, 5.0, 50.0, 7.0, 70.0, 1000.0, 1000.0];
        let normalization = Normalization::measure(values[..8].chunks(2), 2);
        assert_eq!(normalization.mean, [4.0, 40.0]);
        let scaled = normalization.apply(&values[..8]);
        for channel in 0..2 {
            let column: Vec<f32> = scaled.iter().skip(channel).step_by(2).copied().collect();
            assert!(column.iter().sum::<f32>().abs() < 1e-6);
            assert!((column.iter().map(|value| value * value).sum::<f32>() / 4.0 - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_constant_channel_is_only_shifted() {
        let normalization = Normalization::measure([2.0, 2.0, 2.0].chunks(1), 1);
        assert_eq!(normalization.apply(&[2.0, 3.0]), [0.0, 1.0]);
    }
}
