//! Products of matrices that are both computed at run time, as attention needs them (TensorFlow Lite's BATCH_MATMUL;
//! int8 with double rounding, int16 with sums of 64 bits).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, Matrices, OpKind, Operator, QuantizedElement, StepView};
use crate::fixed::Multiplier;
use crate::kernels::reference::{self, MatmulParameters};
use crate::kernels::{self};

/// The int8 operator.
pub static INT8: Operator = Operator {
    kind: OpKind::BatchMatmulInt8,
    verify: verify::<i8>,
    run: |call| run::<i8>(call, reference::batch_matmul),
};
/// The int16 operator.
pub static INT16: Operator = Operator {
    kind: OpKind::BatchMatmulInt16,
    verify: verify::<i16>,
    run: |call| run::<i16>(call, reference::batch_matmul_i16),
};
/// The f32 operator; sums run over the depth in order.
pub static FLOAT32: Operator = Operator { kind: OpKind::BatchMatmulFloat32, verify: verify_f32, run: run_f32 };

/// Parameters of a product of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// Extents and strides; a transposed operand has its strides exchanged.
    pub matrices: Matrices,
    /// The mantissa of `first_scale * second_scale / output_scale`; unused for f32.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
}

impl Parameters {
    fn verify(&self, view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
        view.expect_operands(2, 1)?;
        let (a, b, output) = (view.input(0)?, view.input(1)?, view.output(0)?);
        for tensor in [&a, &b, &output] {
            tensor.expect(data_type)?;
        }
        let [elements, first, second] = self.matrices.reach();
        let fits = elements == output.elements() && first <= a.elements() && second <= b.elements();
        if fits { Ok(()) } else { Err(Error::Shape) }
    }
}

fn verify<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    let parameters: Parameters = view.parameters()?;
    parameters.verify(view, C::DATA_TYPE)?;
    for tensor in [view.input(0)?, view.input(1)?, view.output(0)?] {
        tensor.expect_codes::<C>()?;
    }
    let exponents = match C::DATA_TYPE {
        DataType::Int16 => Multiplier::WIDE_EXPONENTS,
        _ => Multiplier::EXPONENTS,
    };
    let defined = parameters.mantissa >= 0 && exponents.contains(&parameters.exponent);
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run<C: QuantizedElement>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Matrices, &MatmulParameters, &[C], &[C], &mut [C]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let Parameters { matrices, mantissa, exponent } = view.parameters()?;
    let (a, b, output) = (view.input(0)?, view.input(1)?, view.output(0)?);
    let scales = MatmulParameters {
        zero_points: [a.zero_point, b.zero_point],
        multiplier: Multiplier { mantissa, exponent },
        output_zero_point: output.zero_point,
    };
    let regions = call.output()?;
    let [codes] = regions.writable;
    kernel(&matrices, &scales, regions.rest.read(a)?, regions.rest.read(b)?, elements(codes)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters>()?.verify(view, DataType::Float32)
}

fn run_f32(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { matrices, .. } = view.parameters()?;
    let (a, b) = (view.input(0)?, view.input(1)?);
    let regions = call.output()?;
    let [values] = regions.writable;
    let (a, b) = (regions.rest.read(a)?, regions.rest.read(b)?);
    matrices.apply(a, b, elements(values)?, 0.0_f32, |sum, a, b| sum + a * b, |sum| sum)
}
