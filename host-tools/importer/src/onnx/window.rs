//! Images channels-last, and the windows that slide over them.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::{Padding, TensorId, Window};

use super::file::Operator;
use super::import::{Import, Operand};
use super::view::View;

/// An image or a sequence in memory as `[1, rows, columns, channels]`.
pub(super) struct Image {
    pub(super) id: TensorId,
    /// Rows and columns; a sequence has one row.
    pub(super) extents: [usize; 2],
    pub(super) channels: usize,
    /// How the file sees it.
    pub(super) view: View,
}

/// An operand `[1, channels, rows, columns]` or `[1, channels, columns]` channels-last.
pub(super) fn image(import: &mut Import<'_>, x: &Operand) -> Result<Image> {
    let shape = x.view.shape();
    let (channels, extents, order) = match shape[..] {
        [1, channels, rows, columns] => (channels, [rows, columns], vec![0, 2, 3, 1]),
        [1, channels, columns] => (channels, [1, columns], vec![0, 2, 1]),
        [batch, ..] if batch != 1 => bail!("works on a batch of {batch}: export with a batch of 1"),
        _ => bail!("works on a shape of {shape:?}: one and two spatial axes are taken"),
    };
    let id = import.in_order(x, &order)?;
    let id = import.shape_as(id, &[1, extents[0], extents[1], channels]);
    Ok(Image { id, extents, channels, view: x.view.packed(&order) })
}

impl View {
    /// This view of an image with other channels, rows and columns.
    pub(super) fn filled(&self, channels: usize, [rows, columns]: [usize; 2]) -> View {
        if self.rank() == 3 {
            View::of(&[1, channels, columns]).packed(&[0, 2, 1])
        } else {
            View::of(&[1, channels, rows, columns]).packed(&[0, 2, 3, 1])
        }
    }
}

/// An attribute with one value for each spatial axis, as rows and columns.
fn pair(operator: &Operator<'_>, name: &str, rank: usize, default: usize) -> Result<[usize; 2]> {
    let Some(values) = operator.ints(name)? else { return Ok([default; 2]) };
    ensure!(values.len() + 2 == rank, "{name} has {} values for {} axes", values.len(), rank.saturating_sub(2));
    let value = |value: &i64| u16::try_from(*value).ok().map(usize::from);
    let values = values.iter().map(value).collect::<Option<Vec<_>>>();
    match values.with_context(|| format!("a value of {name} is negative or above 65535"))?[..] {
        [columns] => Ok([if name == "output_padding" { 0 } else { 1 }, columns]),
        [rows, columns] => Ok([rows, columns]),
        _ => bail!("{name} has no value"),
    }
}

/// The file's own padding; `None` where it is to be computed, with whether the odd element comes before.
fn pads(operator: &Operator<'_>, rank: usize) -> Result<std::result::Result<Padding, bool>> {
    match operator.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => {}
        "VALID" => return Ok(Ok(Padding::default())),
        "SAME_UPPER" => return Ok(Err(false)),
        "SAME_LOWER" => return Ok(Err(true)),
        other => bail!("auto_pad={other} is not known"),
    }
    let Some(values) = operator.ints("pads")? else { return Ok(Ok(Padding::default())) };
    ensure!(values.len() + 4 == 2 * rank, "pads has {} values for {} axes", values.len(), rank.saturating_sub(2));
    let value = |value: &i64| u16::try_from(*value).ok().map(usize::from);
    let values = values.iter().map(value).collect::<Option<Vec<_>>>();
    Ok(Ok(match values.context("a pad is negative or above 65535")?[..] {
        [left, right] => Padding { top: 0, bottom: 0, left, right },
        [top, left, bottom, right] => Padding { top, bottom, left, right },
        _ => bail!("pads has no value"),
    }))
}

/// The kernel of a pool.
pub(super) fn kernel(operator: &Operator<'_>, rank: usize) -> Result<[usize; 2]> {
    operator.ints("kernel_shape")?.context("has no kernel_shape")?;
    pair(operator, "kernel_shape", rank, 1)
}

/// The window of a convolution or pool, and the extents of its output.
pub(super) fn window(
    operator: &Operator<'_>,
    rank: usize,
    kernel: [usize; 2],
    input: [usize; 2],
) -> Result<(Window, [usize; 2])> {
    let given = pair(operator, "kernel_shape", rank, 0)?;
    ensure!(given == [0, 0] || given == kernel, "kernel_shape {given:?} meets weights of {kernel:?}");
    let (stride, dilation) = (pair(operator, "strides", rank, 1)?, pair(operator, "dilations", rank, 1)?);
    let positive = [kernel, stride, dilation].iter().flatten().all(|value| *value > 0);
    ensure!(positive, "kernel {kernel:?}, strides {stride:?} or dilations {dilation:?} are 0");
    let padding = match pads(operator, rank)? {
        Ok(padding) => padding,
        Err(odd_before) => {
            let Padding { top, bottom, left, right } = Padding::same(input, kernel, stride, dilation);
            if odd_before {
                Padding { top: bottom, bottom: top, left: right, right: left }
            } else {
                Padding { top, bottom, left, right }
            }
        }
    };
    let reach = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
    let below = |axis: usize, pads: [usize; 2]| pads.iter().all(|pad| *pad < reach(axis));
    ensure!(
        below(0, [padding.top, padding.bottom]) && below(1, [padding.left, padding.right]),
        "pads {padding:?} reach beyond a kernel of {kernel:?}"
    );
    let mut window = Window { kernel, stride, dilation, padding };
    if operator.int("ceil_mode", 0)? != 0 {
        let more = |axis: usize, before: usize, after: usize| {
            let left = (input[axis] + before + after).saturating_sub(reach(axis));
            let mut steps = left.div_ceil(stride[axis]);
            // The last window has to start inside the image or the padding before it.
            if steps * stride[axis] >= input[axis] + before {
                steps = steps.saturating_sub(1);
            }
            after.max((steps * stride[axis] + reach(axis)).saturating_sub(input[axis] + before))
        };
        window.padding.bottom = more(0, padding.top, padding.bottom);
        window.padding.right = more(1, padding.left, padding.right);
    }
    let output = window.output(input).with_context(|| {
        format!("a kernel of {kernel:?} with dilations {dilation:?} does not fit {} x {}", input[0], input[1])
    })?;
    Ok((window, output))
}

/// The window of the convolution that a layer transposes, and the extents of the layer's output.
pub(super) fn transposed_window(
    operator: &Operator<'_>,
    rank: usize,
    kernel: [usize; 2],
    input: [usize; 2],
) -> Result<(Window, [usize; 2])> {
    ensure!(operator.ints("output_shape")?.is_none(), "output_shape is not taken: give pads and output_padding");
    let given = pair(operator, "kernel_shape", rank, 0)?;
    ensure!(given == [0, 0] || given == kernel, "kernel_shape {given:?} meets weights of {kernel:?}");
    let (stride, dilation) = (pair(operator, "strides", rank, 1)?, pair(operator, "dilations", rank, 1)?);
    let positive = [kernel, stride, dilation].iter().flatten().all(|value| *value > 0);
    ensure!(positive, "kernel {kernel:?}, strides {stride:?} or dilations {dilation:?} are 0");
    let Ok(padding) = pads(operator, rank)? else { bail!("auto_pad is not taken: give pads") };
    let more = pair(operator, "output_padding", rank, 0)?;
    let extent = |axis: usize, pads: usize| {
        let full = (input[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 + more[axis];
        full.checked_sub(pads).filter(|extent| *extent > 0)
    };
    let output = [extent(0, padding.top + padding.bottom), extent(1, padding.left + padding.right)];
    let [Some(rows), Some(columns)] = output else { bail!("pads {padding:?} leave nothing") };
    Ok((Window { kernel, stride, dilation, padding }, [rows, columns]))
}
