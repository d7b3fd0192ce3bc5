//! Layers with weights: convolutions, transposed ones too, and dense layers.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Op, Padding, TensorId, Window};

use super::constants;
use super::file::Operator;
use super::import::{Import, activation};

pub(super) fn conv_2d(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 1;
    let (x, filter) = (import.input(operator, 0)?, import.input(operator, 1)?);
    let [rows, columns, channels] = image(&x.shape)?;
    let [outputs, kernel_rows, kernel_columns, depth] = filter.shape[..] else {
        bail!("the weights have shape {:?}, not [out, rows, columns, in]", filter.shape)
    };
    ensure!(channels % depth == 0, "weights of {depth} channels don't divide the {channels} channels of the input");
    let groups = channels / depth;
    ensure!(outputs % groups == 0, "{outputs} outputs can't be divided into {groups} groups");
    let stride = pair(operator, OPTIONS, 2, 1, 0)?;
    let dilation = pair(operator, OPTIONS, 5, 4, 1)?;
    let kernel = [kernel_rows, kernel_columns];
    let window = window(operator.option(OPTIONS, 0, 0)?, [rows, columns], kernel, stride, dilation)?;
    let shape = output_shape(&window, [rows, columns], outputs)?;
    let op = Op::Conv2d { window, groups, activation: activation(operator.option(OPTIONS, 3, 0)?)? };
    layer(import, operator, op, filter.shape.clone(), 0, outputs, &shape)
}

pub(super) fn depthwise_conv_2d(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 2;
    let (x, filter) = (import.input(operator, 0)?, import.input(operator, 1)?);
    let [rows, columns, channels] = image(&x.shape)?;
    let [1, kernel_rows, kernel_columns, outputs] = filter.shape[..] else {
        bail!("the weights have shape {:?}, not [1, rows, columns, out]", filter.shape)
    };
    ensure!(outputs % channels == 0, "{outputs} outputs are no multiple of the {channels} channels of the input");
    let stride = pair(operator, OPTIONS, 2, 1, 0)?;
    let dilation = pair(operator, OPTIONS, 6, 5, 1)?;
    let kernel = [kernel_rows, kernel_columns];
    let window = window(operator.option(OPTIONS, 0, 0)?, [rows, columns], kernel, stride, dilation)?;
    let shape = output_shape(&window, [rows, columns], outputs)?;
    let activation = activation(operator.option(OPTIONS, 4, 0)?)?;
    let op = Op::DepthwiseConv2d { window, multiplier: outputs / channels, activation };
    layer(import, operator, op, vec![kernel_rows, kernel_columns, outputs], 3, outputs, &shape)
}

pub(super) fn fully_connected(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 8;
    let (x, filter) = (import.input(operator, 0)?, import.input(operator, 1)?);
    let [outputs, depth] = filter.shape[..] else { bail!("the weights have shape {:?}, not [out, in]", filter.shape) };
    let format = operator.option::<i8>(OPTIONS, 1, 0)?;
    ensure!(format == 0, "shuffled weights (format {format}) are not taken: convert the model again");
    let elements: usize = x.shape.iter().product();
    ensure!(
        elements.is_multiple_of(depth),
        "{elements} values come in, which is no multiple of the {depth} that the weights want"
    );
    let shape = if operator.options(OPTIONS)?.map_or(Ok(false), |options| options.flag(2))? {
        let (last, leading) = x.shape.split_last().context("a scalar has no axis to keep")?;
        ensure!(*last == depth, "rows of {last} values come in, the weights want {depth}");
        leading.iter().copied().chain([outputs]).collect()
    } else {
        vec![elements / depth, outputs]
    };
    let op = Op::FullyConnected { activation: activation(operator.option(OPTIONS, 0, 0)?)? };
    layer(import, operator, op, filter.shape.clone(), 0, outputs, &shape)
}

pub(super) fn transpose_conv_2d(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 49;
    let (filter, x) = (import.input(operator, 1)?, import.input(operator, 2)?);
    let [rows, columns, channels] = image(&x.shape)?;
    let [outputs, kernel_rows, kernel_columns, depth] = filter.shape[..] else {
        bail!("the weights have shape {:?}, not [out, rows, columns, in]", filter.shape)
    };
    ensure!(depth == channels, "weights of {depth} channels for an input of {channels}");
    let wanted = constants::integers(&import.input(operator, 0)?).context("the output shape")?;
    let extent = |extent: i64| u16::try_from(extent).ok().filter(|extent| *extent > 0).map(usize::from);
    let size = match wanted[..] {
        [1, rows, columns, found] if found == outputs as i64 => extent(rows).zip(extent(columns)),
        _ => None,
    };
    let (new_rows, new_columns) =
        size.with_context(|| format!("makes a shape of {wanted:?} with {outputs} outputs"))?;
    let stride = pair(operator, OPTIONS, 2, 1, 0)?;
    let kernel = [kernel_rows, kernel_columns];
    let window = window(operator.option(OPTIONS, 0, 0)?, [new_rows, new_columns], kernel, stride, [1, 1])?;
    let reaches = |extent: usize, stride: usize, new: usize, padding: usize| (extent - 1) * stride < new + padding;
    ensure!(
        reaches(rows, stride[0], new_rows, window.padding.top)
            && reaches(columns, stride[1], new_columns, window.padding.left),
        "{rows} x {columns} with a stride of {stride:?} is too large for {new_rows} x {new_columns}"
    );
    let op = Op::TransposeConv2d { window, activation: activation(operator.option(OPTIONS, 3, 0)?)? };
    let shape = [1, new_rows, new_columns, outputs];
    layer_at(import, operator, op, [2, 1, 3], filter.shape.clone(), 0, outputs, &shape)
}

/// Adds a layer with weights at input 1, quantized along `axis`, and maybe a bias at input 2.
fn layer(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    op: Op,
    weights_shape: Vec<usize>,
    axis: usize,
    outputs: usize,
    shape: &[usize],
) -> Result<()> {
    layer_at(import, operator, op, [0, 1, 2], weights_shape, axis, outputs, shape)
}

/// As [`layer`], with the positions of input, weights and bias.
#[allow(clippy::too_many_arguments, reason = "what layers differ in, each of another kind")]
fn layer_at(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    op: Op,
    [x_at, weights_at, bias_at]: [usize; 3],
    weights_shape: Vec<usize>,
    axis: usize,
    outputs: usize,
    shape: &[usize],
) -> Result<()> {
    let x = import.value(operator.input(x_at)?)?;
    let data_type = import.graph_tensor(x).data_type;
    let weights =
        weights(import, operator.input(weights_at)?, data_type, weights_shape, axis).context("the weights")?;
    let mut inputs = vec![x, weights];
    if let Some(bias) = operator.optional_input(bias_at) {
        inputs.push(self::bias(import, bias, data_type, outputs).context("the bias")?);
    }
    let output = import.output(operator, 0, shape)?;
    let found = import.graph_tensor(output).data_type;
    ensure!(found == data_type, "takes {data_type:?} and gives {found:?}: convert to one type throughout");
    import.node(operator, op, inputs, output);
    Ok(())
}

/// Weights of a layer on `data_type`, in a shape of as many elements; per-channel scales run along `axis` of the
/// file's shape and along the last or first of the new one.
pub(super) fn weights(
    import: &mut Import<'_, '_>,
    index: usize,
    data_type: DataType,
    shape: Vec<usize>,
    axis: usize,
) -> Result<TensorId> {
    let tensor = import.tensor(index)?;
    if let Some(quantization) = tensor.quantization.as_ref().filter(|quantization| quantization.scales.len() > 1) {
        let found = quantization.axis;
        ensure!(found == axis, "their scales run along axis {found}, not along axis {axis} of the outputs");
    }
    let new_axis = if axis == 0 { 0 } else { shape.len() - 1 };
    let id = import.constant(&tensor, shape)?;
    let constant = import.graph_tensor_mut(id);
    if let Some(quantization) = &mut constant.quantization {
        quantization.axis = new_axis;
    }
    match (data_type, constant.data_type) {
        (DataType::Float32, DataType::Float32) => {}
        (DataType::Float32, DataType::Int8) => constants::dequantize(constant)?,
        (DataType::Int8 | DataType::Int16, DataType::Int8) => {
            let quantization = constant.quantization.as_ref().context("have no scale: the file is damaged")?;
            let symmetric = quantization.zero_points.iter().all(|zero_point| *zero_point == 0);
            ensure!(symmetric, "have a zero point: only symmetric weights are taken, convert the model again");
        }
        (input, weights) => bail!("hold {weights:?}, the input {input:?}: convert to full int8 or to float32"),
    }
    Ok(id)
}

/// A bias of a layer on `data_type`.
pub(super) fn bias(import: &mut Import<'_, '_>, index: usize, data_type: DataType, outputs: usize) -> Result<TensorId> {
    let tensor = import.tensor(index)?;
    let elements: usize = tensor.shape.iter().product();
    ensure!(elements == outputs, "has {elements} values for {outputs} outputs");
    let fits = match data_type {
        DataType::Int16 => [DataType::Int64, DataType::Int32].contains(&tensor.data_type),
        DataType::Int8 => tensor.data_type == DataType::Int32,
        other => tensor.data_type == other,
    };
    ensure!(fits, "holds {:?} for a layer on {data_type:?}", tensor.data_type);
    import.constant(&tensor, vec![outputs])
}

/// Rows, columns and channels of an image of batch 1.
pub(super) fn image(shape: &[usize]) -> Result<[usize; 3]> {
    match *shape {
        [1, rows, columns, channels] => Ok([rows, columns, channels]),
        [batch, _, _, _] => bail!("a batch of {batch} comes in: fix the input shape to batch 1 before conversion"),
        _ => bail!("shape {shape:?} comes in, not [1, rows, columns, channels]"),
    }
}

/// Two positive numbers below 2^16 of the options, rows first.
pub(super) fn pair(
    operator: &Operator<'_>,
    options: u8,
    rows: usize,
    columns: usize,
    default: i32,
) -> Result<[usize; 2]> {
    let number = |number| {
        let value = operator.option::<i32>(options, number, default)?;
        let positive = u16::try_from(value).ok().filter(|value| *value > 0).map(usize::from);
        positive.with_context(|| format!("a stride, dilation or kernel extent of {value}: the file is damaged"))
    };
    Ok([number(rows)?, number(columns)?])
}

/// A window with explicit padding.
pub(super) fn window(
    padding: i8,
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<Window> {
    let padding = match padding {
        0 => Padding::same(input, kernel, stride, dilation),
        1 => Padding::default(),
        _ => bail!("has padding {padding}, which does not exist: the file is damaged"),
    };
    Ok(Window { kernel, stride, dilation, padding })
}

/// The shape of what a window with `outputs` channels makes.
pub(super) fn output_shape(window: &Window, input: [usize; 2], outputs: usize) -> Result<[usize; 4]> {
    let output = window.output(input);
    let [rows, columns] = output.with_context(|| {
        format!("a kernel of {:?} does not fit an input of {} x {}", window.kernel, input[0], input[1])
    })?;
    Ok([1, rows, columns, outputs])
}
