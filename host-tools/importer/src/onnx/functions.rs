//! Functions of each element, and along an axis.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Data, Function, Op, Quantization, TensorId};

use super::file::{Operator, axis};
use super::import::{Import, Operand, Value};
use super::view::View;

/// A function of each element; with `real` given, int8 tensors get a table of it.
pub(super) fn unary<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    op: Op,
    real: Option<fn(f64) -> f64>,
) -> Result<()> {
    let x = import.operand(operator, 0)?;
    match (import.int8_target(operator, &[&x]), real) {
        (Some(output), Some(real)) => table(import, operator, &x, output, real),
        _ => float_unary(import, operator, &x, op),
    }
}

fn float_unary<'f>(import: &mut Import<'f>, operator: &Operator<'f>, x: &Operand, op: Op) -> Result<()> {
    let x = import.dense(x)?;
    let x = import.real(&x);
    let shape = import.tensor(x.id).shape.clone();
    let id = import.node(&import.name(operator), op, vec![x.id], shape, None)?;
    import.set_tensor(operator, 0, id, x.view)
}

/// A function of int8 codes: each of the 256 rounded once, halves to even.
pub(super) fn table<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    x: &Operand,
    output: Quantization,
    real: impl Fn(f64) -> f64,
) -> Result<()> {
    let x = import.dense(x)?;
    let tensor = import.tensor(x.id);
    let (input, shape) = (tensor.quantization.clone().context("codes without a scale")?, tensor.shape.clone());
    let code = |code: i32| {
        let y = real(f64::from(input.scales[0]) * f64::from(code - input.zero_points[0]));
        let code = (y / f64::from(output.scales[0])).round_ties_even() + f64::from(output.zero_points[0]);
        code.clamp(-128.0, 127.0) as i8
    };
    let op = Op::Table { codes: (-128..=127).map(code).collect() };
    let id = import.node(&import.name(operator), op, vec![x.id], shape, Some(output))?;
    import.set_tensor(operator, 0, id, x.view)
}

/// A relu of codes; where the scale stays, the layer in front takes it in.
pub(super) fn relu<'f>(import: &mut Import<'f>, operator: &Operator<'f>, activation: Activation) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let (low, high) = activation.range();
    match import.int8_target(operator, &[&x]) {
        Some(output) if import.tensor(x.id).quantization.as_ref() == Some(&output) => {
            let x = import.dense(&x)?;
            let shape = import.tensor(x.id).shape.clone();
            let id = import.node(&import.name(operator), Op::Clamp { activation }, vec![x.id], shape, Some(output))?;
            import.set_tensor(operator, 0, id, x.view)
        }
        Some(output) => table(import, operator, &x, output, |x| x.max(f64::from(low)).min(f64::from(high))),
        None => float_unary(import, operator, &x, Op::Clamp { activation }),
    }
}

pub(super) fn clip<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let bound = |position: usize, name: &str, otherwise: f32| -> Result<f32> {
        match import.optional_constant(operator, position)? {
            Some(constant) => constant.array.uniform().with_context(|| format!("{name} is no number")),
            None => operator.float(name, otherwise),
        }
    };
    let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    let activation = match (low, high) {
        (0.0, 6.0) => Activation::Relu6,
        (-1.0, 1.0) => Activation::ReluN1To1,
        (0.0, high) if high >= f32::MAX => Activation::Relu,
        _ => return bounded(import, operator, low, high),
    };
    relu(import, operator, activation)
}

fn bounded<'f>(import: &mut Import<'f>, operator: &Operator<'f>, low: f32, high: f32) -> Result<()> {
    ensure!(low <= high, "clips to {low}..={high}, which is empty");
    let x = import.operand(operator, 0)?;
    if let Some(output) = import.int8_target(operator, &[&x]) {
        return table(import, operator, &x, output, |x| x.clamp(low.into(), high.into()));
    }
    let x = import.dense(&x)?;
    let x = import.real(&x);
    let mut id = x.id;
    for (op, bound, given) in [(Op::Maximum, low, low > f32::MIN), (Op::Minimum, high, high < f32::MAX)] {
        if given {
            id = with_number(import, operator, op, id, bound)?;
        }
    }
    import.set_tensor(operator, 0, id, x.view)
}

/// An operator on a tensor and a number.
fn with_number<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    op: Op,
    id: TensorId,
    number: f32,
) -> Result<TensorId> {
    let name = format!("{}.{}", import.name(operator), op.name());
    let number = import.add_data(&name, vec![1], Data::Float32(vec![number]), None);
    let shape = import.tensor(id).shape.clone();
    import.node(&name, op, vec![id, number], shape, None)
}

pub(super) fn hard_sigmoid<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let (alpha, beta) = (operator.float("alpha", 0.2)?, operator.float("beta", 0.5)?);
    let x = import.operand(operator, 0)?;
    if let Some(output) = import.int8_target(operator, &[&x]) {
        return table(import, operator, &x, output, |x| (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0));
    }
    let x = import.dense(&x)?;
    let x = import.real(&x);
    let activation = Activation::None;
    let id = with_number(import, operator, Op::Mul { activation }, x.id, alpha)?;
    let id = with_number(import, operator, Op::Add { activation: Activation::Relu }, id, beta)?;
    let id = with_number(import, operator, Op::Minimum, id, 1.0)?;
    import.set_tensor(operator, 0, id, x.view)
}

pub(super) fn elu<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let alpha = operator.float("alpha", 1.0)?;
    ensure!(alpha == 1.0, "alpha={alpha} is not taken, only 1");
    unary(import, operator, Op::Function(Function::Elu), Some(|x| if x >= 0.0 { x } else { x.exp_m1() }))
}

pub(super) fn leaky_relu<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let slope = operator.float("alpha", 0.01)?;
    let x = import.operand(operator, 0)?;
    if let Some(output) = import.int8_target(operator, &[&x]) {
        return table(import, operator, &x, output, |x| if x >= 0.0 { x } else { x * f64::from(slope) });
    }
    float_unary(import, operator, &x, Op::Function(Function::LeakyRelu { slope }))
}

pub(super) fn gelu<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let function = match operator.text("approximate", "none")? {
        "none" => Function::Gelu,
        "tanh" => Function::GeluTanh,
        other => bail!("approximate={other} is not known"),
    };
    unary(import, operator, Op::Function(function), None)
}

/// A power by a constant exponent.
pub(super) fn pow<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let exponent = import.constant(operator, 1).context("the exponent has to be a constant")?;
    let exponent = match exponent.array.uniform() {
        Some(exponent) => exponent,
        None => match exponent.array.whole() {
            Ok([exponent]) => *exponent as f32,
            _ => bail!("the exponent is no number"),
        },
    };
    let function = match exponent {
        1.0 => {
            let value = import.input(operator, 0)?;
            return import.set(operator, 0, value);
        }
        2.0 => Function::Square,
        0.5 => Function::Sqrt,
        -0.5 => Function::Rsqrt,
        3.0 => return cube(import, operator),
        -1.0 => return reciprocal(import, operator),
        _ => bail!("an exponent of {exponent} is not taken: -1, -0.5, 0.5, 1, 2 and 3 are"),
    };
    unary(import, operator, Op::Function(function), None)
}

fn cube<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let x = import.real_operand(operator, 0)?;
    let x = import.dense(&x)?;
    let (name, shape) = (import.name(operator), import.tensor(x.id).shape.clone());
    let square = Op::Function(Function::Square);
    let square = import.node(&format!("{name}.square"), square, vec![x.id], shape.clone(), None)?;
    let id = import.node(&name, Op::Mul { activation: Activation::None }, vec![square, x.id], shape, None)?;
    import.set_tensor(operator, 0, id, x.view)
}

pub(super) fn reciprocal<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let x = import.real_operand(operator, 0)?;
    let x = import.dense(&x)?;
    let (name, shape) = (import.name(operator), import.tensor(x.id).shape.clone());
    let one = import.add_data(&name, vec![1], Data::Float32(vec![1.0]), None);
    let id = import.node(&name, Op::Div { activation: Activation::None }, vec![one, x.id], shape, None)?;
    import.set_tensor(operator, 0, id, x.view)
}

/// Softmax or log softmax along an axis.
pub(super) fn softmax<'f>(import: &mut Import<'f>, operator: &Operator<'f>, log: bool) -> Result<()> {
    let x = import.operand(operator, 0)?;
    let shape = x.view.shape();
    let axis = axis(operator.int("axis", if operator.set < 13 { 1 } else { -1 })?, shape.len())?;
    // Before version 13 all axes from this one on are one.
    let (x, axis, shape_back) = if operator.set < 13 && axis + 1 < shape.len() {
        (joined(import, &x, axis)?, axis, Some(shape))
    } else {
        (x, axis, None)
    };
    let output = import.int8_target(operator, &[&x]).filter(|output| !log && is_softmax_scale(output));
    let x = if output.is_some() { x } else { import.real(&x) };
    let (x, _) = import.innermost(&x, axis)?;
    let depth = x.view.shape()[axis];
    let shape = vec![x.view.elements() / depth, depth];
    let input = import.shape_as(x.id, &shape);
    let op = if log { Op::LogSoftmax } else { Op::Softmax { beta: 1.0 } };
    let id = import.node(&import.name(operator), op, vec![input], shape, output)?;
    let view = match shape_back {
        Some(shape) => x.view.reshaped(&shape).context("a softmax over several axes is lost")?,
        None => x.view,
    };
    import.set_tensor(operator, 0, id, view)
}

/// The scale that the int8 softmax computes in; another one goes through floats.
fn is_softmax_scale(output: &Quantization) -> bool {
    output.zero_points == [-128] && output.scales.iter().all(|scale| (scale * 256.0 - 1.0).abs() < 1e-6)
}

/// An operand whose axes from one on are one axis.
fn joined(import: &mut Import<'_>, x: &Operand, axis: usize) -> Result<Operand> {
    let mut shape = x.view.shape();
    let last = shape.split_off(axis).iter().product();
    shape.push(last);
    if let Some(view) = x.view.reshaped(&shape) {
        return Ok(Operand { view, ..x.clone() });
    }
    let id = import.in_logical_order(x)?;
    Ok(Operand { id, view: View::of(&shape), ..x.clone() })
}

/// A layer normalisation; without `centred` one by the root mean square.
pub(super) fn layer_norm<'f>(import: &mut Import<'f>, operator: &Operator<'f>, centred: bool) -> Result<()> {
    ensure!(
        operator.output(1).is_none() && operator.output(2).is_none(),
        "the mean and deviation of a layer norm are not given out"
    );
    let epsilon = operator.float("epsilon", 1e-5)?;
    let x = import.real_operand(operator, 0)?;
    let shape = x.view.shape();
    let axis = axis(operator.int("axis", -1)?, shape.len())?;
    let x = joined(import, &x, axis)?;
    let (x, memory) = import.innermost(&x, axis)?;
    let depth = x.view.shape()[axis];
    let vector = super::layers::as_in_memory(&View::of(&[depth]), 0, &x.view.axes[axis], &memory)?;
    let vector = View { offset: 0, axes: vec![vector] };
    let name = import.name(operator);
    let flat = vec![x.view.elements() / depth, depth];
    let mut inputs = vec![import.shape_as(x.id, &flat)];
    for position in if centred { 1..3 } else { 1..2 } {
        let values = match import.optional_constant(operator, position)? {
            Some(constant) => {
                let found = constant.array.shape.clone();
                ensure!(constant.array.len() == depth, "input {position} of shape {found:?} meets {depth} elements");
                constant.array.seen(&vector).reals()?.to_vec()
            }
            None => vec![if position == 1 { 1.0 } else { 0.0 }; depth],
        };
        inputs.push(import.add_data(&name, vec![depth], Data::Float32(values), None));
    }
    let op = if centred { Op::LayerNorm { epsilon } } else { Op::RmsNorm { epsilon } };
    let id = import.node(&name, op, inputs, flat, None)?;
    let view = x.view.reshaped(&shape).context("a layer norm over several axes is lost")?;
    import.set_tensor(operator, 0, id, view)
}

/// A relu with learned slopes; one slope for all is a leaky relu.
pub(super) fn prelu<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let slopes = import.constant(operator, 1).context("the slopes have to be constants")?;
    if let Some(slope) = slopes.array.uniform() {
        let x = import.operand(operator, 0)?;
        if let Some(output) = import.int8_target(operator, &[&x]) {
            return table(import, operator, &x, output, |x| if x >= 0.0 { x } else { x * f64::from(slope) });
        }
        return float_unary(import, operator, &x, Op::Function(Function::LeakyRelu { slope }));
    }
    super::binary::binary(import, operator, Op::Prelu, false)
}

/// A cast between types; between floats it does nothing.
pub(super) fn cast<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let to = operator.int("to", 1)?;
    // Between integers of 32 and 64 bits as well.
    if matches!(to, 6 | 7) && import.integers(operator, 0)?.is_some() {
        let value = import.input(operator, 0)?;
        return import.set(operator, 0, value);
    }
    let operand = import.operand(operator, 0)?;
    ensure!(to == 1, "casts to element type {to}: only float32 is taken for what is computed at run time");
    let float = matches!(import.tensor(operand.id).data_type, DataType::Float32 | DataType::Int8);
    ensure!(float, "casts what is no float");
    import.set(operator, 0, Value::Tensor(operand))
}
