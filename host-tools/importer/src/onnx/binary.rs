//! Operators on two tensors, which may lie in different orders in memory and be broadcast.

use anyhow::{Context, Result, bail};
use nervelet_compiler::graph::{Data, Op, Quantization};

use super::file::Operator;
use super::import::{Import, Operand, Value};
use super::view::{Dimension, View};

/// The shape that two shapes broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    let extents = (0..rank).map(|axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => bail!("shapes {a:?} and {b:?} don't broadcast"),
    });
    extents.collect()
}

/// An operator on two tensors; `int8` where it has a kernel for codes.
pub(super) fn binary<'f>(import: &mut Import<'f>, operator: &Operator<'f>, op: Op, int8: bool) -> Result<()> {
    let (mut a, mut b) = (codes_or_reals(import, operator, 0)?, codes_or_reals(import, operator, 1)?);
    let output = import.int8_target(operator, &[&a, &b]).filter(|_| int8);
    if output.is_none() {
        let constant = |import: &Import<'f>, operand: &Operand| import.tensor(operand.id).data.is_some();
        a = if constant(import, &a) { import.operand(operator, 0)? } else { import.real(&a) };
        b = if constant(import, &b) { import.operand(operator, 1)? } else { import.real(&b) };
    }
    let shape = broadcast(&a.view.shape(), &b.view.shape())?;
    let (layout, places) = match layout(import, &shape, &[&a, &b]) {
        Some(found) => found,
        None => {
            (a, b) = (in_own_order(import, a)?, in_own_order(import, b)?);
            layout(import, &shape, &[&a, &b]).context("the operands don't fit each other")?
        }
    };
    let mut inputs = Vec::new();
    for (operand, place) in [&a, &b].into_iter().zip(&places) {
        let order: Vec<usize> = (0..place.len()).collect();
        let axes = place.iter().map(|dimension| dimension.iter().copied().collect()).collect();
        let seen = Operand { view: View { offset: operand.view.offset, axes }, ..operand.clone() };
        let id = import.in_order(&seen, &order)?;
        inputs.push(import.shape_as(id, &merged_shape(&layout, &places, place)));
    }
    let full: Vec<Option<Dimension>> =
        layout.iter().map(|part| Some(Dimension { extent: part.extent, stride: 0 })).collect();
    let output_shape = merged_shape(&layout, &places, &full);
    let id = import.node(&import.name(operator), op, inputs, output_shape, output)?;
    import.set_tensor(operator, 0, id, view_of(&layout, shape.len()))
}

/// An operand: the codes of a constant that was quantized as a whole, where there are any.
fn codes_or_reals<'f>(import: &mut Import<'f>, operator: &Operator<'f>, position: usize) -> Result<Operand> {
    let Value::Constant(constant) = import.input(operator, position)? else {
        return import.operand(operator, position);
    };
    let codes = constant.codes.as_ref().filter(|codes| codes.scales.len() == 1);
    let Some((codes, scale)) = codes.and_then(|codes| Some((codes.int8()?, codes.scales[0]))) else {
        return import.operand(operator, position);
    };
    let (codes, zero_points) = codes;
    let shape = constant.array.shape.clone();
    let view = View::of(&shape);
    let quantization = Quantization::per_tensor(scale, zero_points[0] as i32);
    let id = import.add_data(operator.input(position)?, shape, Data::Int8(codes), Some(quantization));
    Ok(Operand { id, view, codes: false })
}

/// A dimension of a result: of which axis, where among that axis's dimensions.
struct Part {
    axis: usize,
    index: usize,
    extent: usize,
}

/// For each operand the dimension of its memory that walks along each of the result; `None` where it repeats.
type Places = Vec<Vec<Option<Dimension>>>;

/// An operand moved to the order of its axes.
fn in_own_order(import: &mut Import<'_>, operand: Operand) -> Result<Operand> {
    let order: Vec<usize> = (0..operand.view.rank()).collect();
    let id = import.in_order(&operand, &order)?;
    Ok(Operand { id, view: operand.view.packed(&order), ..operand })
}

/// The order of a result in memory: that of the largest operand if the others can be cut as it is, or that of the axes.
fn layout(import: &Import<'_>, shape: &[usize], operands: &[&Operand]) -> Option<(Vec<Part>, Places)> {
    let elements: usize = shape.iter().product();
    let computed = |operand: &&&Operand| import.tensor(operand.id).data.is_none();
    let leads = operands.iter().filter(computed).filter(|operand| operand.view.elements() == elements);
    for lead in leads {
        let Some(memory) = lead.view.memory(import.tensor(lead.id).elements()) else { continue };
        let missing = shape.len() - lead.view.rank();
        let part = |wanted: &Dimension| {
            let mut axes = lead.view.axes.iter().enumerate();
            axes.find_map(|(axis, dimensions)| {
                let index = dimensions.iter().position(|dimension| dimension == wanted)?;
                Some(Part { axis: axis + missing, index, extent: wanted.extent })
            })
        };
        let Some(parts) = memory.iter().map(part).collect::<Option<Vec<_>>>() else { continue };
        if let Some(places) = operands.iter().map(|operand| places(&parts, shape.len(), operand)).collect() {
            return Some((parts, places));
        }
    }
    let wide = shape.iter().enumerate().filter(|(_, extent)| **extent > 1);
    let parts: Vec<Part> = wide.map(|(axis, extent)| Part { axis, index: 0, extent: *extent }).collect();
    let places = operands.iter().map(|operand| places(&parts, shape.len(), operand)).collect::<Option<_>>()?;
    Some((parts, places))
}

/// Where an operand lies along the parts of a result.
fn places(parts: &[Part], rank: usize, operand: &Operand) -> Option<Vec<Option<Dimension>>> {
    let missing = rank - operand.view.rank();
    let place = |part: &Part| {
        let Some(axis) = part.axis.checked_sub(missing) else { return Some(None) };
        if operand.view.axes[axis].is_empty() {
            return Some(None);
        }
        let of_axis = |index: usize| parts.iter().find(|other| other.axis == part.axis && other.index == index);
        let extents: Vec<usize> = (0..).map_while(|index| of_axis(index).map(|part| part.extent)).collect();
        let cut = operand.view.cut(axis, &extents)?;
        Some(Some(*cut.get(part.index).filter(|_| cut.len() == extents.len())?))
    };
    parts.iter().map(place).collect()
}

/// The shape of an operand along the parts; neighbours that all operands walk alike are one axis.
fn merged_shape(layout: &[Part], places: &Places, place: &[Option<Dimension>]) -> Vec<usize> {
    let alike = |at: usize| places.iter().all(|place| place[at].is_some() == place[at - 1].is_some());
    let mut shape: Vec<usize> = Vec::new();
    for (at, part) in layout.iter().enumerate() {
        let extent = if place[at].is_some() { part.extent } else { 1 };
        match shape.last_mut() {
            Some(last) if at > 0 && alike(at) => *last *= extent,
            _ => shape.push(extent),
        }
    }
    if shape.is_empty() { vec![1] } else { shape }
}

/// How the file sees a result whose parts lie in memory in their order.
fn view_of(layout: &[Part], rank: usize) -> View {
    let mut axes: Vec<Vec<(usize, Dimension)>> = vec![Vec::new(); rank];
    let mut stride = 1;
    for part in layout.iter().rev() {
        axes[part.axis].push((part.index, Dimension { extent: part.extent, stride }));
        stride *= part.extent as i64;
    }
    let sorted = axes.into_iter().map(|mut axis| {
        axis.sort_by_key(|(index, _)| *index);
        axis.into_iter().map(|(_, dimension)| dimension).collect()
    });
    View { offset: 0, axes: sorted.collect() }
}
