//! Attention and layer normalisation in integers.

use anyhow::{Context, Result, ensure};
use nervelet::kernels::blocked_attention::scratch_words;
use nervelet::kernels::reference::{Factor, MAX_ROW, fraction_bits};
use nervelet::ops::{DataType, OpKind, attention, layer_norm_i16};

use super::movement::matrices;
use super::{Lowering, scale, visible_keys};
use crate::graph::{Data, Node};
use crate::pack::Target;

impl Lowering<'_> {
    /// Scaled dot-product attention; `factor` multiplies the scores.
    pub(super) fn attention(
        &mut self,
        node: &Node,
        factor: f32,
        [transpose_keys, transpose_values]: [bool; 2],
        visible: Option<usize>,
    ) -> Result<()> {
        let masked = visible.is_some() || node.inputs.len() > 3;
        let data_type = self.data_type(node, 3)?;
        let kind = match (data_type, masked) {
            (DataType::Int8, false) => OpKind::AttentionInt8,
            (DataType::Int8, true) => OpKind::MaskedAttentionInt8,
            (DataType::Int16, false) => OpKind::AttentionInt16,
            (DataType::Int16, true) => OpKind::MaskedAttentionInt16,
            (other, _) => anyhow::bail!("has no kernel for {other:?}"),
        };
        let [q, k, v] = [self.input(node, 0)?, self.input(node, 1)?, self.input(node, 2)?];
        let scores = matrices(&q.shape, &k.shape, false, transpose_keys)?;
        let mut probabilities = q.shape.clone();
        *probabilities.last_mut().context("queries have no axis")? = scores.columns as usize;
        let context = matrices(&probabilities, &v.shape, false, transpose_values)?;
        let (score, value) = (f64::from(scale(q)?.scale) * f64::from(scale(k)?.scale), f64::from(scale(v)?.scale));
        // Products of 16-bit codes need 30 bits, and their sums some more.
        let sum_bits = scores.depth.next_power_of_two().trailing_zeros() as u8;
        let score_shift = if data_type == DataType::Int16 { sum_bits } else { sum_bits.saturating_sub(14) };
        let powers = score * f64::from(factor) * f64::from(score_shift).exp2() * std::f64::consts::LOG2_E * 4096.0;
        let output = value / 32_768.0 / f64::from(scale(self.output(node)?)?.scale);
        let parameters = attention::Parameters {
            scores,
            context,
            score_shift,
            exponent: Factor::from_real(powers),
            output: Factor::from_real(output),
        };
        if masked {
            let parameters = attention::MaskedParameters { attention: parameters, visible: visible_keys(visible)? };
            self.step(node, kind, node.inputs.len(), &parameters)?;
        } else {
            self.step(node, kind, 3, &parameters)?;
        }
        let most = scratch_words(&scores, &context) * size_of::<i32>();
        // A row of scores is enough, but slow: who names a core wants it fast.
        let least = if self.target == Target::Any { scores.columns as usize * size_of::<i32>() } else { most };
        let step = self.program.steps.last_mut().context("there is no step")?;
        (step.scratch_bytes, step.most_scratch_bytes) = (least, most);
        Ok(())
    }

    /// A normalisation of int16 rows; without `centred` by their root mean square.
    pub(super) fn int16_norm(&mut self, node: &Node, epsilon: f32, centred: bool) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        ensure!(self.data_type(node, 1)? == DataType::Int16, "has no kernel for {:?}", output.data_type);
        let length = input.shape.last().copied().unwrap_or(0);
        ensure!((2..=MAX_ROW).contains(&length), "takes rows of 2 to {MAX_ROW} values, not {length}");
        let (unit, output_unit) = (f64::from(scale(input)?.scale), f64::from(scale(output)?.scale));
        let reals = |position: usize| -> Result<Vec<f64>> {
            let Some(id) = node.inputs.get(position) else { return Ok(vec![0.0; length]) };
            let tensor = self.graph.tensor(*id);
            let values = tensor.float_data().with_context(|| format!("{} is not a constant", tensor.name))?;
            ensure!(values.len() == length, "{} has {} values for rows of {length}", tensor.name, values.len());
            Ok(values.iter().map(|value| f64::from(*value) / output_unit).collect())
        };
        let (gamma, beta) = (reals(1)?, reals(2)?);
        let largest = |values: &[f64]| values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        // As many bits as both constants have room for.
        let fraction = fraction_bits(length);
        let fits = |bits: &i32| {
            let shift = f64::from(*bits + fraction as i32).exp2();
            let room =
                largest(&gamma) * f64::from(*bits).exp2() <= 32_767.0 && largest(&beta) * shift < 2.0_f64.powi(30);
            room && (1..=31).contains(&(*bits + fraction as i32))
        };
        let bits =
            (1 - fraction as i32..=31).rev().find(fits).context("the factors are too large for the output's scale")?;
        let shift = bits + fraction as i32;
        let gamma: Vec<i16> = gamma.iter().map(|gamma| (gamma * f64::from(bits).exp2()).round() as i16).collect();
        let beta: Vec<i32> = beta.iter().map(|beta| (beta * f64::from(shift).exp2()).round() as i32).collect();
        let length = length as f64;
        let parameters = layer_norm_i16::Parameters {
            gamma: self.program.constant(&Data::Int16(gamma).to_bytes())?,
            beta: self.program.constant(&Data::Int32(beta).to_bytes())?,
            epsilon: (f64::from(epsilon) * length * length / (unit * unit)).round() as u64,
            shift: shift as u8,
            centred,
        };
        self.step(node, OpKind::LayerNormInt16, 1, &parameters)
    }
}
