//! Pools and reductions.

use anyhow::{Result, bail, ensure};
use nervelet_compiler::graph::{Activation, Op, Padding, Reduction};

use super::file::{Operator, axis};
use super::fold;
use super::import::{Import, Operand, Value};
use super::view::View;
use super::window::{Image, image, kernel, window};

/// A pool over a window; `average` or the maximum.
pub(super) fn pool<'f>(import: &mut Import<'f>, operator: &Operator<'f>, average: bool) -> Result<()> {
    ensure!(operator.output(1).is_none(), "the indices of a pool are not given out");
    operator.expect_int("storage_order", 0)?;
    let x = import.operand(operator, 0)?;
    let Image { mut id, extents, channels, view } = image(import, &x)?;
    let (mut window, [rows, columns]) = window(operator, view.rank(), kernel(operator, view.rank())?, extents)?;
    let name = import.name(operator);
    let activation = Activation::None;
    let quantization = import.tensor(id).quantization.clone();
    let op = if average {
        ensure!(window.dilation == [1, 1], "dilations of an average pool are not taken");
        let Padding { top, bottom, left, right } = window.padding;
        if operator.int("count_include_pad", 0)? != 0 && window.padding != Padding::default() {
            ensure!(operator.int("ceil_mode", 0)? == 0, "ceil_mode with padding that counts is not taken");
            // The zeros count: they become part of the image.
            let shape = vec![1, extents[0] + top + bottom, extents[1] + left + right, channels];
            let amounts = vec![(0, 0), (top, bottom), (left, right), (0, 0)];
            id = import.node(&format!("{name}.pad"), Op::Pad { amounts }, vec![id], shape, quantization.clone())?;
            window.padding = Padding::default();
        }
        Op::AveragePool2d { window, activation }
    } else {
        Op::MaxPool2d { window, activation }
    };
    // Codes keep their scale; a quantization behind it gives them another where it has to.
    let id = import.node(&name, op, vec![id], vec![1, rows, columns, channels], quantization)?;
    let view = view.filled(channels, [rows, columns]);
    import.set_tensor(operator, 0, id, view)
}

/// What a reduction makes of its axes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Mean,
    Other(Reduction),
}

/// A reduction over the axes that an operator names.
pub(super) fn reduce<'f>(import: &mut Import<'f>, operator: &Operator<'f>, kind: Kind) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let rank = x.view.rank();
    let named = fold::axes(import, operator, 1)?;
    let axes = match named {
        Some(axes) if !axes.is_empty() => {
            axes.iter().map(|index| axis(*index, rank)).collect::<Result<Vec<usize>>>()?
        }
        _ if operator.int("noop_with_empty_axes", 0)? != 0 => {
            return import.set(operator, 0, Value::Tensor(x));
        }
        _ => (0..rank).collect(),
    };
    let keep = operator.int("keepdims", 1)? != 0;
    reduce_over(import, operator, &x, kind, &axes, keep)
}

/// A pool over the whole image.
pub(super) fn global_pool<'f>(import: &mut Import<'f>, operator: &Operator<'f>, kind: Kind) -> Result<()> {
    let x = import.operand(operator, 0)?;
    ensure!(x.view.rank() >= 3, "pools {:?}, which has no spatial axes", x.view.shape());
    let axes: Vec<usize> = (2..x.view.rank()).collect();
    reduce_over(import, operator, &x, kind, &axes, true)
}

fn reduce_over<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    kind: Kind,
    axes: &[usize],
    keep: bool,
) -> Result<()> {
    let own = import.tensor(x.id).quantization.clone();
    let output = match kind {
        // A mean rescales; the others keep the scale.
        Kind::Mean => import.int8_target(operator, &[x]),
        Kind::Other(Reduction::Sum) => None,
        Kind::Other(_) => own,
    };
    let x = if output.is_some() { x.clone() } else { import.real(x) };
    let (x, order) = import.ordered(&x)?;
    let shape = x.view.shape();
    let wide: Vec<usize> = order.iter().copied().filter(|axis| shape[*axis] > 1).collect();
    let extents: Vec<usize> = wide.iter().map(|axis| shape[*axis]).collect();
    if extents.len() > nervelet::ops::MAX_RANK {
        bail!("reduces a shape of {shape:?}, which has too many axes");
    }
    let places: Vec<usize> = (0..wide.len()).filter(|at| axes.contains(&wide[*at])).collect();
    let reduced: Vec<usize> =
        extents.iter().enumerate().map(|(at, extent)| if places.contains(&at) { 1 } else { *extent }).collect();
    let input = import.shape_as(x.id, &extents);
    let op = match kind {
        Kind::Mean => Op::Mean { axes: places, keep_dims: true },
        Kind::Other(reduction) => Op::Reduce { reduction, axes: places },
    };
    let id = import.node(&import.name(operator), op, vec![input], reduced, output)?;
    let kept = |at: usize| if axes.contains(&at) { 1 } else { shape[at] };
    let all: Vec<usize> = (0..shape.len()).map(kept).collect();
    let mut view = View::of(&all).packed(&order);
    if !keep {
        let mut at = 0;
        view.axes.retain(|_| {
            at += 1;
            !axes.contains(&(at - 1))
        });
    }
    import.set_tensor(operator, 0, id, view)
}
