//! Layers with weights, and pools.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::Multiplier;
use nervelet::kernels;
use nervelet::ops::in_place;
use nervelet::ops::packed_layer::{self, PackedWeights};
use nervelet::ops::{DataType, FloatLayer, OpKind, QuantizedLayer, Span, WideLayer, WindowParameters};
use nervelet::ops::{conv_2d, depthwise_conv_2d, fully_connected, pool_2d, transpose_conv_2d};

use super::{Lowering, code_range, real_range, record, scale, window_parameters};
use crate::graph::{Activation, Data, Node, Quantization, Tensor, Window};
use crate::pack::{Shape, pack};
use crate::program::InPlace;

/// Packed weights with the least and the most scratch memory of their kernel.
struct Packed {
    weights: PackedWeights,
    /// The operator, if the layer has a window.
    kind: OpKind,
    scratch: [usize; 2],
    in_place: Option<InPlace>,
}

impl Lowering<'_> {
    pub(super) fn conv_2d(
        &mut self,
        node: &Node,
        window: &Window,
        groups: usize,
        activation: Activation,
    ) -> Result<()> {
        let kind = self.by_type(node, 1, [OpKind::Conv2dInt8, OpKind::Conv2dInt16, OpKind::Conv2dFloat32])?;
        let channels = self.input(node, 1)?.shape.first().copied().unwrap_or(0);
        let (window, groups) = (window_parameters(window)?, u16::try_from(groups)?);
        match kind {
            OpKind::Conv2dInt8 => {
                let shape = if groups == 1 { self.shape(node, &window, false)? } else { None };
                if let Some(packed) = self.packed(node, shape, channels, activation, exact_product)? {
                    return match shape {
                        Some(Shape { window, channels: [depth, _], .. }) if window == kernels::Window::pixel() => {
                            self.packed_row(node, u32::try_from(depth)?, &packed)
                        }
                        _ => self.packed_window(node, window, &packed),
                    };
                }
                let layer = self.quantized_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &conv_2d::Parameters { window, groups, layer })
            }
            OpKind::Conv2dInt16 => {
                let layer = self.wide_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &conv_2d::Parameters { window, groups, layer })
            }
            _ => {
                let layer = self.float_layer(node, activation)?;
                self.step(node, kind, 1, &conv_2d::Parameters { window, groups, layer })
            }
        }
    }

    pub(super) fn depthwise_conv_2d(&mut self, node: &Node, window: &Window, activation: Activation) -> Result<()> {
        let kinds = [OpKind::DepthwiseConv2dInt8, OpKind::DepthwiseConv2dInt16, OpKind::DepthwiseConv2dFloat32];
        let kind = self.by_type(node, 1, kinds)?;
        let channels = self.input(node, 1)?.shape.last().copied().unwrap_or(0);
        let window = window_parameters(window)?;
        match kind {
            OpKind::DepthwiseConv2dInt8 => {
                // A single input channel with many filters is an ordinary convolution.
                let inputs = self.input(node, 0)?.shape.last().copied().unwrap_or(0);
                let depthwise = inputs == channels;
                let shape = if depthwise || inputs == 1 { self.shape(node, &window, true)? } else { None };
                if let Some(packed) = self.packed(node, shape, channels, activation, exact_product)? {
                    return self.packed_window(node, window, &packed);
                }
                let layer = self.quantized_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &depthwise_conv_2d::Parameters { window, layer })
            }
            OpKind::DepthwiseConv2dInt16 => {
                let layer = self.wide_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &depthwise_conv_2d::Parameters { window, layer })
            }
            _ => {
                let layer = self.float_layer(node, activation)?;
                self.step(node, kind, 1, &depthwise_conv_2d::Parameters { window, layer })
            }
        }
    }

    pub(super) fn transpose_conv_2d(&mut self, node: &Node, window: &Window, activation: Activation) -> Result<()> {
        let kinds = [OpKind::TransposeConv2dInt8, OpKind::TransposeConv2dInt16, OpKind::TransposeConv2dFloat32];
        let kind = self.by_type(node, 1, kinds)?;
        let channels = self.input(node, 1)?.shape.first().copied().unwrap_or(0);
        let window = window_parameters(window)?;
        match kind {
            OpKind::TransposeConv2dInt8 => {
                let layer = self.quantized_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &transpose_conv_2d::Parameters { window, layer })
            }
            OpKind::TransposeConv2dInt16 => {
                let layer = self.wide_layer(node, channels, activation, exact_product)?;
                self.step(node, kind, 1, &transpose_conv_2d::Parameters { window, layer })
            }
            _ => {
                let layer = self.float_layer(node, activation)?;
                self.step(node, kind, 1, &transpose_conv_2d::Parameters { window, layer })
            }
        }
    }

    pub(super) fn fully_connected(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kinds = [OpKind::FullyConnectedInt8, OpKind::FullyConnectedInt16, OpKind::FullyConnectedFloat32];
        let kind = self.by_type(node, 1, kinds)?;
        let weights = self.input(node, 1)?;
        let [channels, depth] = weights.shape[..] else { bail!("weights {:?} are not [out, in]", weights.shape) };
        let depth = u32::try_from(depth)?;
        // With one scale for all outputs the reference rounds the product of the scales to f32 first.
        let per_tensor = weights.quantization.as_ref().is_some_and(|quantization| quantization.scales.len() == 1);
        let product = if per_tensor { rounded_product } else { exact_product };
        match kind {
            OpKind::FullyConnectedInt8 => {
                // The rows of the input are pixels.
                let image = [1, self.output(node)?.elements() / channels.max(1)];
                let window = kernels::Window { input: image, output: image, ..kernels::Window::pixel() };
                let shape = Shape { window, channels: [depth as usize, channels], depthwise: false };
                if let Some(packed) = self.packed(node, Some(shape), channels, activation, product)? {
                    if image[1] > 1 {
                        return self.packed_rows(node, [image[1], depth as usize, channels], &packed);
                    }
                    return self.packed_row(node, depth, &packed);
                }
                let layer = self.quantized_layer(node, channels, activation, product)?;
                self.step(node, kind, 1, &fully_connected::Parameters { depth, layer })
            }
            OpKind::FullyConnectedInt16 => {
                let layer = self.wide_layer(node, channels, activation, product)?;
                self.step(node, kind, 1, &fully_connected::Parameters { depth, layer })
            }
            _ => {
                let layer = self.float_layer(node, activation)?;
                self.step(node, kind, 1, &fully_connected::Parameters { depth, layer })
            }
        }
    }

    fn quantized_layer(
        &mut self,
        node: &Node,
        channels: usize,
        activation: Activation,
        product: fn(f32, f32) -> f64,
    ) -> Result<QuantizedLayer> {
        let multipliers = self.multipliers(node, channels, product)?;
        let bias = self.bias(node, channels)?;
        Ok(QuantizedLayer {
            weights: self.int8_weights(node)?,
            bias: self.program.constant(&Data::Int32(bias).to_bytes())?,
            mantissas: self.mantissas(&multipliers)?,
            exponents: self.exponents(&multipliers)?,
            range: code_range(activation, self.output(node)?)?,
        })
    }

    /// The int32 biases of a layer.
    fn bias(&self, node: &Node, channels: usize) -> Result<Vec<i32>> {
        match node.inputs.get(2).map(|id| self.graph.tensor(*id)) {
            None => Ok(vec![0; channels]),
            Some(Tensor { data: Some(Data::Int32(bias)), .. }) if bias.len() == channels => Ok(bias.clone()),
            Some(bias) => bail!("{} is not a constant of {channels} int32", bias.name),
        }
    }

    /// The geometry of a layer between two images, for packing.
    fn shape(&self, node: &Node, window: &WindowParameters, depthwise: bool) -> Result<Option<Shape>> {
        let records = [record(self.input(node, 0)?)?, record(self.output(node)?)?];
        let over = window.over(&records[0], &records[1]);
        Ok(over.ok().map(|(window, channels)| Shape { window, channels, depthwise }))
    }

    /// A layer packed for the target; `None` where no packing fits it.
    fn packed(
        &mut self,
        node: &Node,
        shape: Option<Shape>,
        channels: usize,
        activation: Activation,
        product: fn(f32, f32) -> f64,
    ) -> Result<Option<Packed>> {
        let [input, weights] = [self.input(node, 0)?, self.input(node, 1)?];
        let packed = match (shape, &weights.data) {
            (Some(shape), Some(Data::Int8(weights))) if input.data.is_none() => {
                let (bias, multipliers) = (self.bias(node, channels)?, self.multipliers(node, channels, product)?);
                let zero_points = [scale(self.input(node, 0)?)?.zero_point, scale(self.output(node)?)?.zero_point];
                pack(self.target, &shape, weights, &bias, &multipliers, zero_points)
            }
            _ => None,
        };
        let Some(packed) = packed else { return Ok(None) };
        self.program.packed = true;
        let words: Vec<u8> = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let weights = PackedWeights {
            words: self.program.constant(&words)?,
            packing: packed.packing.number().into(),
            range: code_range::<i8>(activation, self.output(node)?)?.map(i32::from),
        };
        let form = packed.packing.layout.form();
        let in_place = in_place::kind(form).zip(packed.in_place_scratch);
        Ok(Some(Packed {
            weights,
            kind: packed_layer::kind(form),
            scratch: [packed.least_scratch, packed.most_scratch],
            in_place: in_place.map(|(kind, scratch_bytes)| InPlace { kind, scratch_bytes }),
        }))
    }

    /// A packed dense layer of one row.
    fn packed_row(&mut self, node: &Node, depth: u32, packed: &Packed) -> Result<()> {
        let kind = match packed.kind {
            OpKind::Conv2dPacked | OpKind::Conv2dPixelsPacked => OpKind::FullyConnectedPacked,
            kind => kind,
        };
        self.step(node, kind, 1, &packed_layer::DenseParameters { depth, weights: packed.weights })?;
        self.give_scratch(packed)
    }

    /// A packed dense layer of many rows: a convolution over an image of one row, which is another view of its tensors.
    fn packed_rows(&mut self, node: &Node, [rows, depth, outputs]: [usize; 3], packed: &Packed) -> Result<()> {
        let window = WindowParameters { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: [0; 2] };
        let input = self.view(node.inputs[0], &[1, 1, rows, depth])?;
        let output = self.view(node.outputs[0], &[1, 1, rows, outputs])?;
        let parameters = packed_layer::Parameters { window, weights: packed.weights };
        self.program.step(packed.kind, &node.name, vec![input], vec![output], &parameters)?;
        self.may_be_in_place(packed)?;
        self.give_scratch(packed)
    }

    /// A packed layer with a window.
    fn packed_window(&mut self, node: &Node, window: WindowParameters, packed: &Packed) -> Result<()> {
        self.step(node, packed.kind, 1, &packed_layer::Parameters { window, weights: packed.weights })?;
        self.may_be_in_place(packed)?;
        self.give_scratch(packed)
    }

    /// Tells of the operator that does the last step in place.
    fn may_be_in_place(&mut self, layer: &Packed) -> Result<()> {
        self.program.steps.last_mut().context("there is no step")?.in_place = layer.in_place;
        Ok(())
    }

    /// Asks for the working memory of the layer that was the last step.
    fn give_scratch(&mut self, layer: &Packed) -> Result<()> {
        let step = self.program.steps.last_mut().context("there is no step")?;
        [step.scratch_bytes, step.most_scratch_bytes] = layer.scratch;
        Ok(())
    }

    /// The parts of a layer on int16.
    fn wide_layer(
        &mut self,
        node: &Node,
        channels: usize,
        activation: Activation,
        product: fn(f32, f32) -> f64,
    ) -> Result<WideLayer> {
        let multipliers = self.multipliers(node, channels, product)?;
        let bias = match node.inputs.get(2).map(|id| self.graph.tensor(*id)) {
            None => Vec::new(),
            Some(Tensor { data: Some(Data::Int64(bias)), .. }) if bias.len() == channels => bias.clone(),
            Some(Tensor { data: Some(Data::Int32(bias)), .. }) if bias.len() == channels => {
                bias.iter().map(|bias| i64::from(*bias)).collect()
            }
            Some(bias) => bail!("{} is not a constant of {channels} int64", bias.name),
        };
        Ok(WideLayer {
            weights: self.int8_weights(node)?,
            bias: self.program.constant(&Data::Int64(bias).to_bytes())?,
            mantissas: self.mantissas(&multipliers)?,
            exponents: self.exponents(&multipliers)?,
            range: code_range(activation, self.output(node)?)?,
        })
    }

    /// The factor of each output channel's sums.
    fn multipliers(&self, node: &Node, channels: usize, product: fn(f32, f32) -> f64) -> Result<Vec<Multiplier>> {
        let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
        let scales = weight_scales(self.input(node, 1)?, channels)?;
        let factor = |weight: &f32| Multiplier::from_real(product(input.scale, *weight) / f64::from(output.scale));
        Ok(scales.iter().map(factor).collect())
    }

    pub(super) fn mantissas(&mut self, multipliers: &[Multiplier]) -> Result<Span> {
        let mantissas = multipliers.iter().map(|multiplier| multiplier.mantissa).collect();
        self.program.constant(&Data::Int32(mantissas).to_bytes())
    }

    pub(super) fn exponents(&mut self, multipliers: &[Multiplier]) -> Result<Span> {
        let exponents = multipliers.iter().map(|multiplier| multiplier.exponent).collect();
        self.program.constant(&Data::Int8(exponents).to_bytes())
    }

    fn int8_weights(&mut self, node: &Node) -> Result<Span> {
        let weights = self.input(node, 1)?;
        match &weights.data {
            Some(data @ Data::Int8(_)) => self.program.constant(&data.to_bytes()),
            _ => bail!("{} is not a constant of int8", weights.name),
        }
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

    /// A pool; `kinds` are those for int8, int16 and f32.
    pub(super) fn pool_2d(
        &mut self,
        node: &Node,
        window: &Window,
        activation: Activation,
        kinds: [OpKind; 3],
    ) -> Result<()> {
        let kind = self.by_type(node, 1, kinds)?;
        let window = window_parameters(window)?;
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        ensure!(input.quantization == output.quantization, "input and output have different scales");
        match output.data_type {
            DataType::Int8 => {
                let range = code_range::<i8>(activation, output)?;
                self.step(node, kind, 1, &pool_2d::Parameters { window, range })
            }
            DataType::Int16 => {
                let range = code_range::<i16>(activation, output)?;
                self.step(node, kind, 1, &pool_2d::Parameters { window, range })
            }
            _ => self.step(node, kind, 1, &pool_2d::Parameters { window, range: real_range(activation) }),
        }
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

/// The product of two scales, rounded to f32 first.
pub(super) fn rounded_product(input: f32, weight: f32) -> f64 {
    f64::from(input * weight)
}
