//! Layers with weights: convolutions, dense layers, products of matrices and batch norm.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::{Activation, Data, Op, Quantization, TensorId};

use super::array::{Array, Codes, Constant};
use super::file::Operator;
use super::import::{Import, Operand, Value};
use super::view::{Dimension, View};
use super::window::{Image, image, transposed_window, window};

/// The weights of a layer in the order that it wants.
struct Weights<'c> {
    constant: &'c Constant,
    /// The constant's elements in the layer's order.
    view: View,
    /// The layer's shape.
    shape: Vec<usize>,
    /// The axis of that shape with the output channels.
    axis: usize,
}

/// Adds the weights and bias of a layer, in int8 where the layer reads int8 codes of a scale.
fn parameters(
    import: &mut Import<'_>,
    name: &str,
    weights: &Weights<'_>,
    bias: Option<&Constant>,
    input: Option<&Quantization>,
) -> Result<Vec<TensorId>> {
    let channels = weights.shape[weights.axis];
    let Some(input) = input else {
        let array = Array { shape: weights.shape.clone(), ..weights.constant.array.seen(&weights.view) };
        let mut ids = vec![import.add_constant(&format!("{name}.weight"), &array)?];
        if let Some(bias) = bias {
            ensure!(bias.array.len() == channels, "{} biases for {channels} channels", bias.array.len());
            let bias = Array { shape: vec![channels], ..bias.array.clone() };
            ids.push(import.add_constant(&format!("{name}.bias"), &bias)?);
        }
        return Ok(ids);
    };
    let codes = weights.constant.codes.as_ref().context("weights are not quantized")?;
    let (values, _) = codes.int8().context("weights are not quantized to 8 bits")?;
    let values = super::array::pick(&values, &weights.view.positions());
    let scales = if codes.scales.len() == 1 { vec![codes.scales[0]; channels] } else { codes.scales.clone() };
    ensure!(scales.len() == channels, "{} scales for {channels} channels", scales.len());
    let quantization = |scales: Vec<f32>, axis| Quantization { zero_points: vec![0; channels], scales, axis };
    let bias_scales: Vec<f64> = scales.iter().map(|scale| f64::from(input.scales[0]) * f64::from(*scale)).collect();
    let bias = match bias {
        Some(bias) => bias_codes(bias, &bias_scales)?,
        None => vec![0; channels],
    };
    let bias_scales = bias_scales.iter().map(|scale| *scale as f32).collect();
    let id = import.add_data(
        &format!("{name}.weight"),
        weights.shape.clone(),
        Data::Int8(values),
        Some(quantization(scales, weights.axis)),
    );
    let bias =
        import.add_data(&format!("{name}.bias"), vec![channels], Data::Int32(bias), Some(quantization(bias_scales, 0)));
    Ok(vec![id, bias])
}

/// A bias in steps of input scale times weight scale: the file's own codes where they are in these steps.
fn bias_codes(bias: &Constant, scales: &[f64]) -> Result<Vec<i32>> {
    let reals = bias.array.reals()?;
    ensure!(reals.len() == scales.len(), "{} biases for {} channels", reals.len(), scales.len());
    let own = bias.codes.as_ref().filter(|codes| {
        let own = codes.scales.iter().cycle();
        let same = |(own, wanted): (&f32, &f64)| (f64::from(*own) / wanted - 1.0).abs() < 1e-5;
        codes.zero_points.iter().all(|zero_point| *zero_point == 0) && own.zip(scales).all(same)
    });
    let limit = f64::from(i32::MAX / 2);
    let rounded =
        |(real, scale): (&f32, &f64)| (f64::from(*real) / scale).round_ties_even().clamp(-limit, limit) as i32;
    Ok(match own {
        Some(Codes { codes, .. }) => {
            codes.iter().map(|code| i32::try_from(*code).context("a bias is no int32")).collect::<Result<_>>()?
        }
        None => reals.iter().zip(scales).map(rounded).collect(),
    })
}

/// The scale of an int8 layer's output, if the layer can compute in int8.
fn int8_output<'f>(
    import: &Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    weights: &Constant,
    channel_axis: usize,
) -> Option<Quantization> {
    weights.codes.as_ref().filter(|codes| codes.are_weights(channel_axis))?;
    import.int8_target(operator, &[x])
}

/// The scale of the codes that a layer reads, where it computes in int8.
fn input_scale(import: &Import<'_>, x: &Operand, output: Option<&Quantization>) -> Option<Quantization> {
    output.and_then(|_| import.tensor(x.id).quantization.clone())
}

fn constant_input<'f>(import: &Import<'f>, operator: &Operator<'f>, position: usize) -> Result<std::rc::Rc<Constant>> {
    import.constant(operator, position).context("weights have to be constants")
}

pub(super) fn conv<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let weights = constant_input(import, operator, 1)?;
    let bias = import.optional_constant(operator, 2)?;
    let output = int8_output(import, operator, &x, &weights, 0);
    let x = if output.is_some() { x } else { import.real(&x) };
    let Image { id, extents, channels, view } = image(import, &x)?;
    let name = import.name(operator);
    let filter = filter_view(&weights.array.shape, view.rank())?;
    let [outputs, depth, rows, columns] = filter.shape()[..] else { bail!("weights are no filter") };
    let groups = usize::try_from(operator.int("group", 1)?).ok().filter(|groups| *groups > 0);
    let groups = groups.context("a convolution needs a group")?;
    ensure!(
        depth.checked_mul(groups) == Some(channels) && outputs.is_multiple_of(groups),
        "{groups} groups of {depth} channels don't make {channels}, or don't divide {outputs}"
    );
    let (window, [height, width]) = window(operator, view.rank(), [rows, columns], extents)?;
    let activation = Activation::None;
    let depthwise = groups == channels && groups > 1;
    let (weights, op) = if depthwise {
        let view = filter.transposed(&[2, 3, 0, 1])?;
        let op = Op::DepthwiseConv2d { window, multiplier: outputs / channels, activation };
        (Weights { constant: &weights, view, shape: vec![rows, columns, outputs], axis: 2 }, op)
    } else {
        let view = filter.transposed(&[0, 2, 3, 1])?;
        let shape = vec![outputs, rows, columns, depth];
        (Weights { constant: &weights, view, shape, axis: 0 }, Op::Conv2d { window, groups, activation })
    };
    let scale = input_scale(import, &x, output.as_ref());
    let mut inputs = vec![id];
    inputs.extend(parameters(import, &name, &weights, bias.as_deref(), scale.as_ref())?);
    let id = import.node(&name, op, inputs, vec![1, height, width, outputs], output)?;
    let view = view.filled(outputs, [height, width]);
    import.set_tensor(operator, 0, id, view)
}

/// A filter `[out][in][rows][columns]`, also for a convolution over one axis.
fn filter_view(shape: &[usize], rank: usize) -> Result<View> {
    match *shape {
        [outputs, depth, rows, columns] if rank == 4 => Ok(View::of(&[outputs, depth, rows, columns])),
        [outputs, depth, columns] if rank == 3 => Ok(View::of(&[outputs, depth, 1, columns])),
        _ => bail!("weights of shape {shape:?} are no filter for an input of {rank} axes"),
    }
}

pub(super) fn conv_transpose<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let weights = constant_input(import, operator, 1)?;
    let bias = import.optional_constant(operator, 2)?;
    operator.expect_int("group", 1)?;
    let output = int8_output(import, operator, &x, &weights, 1);
    let x = if output.is_some() { x } else { import.real(&x) };
    let Image { id, extents, channels, view } = image(import, &x)?;
    let name = import.name(operator);
    let filter = filter_view(&weights.array.shape, view.rank())?;
    let [depth, outputs, rows, columns] = filter.shape()[..] else { bail!("weights are no filter") };
    ensure!(depth == channels, "weights for {depth} channels meet {channels}");
    let (window, [height, width]) = transposed_window(operator, view.rank(), [rows, columns], extents)?;
    let order = filter.transposed(&[1, 2, 3, 0])?;
    let weights = Weights { constant: &weights, view: order, shape: vec![outputs, rows, columns, depth], axis: 0 };
    let scale = input_scale(import, &x, output.as_ref());
    let mut inputs = vec![id];
    inputs.extend(parameters(import, &name, &weights, bias.as_deref(), scale.as_ref())?);
    let op = Op::TransposeConv2d { window, activation: Activation::None };
    let id = import.node(&name, op, inputs, vec![1, height, width, outputs], output)?;
    let view = view.filled(outputs, [height, width]);
    import.set_tensor(operator, 0, id, view)
}

/// The dimensions of a vector along an axis, cut and ordered as that axis lies in memory.
pub(super) fn as_in_memory(
    vector: &View,
    axis: usize,
    logical: &[Dimension],
    memory: &[Dimension],
) -> Result<Vec<Dimension>> {
    let extents: Vec<usize> = logical.iter().map(|dimension| dimension.extent).collect();
    let cut = vector.cut(axis, &extents).context("weights don't fit the axis they meet")?;
    let place = |wanted: &Dimension| logical.iter().position(|dimension| dimension == wanted);
    memory.iter().map(|wanted| cut.get(place(wanted)?).copied()).collect::<Option<_>>().context("an axis is lost")
}

/// `x * weights` along the last axis of x; `weights` is seen as `[out][in]`.
fn dense<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    weights: &Constant,
    matrix: &View,
    bias: Option<&Constant>,
    output: Option<Quantization>,
) -> Result<(TensorId, View)> {
    let [outputs, depth] = matrix.shape()[..] else { bail!("weights are no matrix") };
    let last = x.view.rank().checked_sub(1).context("multiplies a single number by a matrix")?;
    let found = x.view.shape()[last];
    ensure!(found == depth && outputs > 0, "rows of {found} elements meet weights {outputs} x {depth}");
    let (x, memory) = import.innermost(x, last)?;
    let columns = as_in_memory(matrix, 1, &x.view.axes[last], &memory)?;
    let view = View { offset: matrix.offset, axes: vec![matrix.axes[0].clone(), columns] };
    let name = import.name(operator);
    let scale = input_scale(import, &x, output.as_ref());
    let weights = Weights { constant: weights, view, shape: vec![outputs, depth], axis: 0 };
    let rows = x.view.elements() / depth;
    let mut inputs = vec![import.shape_as(x.id, &[rows, depth])];
    inputs.extend(parameters(import, &name, &weights, bias, scale.as_ref())?);
    let id =
        import.node(&name, Op::FullyConnected { activation: Activation::None }, inputs, vec![rows, outputs], output)?;
    let mut view = x.view;
    for dimension in view.axes.iter_mut().take(last).flatten() {
        dimension.stride = dimension.stride / depth as i64 * outputs as i64;
    }
    view.axes[last] = if outputs == 1 { vec![] } else { vec![Dimension { extent: outputs, stride: 1 }] };
    Ok((id, view))
}

pub(super) fn gemm<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let (alpha, beta) = (operator.float("alpha", 1.0)?, operator.float("beta", 1.0)?);
    let [transposed_a, transposed_b] = [operator.int("transA", 0)? != 0, operator.int("transB", 0)? != 0];
    let mut x = import.operand(operator, 0)?;
    ensure!(x.view.rank() == 2, "multiplies {:?}, which is no matrix", x.view.shape());
    if transposed_a {
        x.view = x.view.transposed(&[1, 0])?;
    }
    let weights = constant_input(import, operator, 1)?;
    let bias = import.optional_constant(operator, 2).context("the bias has to be a constant")?;
    ensure!(weights.array.shape.len() == 2, "weights of shape {:?} are no matrix", weights.array.shape);
    let matrix = View::of(&weights.array.shape);
    let matrix = if transposed_b { matrix } else { matrix.transposed(&[1, 0])? };
    let outputs = matrix.shape()[0];
    let plain = alpha == 1.0 && beta == 1.0;
    let channel_axis = usize::from(!transposed_b);
    let output = int8_output(import, operator, &x, &weights, channel_axis).filter(|_| plain);
    let x = if output.is_some() { x } else { import.real(&x) };
    let weights = if alpha == 1.0 { (*weights).clone() } else { scaled(&weights, alpha)? };
    let bias = bias.map(|bias| bias_vector(&bias, outputs, beta)).transpose()?;
    let (id, view) = dense(import, operator, &x, &weights, &matrix, bias.as_ref(), output)?;
    import.set_tensor(operator, 0, id, view)
}

fn scaled(constant: &Constant, factor: f32) -> Result<Constant> {
    let values = constant.array.reals()?.iter().map(|value| value * factor).collect();
    Ok(Constant { array: Array::floats(constant.array.shape.clone(), values), codes: None })
}

/// A bias that is the same for each row, as one value for each output.
fn bias_vector(bias: &Constant, outputs: usize, beta: f32) -> Result<Constant> {
    let shape = &bias.array.shape;
    let wide: usize = shape.iter().product();
    let rows: usize = shape.iter().rev().skip(1).product();
    ensure!(
        rows == 1 && (wide == 1 || wide == outputs),
        "a bias of shape {shape:?} does not repeat for {outputs} outputs"
    );
    if wide == outputs && beta == 1.0 {
        return Ok(bias.clone());
    }
    let values = bias.array.reals()?.iter().cycle().take(outputs).map(|value| value * beta).collect();
    Ok(Constant { array: Array::floats(vec![outputs], values), codes: None })
}

pub(super) fn matmul<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    if let Value::Constant(weights) = import.input(operator, 1)?
        && let [depth, outputs] = weights.array.shape[..]
    {
        let x = import.operand(operator, 0)?;
        let matrix = View::of(&[depth, outputs]).transposed(&[1, 0])?;
        let output = int8_output(import, operator, &x, &weights, 1);
        let x = if output.is_some() { x } else { import.real(&x) };
        let (id, view) = dense(import, operator, &x, &weights, &matrix, None, output)?;
        return import.set_tensor(operator, 0, id, view);
    }
    let (mut a, mut b) = (import.operand(operator, 0)?, import.operand(operator, 1)?);
    let output = import.int8_target(operator, &[&a, &b]);
    if output.is_none() {
        (a, b) = (import.real(&a), import.real(&b));
    }
    let vectors = [a.view.rank() == 1, b.view.rank() == 1];
    if vectors[0] {
        a.view.axes.insert(0, vec![]);
    }
    if vectors[1] {
        b.view.axes.push(vec![]);
    }
    let (shape_a, shape_b) = (a.view.shape(), b.view.shape());
    let ([lead_a @ .., rows, depth], [lead_b @ .., depth_b, columns]) = (&shape_a[..], &shape_b[..]) else {
        bail!("multiplies {shape_a:?} by {shape_b:?}, which are no matrices")
    };
    ensure!(depth == depth_b, "rows of {depth} elements meet columns of {depth_b}");
    let lead = super::binary::broadcast(lead_a, lead_b)?;
    let (a_id, transpose_a) = matrices(import, &a, &lead)?;
    let (b_id, transpose_b) = matrices(import, &b, &lead)?;
    let mut shape = [&lead[..], &[*rows, *columns]].concat();
    let name = import.name(operator);
    let op = Op::BatchMatmul { transpose_a, transpose_b };
    let id = import.node(&name, op, vec![a_id, b_id], super::import::compact_matrices(&shape), output)?;
    if vectors[1] {
        shape.pop();
    }
    if vectors[0] {
        shape.remove(lead.len());
    }
    import.set_tensor(operator, 0, id, View::of(&shape))
}

/// An operand of a product as it lies in memory, and whether its last two axes are exchanged there.
fn matrices(import: &mut Import<'_>, operand: &Operand, lead: &[usize]) -> Result<(TensorId, bool)> {
    let mut operand = operand.clone();
    let shape = operand.view.shape();
    let (own, matrix) = shape.split_at(shape.len() - 2);
    // One matrix for all is repeated by its stride; others are repeated in memory.
    if own.iter().product::<usize>() > 1 && own != lead {
        operand.view = operand.view.expanded(&[lead, matrix].concat())?;
    }
    let rank = operand.view.rank();
    let logical: Vec<usize> = (0..rank).collect();
    let mut exchanged = logical.clone();
    exchanged.swap(rank - 2, rank - 1);
    let elements = import.tensor(operand.id).elements();
    let transposed = !operand.view.lies_in(&logical, elements) && operand.view.lies_in(&exchanged, elements);
    let order = if transposed { exchanged } else { logical };
    let id = import.in_order(&operand, &order)?;
    let shape = operand.view.transposed(&order)?.shape();
    Ok((import.shape_as(id, &super::import::compact_matrices(&shape)), transposed))
}

pub(super) fn batch_norm<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    operator.expect_int("training_mode", 0)?;
    operator.expect_int("spatial", 1)?;
    let epsilon = operator.float("epsilon", 1e-5)?;
    let x = import.operand(operator, 0)?;
    ensure!(x.view.rank() >= 2, "normalizes {:?}, which has no channels", x.view.shape());
    let channels = x.view.shape()[1];
    let (x, memory) = import.innermost(&x, 1)?;
    let columns = as_in_memory(&View::of(&[channels]), 0, &x.view.axes[1], &memory)?;
    let order = View { offset: 0, axes: vec![columns] };
    let mut statistics = Vec::new();
    for position in 1..5 {
        let constant = import.constant(operator, position)?;
        let found = &constant.array.shape;
        ensure!(*found == [channels], "input {position} of shape {found:?} meets {channels} channels");
        statistics.push(constant.array.seen(&order));
    }
    let name = import.name(operator);
    let view = x.view.clone();
    let id = match import.int8_target(operator, &[&x]) {
        Some(output) => {
            let statistics: Vec<&[f32]> = statistics.iter().map(Array::reals).collect::<Result<_>>()?;
            int8_batch_norm(import, &name, &x, &statistics, epsilon, output)?
        }
        None => {
            let x = import.real(&x);
            let rows = x.view.elements() / channels;
            // Behind a layer it disappears into the layer's weights: no other shape may come between.
            let shape = import.tensor(x.id).shape.clone();
            let fits = shape.last() == Some(&channels);
            let mut inputs = vec![if fits { x.id } else { import.shape_as(x.id, &[rows, channels]) }];
            for array in &statistics {
                inputs.push(import.add_constant(&name, array)?);
            }
            let shape = import.tensor(inputs[0]).shape.clone();
            import.node(&name, Op::BatchNorm { epsilon }, inputs, shape, None)?
        }
    };
    import.set_tensor(operator, 0, id, view)
}

/// A batch norm of codes is a depthwise convolution of one tap: each channel has its own factor and offset.
fn int8_batch_norm(
    import: &mut Import<'_>,
    name: &str,
    x: &Operand,
    statistics: &[&[f32]],
    epsilon: f32,
    output: Quantization,
) -> Result<TensorId> {
    let [gamma, beta, mean, variance] = statistics else { bail!("takes four constants") };
    let input = import.tensor(x.id).quantization.clone().context("codes without a scale")?;
    let (channels, mut codes, mut scales, mut biases) = (gamma.len(), Vec::new(), Vec::new(), Vec::new());
    for (((gamma, beta), mean), variance) in gamma.iter().zip(*beta).zip(*mean).zip(*variance) {
        let deviation = (f64::from(*variance) + f64::from(epsilon)).sqrt();
        let factor = f64::from(*gamma) / deviation;
        ensure!(factor.is_finite() && deviation > 0.0, "variance + epsilon is not positive");
        codes.push(if factor < 0.0 { -127_i8 } else { 127 });
        // A factor of 0 still needs a positive scale; 1e-30 leaves nothing of the input.
        let scale = (factor.abs() / 127.0).max(1e-30) as f32;
        scales.push(scale);
        let offset = f64::from(*beta) - f64::from(*mean) * factor;
        let limit = f64::from(i32::MAX / 2);
        biases.push((offset / (f64::from(input.scales[0]) * f64::from(scale))).round().clamp(-limit, limit) as i32);
    }
    let zero_points = vec![0; channels];
    let quantization = Quantization { zero_points: zero_points.clone(), scales: scales.clone(), axis: 2 };
    let weights =
        import.add_data(&format!("{name}.weight"), vec![1, 1, channels], Data::Int8(codes), Some(quantization));
    let scales = scales.iter().map(|scale| input.scales[0] * scale).collect();
    let quantization = Quantization { zero_points, scales, axis: 0 };
    let bias = import.add_data(&format!("{name}.bias"), vec![channels], Data::Int32(biases), Some(quantization));
    let rows = x.view.elements() / channels;
    let input = import.shape_as(x.id, &[1, 1, rows, channels]);
    let window = nervelet_compiler::graph::Window::new([1, 1]);
    let op = Op::DepthwiseConv2d { window, multiplier: 1, activation: Activation::None };
    import.node(name, op, vec![input, weights, bias], vec![1, 1, rows, channels], Some(output))
}
