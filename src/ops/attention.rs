//! Scaled dot-product attention (Vaswani et al., 2017) of int8 or int16: `softmax(q k) v` for each head.
//!
//! Inputs: queries, keys and values with the strides that the parameters give; output `[heads][queries][columns]`. The
//! step has scratch memory for one i32 of each key, and more where the core makes use of it. The arithmetic is that of
//! [`attention`](crate::kernels::reference::attention).
//!
//! Masked, each query sees the start of the keys only: as many as its place among the queries allows, and as many as a fourth
//! input says, one int32, if the step has it. A query that sees no key gets the real 0.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, Matrices, OpKind, Operator, QuantizedElement, StepView};
use crate::kernels::reference::{Attention, Factor};
use crate::kernels::{self, Active, Core};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::AttentionInt8, verify: verify::<i8>, run: run::<i8> };
/// The int16 operator; all zero points are 0.
pub static INT16: Operator = Operator { kind: OpKind::AttentionInt16, verify: verify::<i16>, run: run::<i16> };

/// The int8 operator with a mask.
pub static MASKED_INT8: Operator =
    Operator { kind: OpKind::MaskedAttentionInt8, verify: verify_masked::<i8>, run: run_masked::<i8> };
/// The int16 operator with a mask.
pub static MASKED_INT16: Operator =
    Operator { kind: OpKind::MaskedAttentionInt16, verify: verify_masked::<i16>, run: run_masked::<i16> };

/// Parameters of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// Queries times keys.
    pub scores: Matrices,
    /// Probabilities times values; the first operand's strides are unused.
    pub context: Matrices,
    /// Bits that scores lose.
    pub score_shift: u8,
    /// A score in steps of `2^-12` of the exponent of 2.
    pub exponent: Factor,
    /// Sums of values with weights of `2^-15` as codes of the output.
    pub output: Factor,
}

/// Parameters of an attention with a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaskedParameters {
    /// Those without it.
    pub attention: Parameters,
    /// Keys that the first query sees; each further query sees one more. [`u32::MAX`]: all see all.
    pub visible: u32,
}

/// More keys could overflow the sums of values.
const MAX_KEYS: u32 = 32_767;

fn verify<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(3, 1)?;
    verify_products::<C>(view, view.parameters()?)
}

fn verify_masked<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    let limited = view.inputs() > 3;
    view.expect_operands(if limited { 4 } else { 3 }, 1)?;
    if limited {
        let length = view.input(3)?;
        length.expect(DataType::Int32)?;
        if length.elements() != 1 {
            return Err(Error::Shape);
        }
    }
    verify_products::<C>(view, view.parameters::<MaskedParameters>()?.attention)
}

fn verify_products<C: QuantizedElement>(view: &StepView<'_>, parameters: Parameters) -> Result<(), Error> {
    let Parameters { scores, context, score_shift, exponent, output } = parameters;
    let tensors = [view.input(0)?, view.input(1)?, view.input(2)?, view.output(0)?];
    for tensor in &tensors {
        tensor.expect_codes::<C>()?;
        if C::DATA_TYPE == DataType::Int16 && tensor.zero_point != 0 {
            return Err(Error::Quantization);
        }
    }
    let [q, k, v, result] = tensors.map(super::tensor::Tensor::elements);
    let ([_, of_q, of_k], [elements, _, of_v]) = (scores.reach(), context.reach());
    let fits = scores.batches == context.batches
        && scores.rows == context.rows
        && scores.columns == context.depth
        && (1..=MAX_KEYS).contains(&scores.columns)
        && of_q <= q
        && of_k <= k
        && of_v <= v
        && elements == result;
    if !fits {
        return Err(Error::Shape);
    }
    // Codes without their zero points have 15 bits, or 8 bits and a sign.
    let largest = u64::from(scores.depth) << if C::DATA_TYPE == DataType::Int16 { 30 } else { 16 };
    let defined = score_shift < 32 && largest >> score_shift <= 1 << 30 && exponent.is_sound() && output.is_sound();
    if !defined {
        return Err(Error::Quantization);
    }
    let scratch = view.record.scratch;
    let (need, have) = ((scores.columns as usize).saturating_mul(size_of::<i32>()), scratch.length as usize);
    if !(scratch.offset as usize).is_multiple_of(size_of::<i32>()) {
        return Err(Error::Misaligned);
    }
    if need <= have && have.is_multiple_of(size_of::<i32>()) { Ok(()) } else { Err(Error::Scratch { need, have }) }
}

fn run<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let parameters = call.view.parameters()?;
    run_products::<C>(call, parameters, u32::MAX)
}

fn run_masked<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let MaskedParameters { attention, visible } = call.view.parameters()?;
    run_products::<C>(call, attention, visible)
}

/// The attention of queries of which the first sees `visible` keys, and all at most as many as a fourth input says.
fn run_products<C: QuantizedElement>(call: &mut Call<'_, '_>, parameters: Parameters, visible: u32) -> kernels::Result {
    let view = call.view;
    let Parameters { mut scores, mut context, score_shift, exponent, output } = parameters;
    let (q, k, v) = (view.input(0)?, view.input(1)?, view.input(2)?);
    let zero_points = [q.zero_point, k.zero_point, v.zero_point, view.output(0)?.zero_point];
    let regions = call.output_and_scratch()?;
    let [codes, scratch] = regions.writable;
    if let Ok(length) = view.input(3) {
        let length = regions.rest.read::<i32>(length)?.first().copied().unwrap_or(0);
        scores.columns = scores.columns.min(length.max(0).unsigned_abs());
        context.depth = scores.columns;
    }
    let score_shift = score_shift.into();
    let attention = Attention { scores, context, score_shift, exponent, output, zero_points, visible };
    let operands = [regions.rest.read::<C>(q)?, regions.rest.read(k)?, regions.rest.read(v)?];
    Active::attention(&attention, operands, elements(scratch)?, elements(codes)?)
}
