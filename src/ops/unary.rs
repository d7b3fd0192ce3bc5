//! F32 functions of one value. Accurate to `libm`: within 2 units in the last place of each function called.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView};
use crate::kernels::{self};

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $kind:ident, $function:expr;)*) => {$(
        $(#[$doc])*
        pub static $name: Operator = Operator { kind: OpKind::$kind, verify, run: |call| run(call, $function) };
    )*};
}

functions! {
    /// `1 / (1 + exp(-x))`; it has no parameters, nor have the functions after it.
    LOGISTIC_FLOAT32 = LogisticFloat32, |x| 1.0 / (1.0 + libm::expf(-x));
    /// The hyperbolic tangent.
    TANH_FLOAT32 = TanhFloat32, libm::tanhf;
    /// `exp(x)`.
    EXP_FLOAT32 = ExpFloat32, libm::expf;
    /// The natural logarithm.
    LOG_FLOAT32 = LogFloat32, libm::logf;
    /// `|x|`.
    ABS_FLOAT32 = AbsFloat32, libm::fabsf;
    /// `-x`.
    NEG_FLOAT32 = NegFloat32, |x| -x;
    /// `x * x`.
    SQUARE_FLOAT32 = SquareFloat32, |x| x * x;
    /// The square root.
    SQRT_FLOAT32 = SqrtFloat32, libm::sqrtf;
    /// `1 / sqrt(x)`.
    RSQRT_FLOAT32 = RsqrtFloat32, |x| 1.0 / libm::sqrtf(x);
    /// The sine.
    SIN_FLOAT32 = SinFloat32, libm::sinf;
    /// The cosine.
    COS_FLOAT32 = CosFloat32, libm::cosf;
    /// The next integer below.
    FLOOR_FLOAT32 = FloorFloat32, libm::floorf;
    /// The next integer above.
    CEIL_FLOAT32 = CeilFloat32, libm::ceilf;
    /// The nearest integer, halves to even.
    ROUND_FLOAT32 = RoundFloat32, libm::rintf;
    /// `x` where it is positive, `exp(x) - 1` elsewhere.
    ELU_FLOAT32 = EluFloat32, |x| if x >= 0.0 { x } else { libm::expm1f(x) };
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HARD_SWISH_FLOAT32 = HardSwishFloat32, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0;
    /// The error function.
    ERF_FLOAT32 = ErfFloat32, libm::erff;
    /// `x` times the distribution function of the normal distribution.
    GELU_FLOAT32 = GeluFloat32, |x| 0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2));
    /// The tanh form of the same (Hendrycks and Gimpel, 2016).
    GELU_TANH_FLOAT32 = GeluTanhFloat32, |x| {
        0.5 * x * (1.0 + libm::tanhf(0.797_884_6 * (x + 0.044_715 * x * x * x)))
    };
}

/// `max(low, min(x, high))`.
pub static CLAMP_FLOAT32: Operator = Operator { kind: OpKind::ClampFloat32, verify: verify_clamp, run: run_clamp };

/// `x` where it is positive, `slope * x` elsewhere.
pub static LEAKY_RELU_FLOAT32: Operator =
    Operator { kind: OpKind::LeakyReluFloat32, verify: verify_leaky_relu, run: run_leaky_relu };

/// Parameters of a leaky relu.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LeakyReluParameters {
    /// The slope of what is negative.
    pub slope: f32,
}

/// Parameters of a clamp.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClampParameters {
    /// The smallest and the largest output.
    pub range: [f32; 2],
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(DataType::Float32)?;
    output.expect(DataType::Float32)?;
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>, function: impl Fn(f32) -> f32) -> kernels::Result {
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    for (x, value) in regions.rest.read(input)?.iter().zip(elements(values)?) {
        *value = function(*x);
    }
    Ok(())
}

fn verify_clamp(view: &StepView<'_>) -> Result<(), Error> {
    verify(view)?;
    let [low, high] = view.parameters::<ClampParameters>()?.range;
    if low <= high { Ok(()) } else { Err(Error::Quantization) }
}

fn run_clamp(call: &mut Call<'_, '_>) -> kernels::Result {
    let [low, high] = call.view.parameters::<ClampParameters>()?.range;
    run(call, |x| x.max(low).min(high))
}

fn verify_leaky_relu(view: &StepView<'_>) -> Result<(), Error> {
    verify(view)?;
    view.parameters::<LeakyReluParameters>()?;
    Ok(())
}

fn run_leaky_relu(call: &mut Call<'_, '_>) -> kernels::Result {
    let LeakyReluParameters { slope } = call.view.parameters()?;
    run(call, |x| if x >= 0.0 { x } else { x * slope })
}
