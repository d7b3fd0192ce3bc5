//! Maximum, minimum and the position of the maximum over neighbouring axes; shapes as in
//! [`mean`](super::mean::Parameters), whose multiplier is unused here.
//!
//! Codes are compared as they are: input and output of a maximum share their quantization. Of equal values the first
//! has the position.

use super::mean::Parameters;
use super::regions::elements;
use super::{Call, DataType, Element, Error, OpKind, Operator, StepView};
use crate::kernels::reference::{Rows, fold_rows};
use crate::kernels::{self};

/// The largest int8 code.
pub static MAX_INT8: Operator = Operator {
    kind: OpKind::ReduceMaxInt8,
    verify: |view| verify(view, DataType::Int8),
    run: |call| run::<i8>(call, Ord::max),
};
/// The largest f32 value.
pub static MAX_FLOAT32: Operator = Operator {
    kind: OpKind::ReduceMaxFloat32,
    verify: |view| verify(view, DataType::Float32),
    run: |call| run::<f32>(call, f32::max),
};
/// The smallest int8 code.
pub static MIN_INT8: Operator = Operator {
    kind: OpKind::ReduceMinInt8,
    verify: |view| verify(view, DataType::Int8),
    run: |call| run::<i8>(call, Ord::min),
};
/// The smallest f32 value.
pub static MIN_FLOAT32: Operator = Operator {
    kind: OpKind::ReduceMinFloat32,
    verify: |view| verify(view, DataType::Float32),
    run: |call| run::<f32>(call, f32::min),
};
/// The position of the largest int8 code, as int32 or int64.
pub static ARG_MAX_INT8: Operator = Operator {
    kind: OpKind::ArgMaxInt8,
    verify: |view| verify_position(view, DataType::Int8),
    run: run_position::<i8>,
};
/// The position of the largest f32 value, as int32 or int64.
pub static ARG_MAX_FLOAT32: Operator = Operator {
    kind: OpKind::ArgMaxFloat32,
    verify: |view| verify_position(view, DataType::Float32),
    run: run_position::<f32>,
};

fn verify(view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
    view.parameters::<Parameters>()?.verify(view, data_type)?;
    view.output(0)?.expect(data_type)
}

fn run<T: Element>(call: &mut Call<'_, '_>, choose: fn(T, T) -> T) -> kernels::Result {
    fold::<T, T>(call, |values| values.reduce(choose).unwrap_or_else(T::zeroed))
}

fn verify_position(view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
    view.parameters::<Parameters>()?.verify(view, data_type)?;
    match view.output(0)?.data_type {
        DataType::Int32 | DataType::Int64 => Ok(()),
        found => Err(Error::DataType { found }),
    }
}

fn run_position<T: Element + PartialOrd>(call: &mut Call<'_, '_>) -> kernels::Result {
    let position = |values: Rows<'_, T>| {
        let largest = values.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
        largest.map_or(0, |(position, _)| position)
    };
    match call.view.output(0)?.data_type {
        DataType::Int32 => fold::<T, i32>(call, |values| position(values) as i32),
        _ => fold::<T, i64>(call, |values| position(values) as i64),
    }
}

fn fold<T: Element, O: Element>(call: &mut Call<'_, '_>, fold: impl Fn(Rows<'_, T>) -> O) -> kernels::Result {
    let view = call.view;
    let Parameters { count, channels, .. } = view.parameters()?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    fold_rows(channels as usize, count as usize, regions.rest.read::<T>(input)?, elements::<O>(values)?, fold)
}
