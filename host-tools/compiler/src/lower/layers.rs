//! Layers with weights, pools and means.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::Multiplier;
use nervelet::ops::{DataType, FloatLayer, OpKind, QuantizedLayer};
use nervelet::ops::{conv_2d, depthwise_conv_2d, fully_connected, mean, pool_2d};

use super::{Lowering, code_range, real_range, scale, window_parameters};
use crate::graph::{Activation, Data, Node, Quantization, Tensor, Window};

impl Lowering<'_> {
    pub(super) fn conv_2d(
        &mut self,
        node: &Node,
        window: &Window,
        groups: usize,
        activation: Activation,
    ) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::Conv2dInt8, OpKind::Conv2dFloat32)?;
        let weights = self.input(node, 1)?;
        let channels = weights.shape.first().copied().unwrap_or(0);
        let (window, groups) = (window_parameters(window)?, u16::try_from(groups)?);
        if kind == OpKind::Conv2dInt8 {
            let layer = self.quantized_layer(node, channels, activation, exact_product)?;
            self.step(node, kind, 1, &conv_2d::Parameters { window, groups, layer })
        } else {
            let layer = self.float_layer(node, activation)?;
            self.step(node, kind, 1, &conv_2d::Parameters { window, groups, layer })
        }
    }

    pub(super) fn depthwise_conv_2d(&mut self, node: &Node, window: &Window, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::DepthwiseConv2dInt8, OpKind::DepthwiseConv2dFloat32)?;
        let channels = self.input(node, 1)?.shape.last().copied().unwrap_or(0);
        let window = window_parameters(window)?;
        if kind == OpKind::DepthwiseConv2dInt8 {
            let layer = self.quantized_layer(node, channels, activation, exact_product)?;
            self.step(node, kind, 1, &depthwise_conv_2d::Parameters { window, layer })
        } else {
            let layer = self.float_layer(node, activation)?;
            self.step(node, kind, 1, &depthwise_conv_2d::Parameters { window, layer })
        }
    }

    pub(super) fn fully_connected(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::FullyConnectedInt8, OpKind::FullyConnectedFloat32)?;
        let weights = self.input(node, 1)?;
        let [channels, depth] = weights.shape[..] else { bail!("weights {:?} are not [out, in]", weights.shape) };
        let depth = u32::try_from(depth)?;
        if kind == OpKind::FullyConnectedInt8 {
            // With one scale for all outputs the reference rounds the product of the scales to f32 first.
            let per_tensor = weights.quantization.as_ref().is_some_and(|quantization| quantization.scales.len() == 1);
            let product = if per_tensor { rounded_product } else { exact_product };
            let layer = self.quantized_layer(node, channels, activation, product)?;
            self.step(node, kind, 1, &fully_connected::Parameters { depth, layer })
        } else {
            let layer = self.float_layer(node, activation)?;
            self.step(node, kind, 1, &fully_connected::Parameters { depth, layer })
        }
    }

    fn quantized_layer(
        &mut self,
        node: &Node,
        channels: usize,
        activation: Activation,
        product: fn(f32, f32) -> f64,
    ) -> Result<QuantizedLayer> {
        let (input, weights, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        let (input_scale, output_scale) = (scale(input)?, scale(output)?);
        let Some(Data::Int8(_)) = &weights.data else { bail!("{} is not a constant of int8", weights.name) };
        let scales = weight_scales(weights, channels)?;
        let multipliers: Vec<Multiplier> = scales
            .iter()
            .map(|weight| Multiplier::from_real(product(input_scale.scale, *weight) / f64::from(output_scale.scale)))
            .collect();
        let bias = match node.inputs.get(2).map(|id| self.graph.tensor(*id)) {
            None => vec![0; channels],
            Some(Tensor { data: Some(Data::Int32(bias)), .. }) if bias.len() == channels => bias.clone(),
            Some(bias) => bail!("{} is not a constant of {channels} int32", bias.name),
        };
        let range = code_range(activation, output)?;
        let weights = weights.data.as_ref().map(Data::to_bytes).unwrap_or_default();
        let mantissas = Data::Int32(multipliers.iter().map(|multiplier| multiplier.mantissa).collect());
        let exponents = Data::Int8(multipliers.iter().map(|multiplier| multiplier.exponent).collect());
        Ok(QuantizedLayer {
            weights: self.program.constant(&weights)?,
            packing: 0,
            bias: self.program.constant(&Data::Int32(bias).to_bytes())?,
            mantissas: self.program.constant(&mantissas.to_bytes())?,
            exponents: self.program.constant(&exponents.to_bytes())?,
            range,
        })
    }

    fn float_layer(&mut self, node: &Node, activation: Activation) -> Result<FloatLayer> {
        let constant = |tensor: &Tensor| -> Result<Vec<u8>> {
            tensor.float_data().with_context(|| format!("{} is not a constant of f32", tensor.name))?;
            Ok(tensor.data.as_ref().map(Data::to_bytes).unwrap_or_default())
        };
        let weights = constant(self.input(node, 1)?)?;
        let bias = node.inputs.get(2).map(|id| constant(self.graph.tensor(*id))).transpose()?.unwrap_or_default();
        Ok(FloatLayer {
            weights: self.program.constant(&weights)?,
            bias: self.program.constant(&bias)?,
            range: real_range(activation),
        })
    }

    pub(super) fn pool_2d(
        &mut self,
        node: &Node,
        window: &Window,
        activation: Activation,
        int8: OpKind,
        float32: OpKind,
    ) -> Result<()> {
        let kind = self.by_type(node, 1, int8, float32)?;
        let window = window_parameters(window)?;
        if kind == int8 {
            let (input, output) = (self.input(node, 0)?, self.output(node)?);
            ensure!(input.quantization == output.quantization, "input and output have different scales");
            let range = code_range(activation, output)?;
            self.step(node, kind, 1, &pool_2d::Parameters { window, range })
        } else {
            self.step(node, kind, 1, &pool_2d::Parameters { window, range: real_range(activation) })
        }
    }

    pub(super) fn mean(&mut self, node: &Node, axes: &[usize]) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::MeanInt8, OpKind::MeanFloat32)?;
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        let wide = |axis: &usize| input.shape.get(*axis).is_some_and(|extent| *extent > 1);
        let mut axes: Vec<usize> = axes.iter().copied().filter(|axis| wide(axis)).collect();
        axes.sort_unstable();
        axes.dedup();
        let (first, last) = (axes.first().copied().unwrap_or(0), axes.last().copied().unwrap_or(0));
        let neighbours = (first..=last).all(|axis| axes.is_empty() || axes.contains(&axis) || !wide(&axis));
        ensure!(neighbours, "the axes {axes:?} of {:?} are not neighbours", input.shape);
        let count = axes.iter().map(|axis| input.shape[*axis]).product::<usize>();
        let channels = input.shape.iter().skip(if axes.is_empty() { 0 } else { last + 1 }).product::<usize>();
        let (count, channels) = (u32::try_from(count)?, u32::try_from(channels)?);
        let parameters = if output.data_type == DataType::Int8 {
            mean::Parameters::codes(count, channels, scale(input)?.scale, scale(output)?.scale)
        } else {
            mean::Parameters { count, channels, mantissa: 0, exponent: 0 }
        };
        self.step(node, kind, 1, &parameters)
    }
}

/// The scale of each output channel's weights.
pub(super) fn weight_scales(weights: &Tensor, channels: usize) -> Result<Vec<f32>> {
    let Quantization { scales, zero_points, .. } =
        weights.quantization.as_ref().with_context(|| format!("{} is not quantized", weights.name))?;
    ensure!(zero_points.iter().all(|zero_point| *zero_point == 0), "{}: weights have a zero point", weights.name);
    ensure!(scales.iter().all(|scale| scale.is_finite() && *scale >= 0.0), "{}: a scale is negative", weights.name);
    match scales.len() {
        1 => Ok(vec![scales[0]; channels]),
        count if count == channels => Ok(scales.clone()),
        count => bail!("{}: {count} scales for {channels} channels", weights.name),
    }
}

fn exact_product(input: f32, weight: f32) -> f64 {
    f64::from(input) * f64::from(weight)
}

fn rounded_product(input: f32, weight: f32) -> f64 {
    f64::from(input * weight)
}
