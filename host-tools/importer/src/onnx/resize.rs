//! Resizing of images.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::Op;

use super::array::MOST_ELEMENTS;
use super::file::Operator;
use super::import::{Import, Operand};
use super::view::{Dimension, View};
use super::window::{Image, image};

pub(super) fn resize<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let shape = x.view.shape();
    let old = operator.node.op_type == "Upsample" || operator.set < 11;
    let sizes = if old { None } else { super::fold::integers(import, operator, 3)? };
    let output: Vec<usize> = match sizes {
        Some(sizes) if !sizes.is_empty() => {
            sizes.iter().map(|size| usize::try_from(*size).context("a size is negative")).collect::<Result<_>>()?
        }
        _ => {
            let scales = match operator.floats("scales")? {
                Some(scales) => scales.to_vec(),
                None => {
                    let scales = import.constant(operator, if old { 1 } else { 2 }).context("has no scales")?;
                    scales.array.reals()?.to_vec()
                }
            };
            ensure!(scales.len() == shape.len(), "{} scales for {} axes", scales.len(), shape.len());
            shape
                .iter()
                .zip(scales)
                .map(|(extent, scale)| (*extent as f64 * f64::from(scale)).floor() as usize)
                .collect()
        }
    };
    ensure!(output.len() == shape.len() && output[..2] == shape[..2], "resizes {shape:?} to {output:?}");
    let elements = output.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
    ensure!(elements.is_some_and(|n| (1..=MOST_ELEMENTS).contains(&n)), "resizes {shape:?} to {output:?}");
    let coordinates = operator.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" })?;
    match operator.text("mode", "nearest")? {
        "nearest" => nearest(import, operator, &x, &output, coordinates),
        "linear" => bilinear(import, operator, &x, &output, coordinates),
        other => bail!("mode={other} is not taken, only nearest and linear"),
    }
}

/// Repeats pixels; sizes have to be whole multiples.
fn nearest<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    output: &[usize],
    coordinates: &str,
) -> Result<()> {
    // For whole factors these modes choose pixel `i / factor`.
    let known = matches!(
        (coordinates, operator.text("nearest_mode", "round_prefer_floor")?),
        ("asymmetric", "floor") | ("half_pixel", "round_prefer_floor" | "round_prefer_ceil")
    ) || operator.node.op_type == "Upsample";
    ensure!(known, "nearest with coordinates {coordinates} is not taken: use asymmetric and floor");
    let (mut x, _) = import.ordered(x)?;
    for (axis, (extent, wanted)) in x.view.shape().iter().zip(output).enumerate() {
        ensure!(wanted.is_multiple_of(*extent), "resizes {extent} to {wanted}, which is no whole multiple");
        if wanted / extent > 1 {
            x.view.axes[axis].push(Dimension { extent: wanted / extent, stride: 0 });
        }
    }
    import.set_tensor(operator, 0, x.id, x.view)
}

fn bilinear<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    output: &[usize],
    coordinates: &str,
) -> Result<()> {
    let (align_corners, half_pixel_centers) = match coordinates {
        "half_pixel" | "pytorch_half_pixel" => (false, true),
        "align_corners" => (true, false),
        "asymmetric" => (false, false),
        other => bail!("coordinates {other} are not taken"),
    };
    let [_, _, rows, columns] = output[..] else { bail!("linear is taken for two spatial axes") };
    let Image { id, channels, view, .. } = image(import, x)?;
    let quantization = import.tensor(id).quantization.clone();
    let op = Op::ResizeBilinear { align_corners, half_pixel_centers };
    let id = import.node(&import.name(operator), op, vec![id], vec![1, rows, columns, channels], quantization)?;
    let view: View = view.filled(channels, [rows, columns]);
    import.set_tensor(operator, 0, id, view)
}
