//! QuantizeLinear and DequantizeLinear.
//!
//! A dequantized tensor stays codes in memory: operators between a dequantization and a quantization compute in int8,
//! and only what has no int8 kernel turns them into floats. Codes of uint8 become int8 by shifting the zero point.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Op, Quantization};

use super::array::{Array, Codes, Constant, Elements, Kind};
use super::file::{Operator, axis};
use super::import::{Import, Operand, Value};

/// The scale and zero point of a node that quantizes or dequantizes a whole tensor, for codes of int8.
pub(super) fn parameters(import: &Import<'_>, operator: &Operator<'_>) -> Result<Quantization> {
    let (scales, zero_points, kind) = scales(import, operator, Kind::Uint8)?;
    let ([scale], [zero_point]) = (&scales[..], &zero_points[..]) else {
        bail!("quantizes a tensor that is no constant per channel: one scale is taken")
    };
    let shift = match kind {
        Kind::Int8 => 0,
        Kind::Uint8 => 128,
        other => bail!("quantizes to {other:?}: int8 and uint8 are taken"),
    };
    let zero_point = zero_point - shift;
    ensure!((-128..=127).contains(&zero_point), "zero point {zero_point} is no code");
    Ok(Quantization::per_tensor(*scale, zero_point as i32))
}

/// The scales, as many zero points, and their type; `otherwise` without a zero point.
fn scales(import: &Import<'_>, operator: &Operator<'_>, otherwise: Kind) -> Result<(Vec<f32>, Vec<i64>, Kind)> {
    operator.expect_int("block_size", 0)?;
    let constant = |position: usize| -> Result<Option<Array>> {
        let Some(name) = operator.optional_input(position) else { return Ok(None) };
        match import.value(name)? {
            Value::Constant(constant) => Ok(Some(constant.array.clone())),
            Value::Tensor(_) => bail!("scale and zero point have to be constants"),
        }
    };
    let scales = constant(1)?.context("has no scale")?.reals().context("the scale")?.to_vec();
    let wrong = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0));
    ensure!(wrong.is_none(), "a scale of {} is not positive", wrong.copied().unwrap_or_default());
    let (zero_points, kind) = match constant(2)? {
        Some(zero_points) => (zero_points.whole().context("the zero point")?.to_vec(), zero_points.kind),
        None => (vec![0; scales.len()], otherwise),
    };
    ensure!(zero_points.len() == scales.len(), "{} scales but {} zero points", scales.len(), zero_points.len());
    Ok((scales, zero_points, kind))
}

/// Which scale an element of a constant has.
fn scale_index(shape: &[usize], scales: usize, along: i64) -> Result<(usize, impl Fn(usize) -> usize + use<>)> {
    let along = if scales == 1 { 0 } else { axis(along, shape.len())? };
    let count = if scales == 1 { 1 } else { shape.get(along).copied().unwrap_or(1) };
    ensure!(scales == count, "{scales} scales for an axis of {count}");
    let inner: usize = shape.iter().skip(along + 1).product();
    Ok((along, move |at| if count == 1 { 0 } else { at / inner.max(1) % count }))
}

pub(super) fn quantize<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let operand = match import.input(operator, 0)? {
        Value::Constant(constant) => return quantize_constant(import, operator, &constant),
        Value::Tensor(operand) => operand,
    };
    ensure!(!operand.codes, "quantizes what is quantized already");
    let wanted = parameters(import, operator)?;
    let tensor = import.tensor(operand.id).clone();
    let same = tensor.data_type == DataType::Int8 && tensor.quantization.as_ref() == Some(&wanted);
    let id = if same {
        operand.id
    } else {
        import.node(&import.name(operator), Op::Quantize, vec![operand.id], tensor.shape, Some(wanted))?
    };
    import.set(operator, 0, Value::Tensor(Operand { id, codes: true, ..operand }))
}

fn quantize_constant<'f>(import: &mut Import<'f>, operator: &Operator<'f>, constant: &Constant) -> Result<()> {
    let (scales, zero_points, kind) = scales(import, operator, Kind::Uint8)?;
    let range = match kind {
        Kind::Int8 => -128.0..=127.0,
        Kind::Uint8 => 0.0..=255.0,
        other => bail!("quantizes to {other:?}: int8 and uint8 are taken"),
    };
    let shape = constant.array.shape.clone();
    let (_, index) = scale_index(&shape, scales.len(), operator.int("axis", 1)?)?;
    let code = |(at, value): (usize, &f32)| {
        let code = (value / scales[index(at)]).round_ties_even() + zero_points[index(at)] as f32;
        code.clamp(*range.start(), *range.end()) as i64
    };
    let values = constant.array.reals()?;
    import.charge(values.len())?;
    let elements = Elements::Integer(values.iter().enumerate().map(code).collect());
    import.set_constant(operator, Array { shape, kind, elements })
}

pub(super) fn dequantize<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let operand = match import.input(operator, 0)? {
        Value::Constant(constant) => return dequantize_constant(import, operator, &constant),
        Value::Tensor(operand) => operand,
    };
    let codes = operand.codes && import.tensor(operand.id).data_type == DataType::Int8;
    ensure!(codes, "dequantizes what is not quantized");
    let wanted = parameters(import, operator)?;
    let found = &mut import.tensor_mut(operand.id).quantization;
    let found = found.get_or_insert_with(|| wanted.clone());
    ensure!(*found == wanted, "has another scale or zero point than the codes: the file is damaged");
    import.set(operator, 0, Value::Tensor(Operand { codes: false, ..operand }))
}

fn dequantize_constant<'f>(import: &mut Import<'f>, operator: &Operator<'f>, constant: &Constant) -> Result<()> {
    let array = &constant.array;
    let (scales, zero_points, _) = scales(import, operator, array.kind)?;
    let (along, index) = scale_index(&array.shape, scales.len(), operator.int("axis", 1)?)?;
    let codes = array.whole()?.to_vec();
    import.charge(codes.len())?;
    let real = |(at, code): (usize, &i64)| scales[index(at)] * code.saturating_sub(zero_points[index(at)]) as f32;
    let reals = Array::floats(array.shape.clone(), codes.iter().enumerate().map(real).collect());
    let codes = Codes { codes, kind: array.kind, scales, zero_points, axis: along };
    import.set(operator, 0, Value::Constant(std::rc::Rc::new(Constant { array: reals, codes: Some(codes) })))
}

impl Codes {
    /// The codes as int8, if they are of 8 bits, with their zero points.
    pub(super) fn int8(&self) -> Option<(Vec<i8>, Vec<i64>)> {
        let shift = match self.kind {
            Kind::Int8 => 0,
            Kind::Uint8 => 128,
            _ => return None,
        };
        let codes = self.codes.iter().map(|code| i8::try_from(code - shift).ok()).collect::<Option<Vec<i8>>>()?;
        Some((codes, self.zero_points.iter().map(|zero_point| zero_point - shift).collect()))
    }

    /// Whether a layer can take them as weights whose scales run along an axis.
    pub(super) fn are_weights(&self, channels: usize) -> bool {
        let symmetric =
            self.int8().is_some_and(|(_, zero_points)| zero_points.iter().all(|zero_point| *zero_point == 0));
        symmetric && (self.scales.len() == 1 || self.axis == channels)
    }
}
