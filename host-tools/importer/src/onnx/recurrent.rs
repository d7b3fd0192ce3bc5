//! RNN, GRU and LSTM.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::{Activation, Cell, Data, Op, TensorId};

use super::array::Array;
use super::file::Operator;
use super::import::{Import, Operand, Value};
use super::view::View;

/// The extents of a recurrent layer.
struct Extents {
    time: usize,
    units: usize,
    directions: usize,
}

pub(super) fn recurrent<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let batch_first = operator.int("layout", 0)? != 0;
    let mut x = import.real_operand(operator, 0)?;
    ensure!(x.view.rank() == 3, "reads {:?}, which is no sequence", x.view.shape());
    if batch_first {
        x.view = x.view.transposed(&[1, 0, 2])?;
    }
    let [time, batch, depth] = x.view.shape()[..] else { bail!("reads no sequence") };
    ensure!(batch == 1, "works on a batch of {batch}: export with a batch of 1");
    let reverse: &[bool] = match operator.text("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => bail!("direction={other} is not known"),
    };
    let cell = cell(operator, reverse.len())?;
    let weights = import.constant(operator, 1).context("weights have to be constants")?;
    let recurrent = import.constant(operator, 2).context("weights have to be constants")?;
    let bias = import.optional_constant(operator, 3)?;
    let [_, rows, units] = recurrent.array.shape[..] else { bail!("recurrent weights have to have three axes") };
    let gates = cell.gates();
    ensure!(
        rows == gates * units && units > 0,
        "recurrent weights are {rows} x {units}, not {gates} gates of the units"
    );
    let extents = Extents { time, units, directions: reverse.len() };
    let wanted = [
        (&weights.array, vec![extents.directions, rows, depth]),
        (&recurrent.array, vec![extents.directions, rows, units]),
    ];
    for (array, shape) in wanted {
        ensure!(array.shape == shape, "weights of shape {:?} where {shape:?} belongs", array.shape);
    }
    if let Some(bias) = &bias {
        let shape = vec![extents.directions, 2 * rows];
        ensure!(bias.array.shape == shape, "biases of shape {:?} where {shape:?} belongs", bias.array.shape);
    }
    let length = length(import, operator, time)?;
    let sequence = import.in_order(&x, &[0, 1, 2])?;
    let sequence = import.shape_as(sequence, &[1, time, depth]);
    let name = import.name(operator);
    // For each direction the sequence of states, the last state and the last cell.
    let mut results: Vec<Vec<TensorId>> = Vec::new();
    for (direction, reverse) in reverse.iter().enumerate() {
        let name = if extents.directions == 2 { format!("{name}.{direction}") } else { name.clone() };
        let mut inputs = vec![sequence];
        inputs.push(part(import, &name, &weights.array, direction, cell, depth)?);
        inputs.push(part(import, &name, &recurrent.array, direction, cell, units)?);
        for side in [0, 1] {
            let bias = match &bias {
                Some(bias) => {
                    let own = bias.array.reals()?.chunks_exact(rows).nth(2 * direction + side);
                    own.context("biases are missing")?.to_vec()
                }
                None => vec![0.0; rows],
            };
            let bias = Array::floats(vec![1, rows, 1], bias);
            inputs.push(part(import, &name, &bias, 0, cell, 1)?);
        }
        inputs.extend(initial(import, operator, cell, &extents, direction, batch_first)?);
        inputs.extend(length);
        let mut outputs = vec![import.add(&name, vec![1, time, units], None)];
        for state in ["hidden", "cell"].iter().take(cell.states()) {
            outputs.push(import.add(&format!("{name}.{state}"), vec![1, units], None));
        }
        import.node_with(&name, Op::Recurrent { cell, reverse: *reverse }, inputs, outputs.clone());
        results.push(outputs);
    }
    publish(import, operator, &extents, &results, batch_first)
}

fn cell(operator: &Operator<'_>, directions: usize) -> Result<Cell> {
    let (cell, default): (Cell, &[&str]) = match &operator.node.op_type[..] {
        "RNN" => (Cell::Rnn { activation: Activation::None }, &["Tanh"]),
        "GRU" => {
            let reset_after = operator.int("linear_before_reset", 0)? != 0;
            (Cell::Gru { reset_after }, &["Sigmoid", "Tanh"])
        }
        _ => (Cell::Lstm, &["Sigmoid", "Tanh", "Tanh"]),
    };
    operator.expect_int("input_forget", 0)?;
    ensure!(operator.float("clip", f32::INFINITY)?.is_infinite(), "clip is not taken");
    let Some(found) = operator.texts("activations")?.filter(|found| !found.is_empty()) else { return Ok(cell) };
    ensure!(found.len() == default.len() * directions, "{} activations for {directions} directions", found.len());
    let alike = |wanted: &[&str]| {
        found.chunks(wanted.len()).all(|one| one.iter().zip(wanted).all(|(a, b)| a.eq_ignore_ascii_case(b)))
    };
    match cell {
        Cell::Rnn { .. } if alike(&["Relu"]) => Ok(Cell::Rnn { activation: Activation::Relu }),
        cell if alike(default) => Ok(cell),
        _ => bail!("activations {found:?} are not taken, only {default:?}"),
    }
}

/// The number of steps that count, where not all of them do. Fails on peepholes, which are not taken.
fn length<'f>(import: &mut Import<'f>, operator: &Operator<'f>, time: usize) -> Result<Option<TensorId>> {
    if let Some(peepholes) = import.optional_constant(operator, 7)? {
        ensure!(peepholes.array.uniform() == Some(0.0), "peepholes are not taken");
    }
    if let Some(length) = import.integers(operator, 4)? {
        let count = import.tensor(length).elements();
        ensure!(count == 1, "has {count} lengths for a batch of 1");
        return Ok(Some(length));
    }
    let Some(lengths) = import.optional_constant(operator, 4)? else { return Ok(None) };
    let [length] = *lengths.array.whole()? else { bail!("has {} lengths for a batch of 1", lengths.array.len()) };
    ensure!((0..=time as i64).contains(&length), "a sequence of {length} steps in a tensor of {time}");
    if length == time as i64 {
        return Ok(None);
    }
    let name = format!("{}.length", import.name(operator));
    Ok(Some(import.add_data(&name, vec![1], Data::Int32(vec![length as i32]), None)))
}

/// The weights of a direction with the gates in the order that the graph has.
fn part(
    import: &mut Import<'_>,
    name: &str,
    array: &Array,
    direction: usize,
    cell: Cell,
    columns: usize,
) -> Result<TensorId> {
    let (values, gates) = (array.reals()?, cell.gates());
    let gate = values.len() / array.shape[0] / gates;
    let mut own = Vec::with_capacity(gate * gates);
    for source in file_gates(cell) {
        let at = (direction * gates + source) * gate;
        own.extend_from_slice(values.get(at..at + gate).context("weights are missing")?);
    }
    import.charge(own.len())?;
    let shape = vec![own.len() / columns.max(1), columns];
    Ok(import.add_data(name, shape, Data::Float32(own), None))
}

/// Where the file has the gates that the graph has in its own order.
fn file_gates(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Rnn { .. } => &[0],
        // Update, reset, new in the file; reset, update, new in the graph.
        Cell::Gru { .. } => &[1, 0, 2],
        // Input, output, forget, cell in the file; input, forget, cell, output in the graph.
        Cell::Lstm => &[0, 2, 3, 1],
    }
}

/// The initial states, or none where they are zero.
fn initial<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    cell: Cell,
    extents: &Extents,
    direction: usize,
    batch_first: bool,
) -> Result<Vec<TensorId>> {
    let mut states: Vec<Option<TensorId>> = Vec::new();
    for position in [5, 6].into_iter().take(cell.states()) {
        let given = match operator.optional_input(position) {
            None => None,
            Some(name) => match import.value(name)? {
                Value::Constant(constant) if constant.array.uniform() == Some(0.0) => None,
                _ => Some(import.real_operand(operator, position)?),
            },
        };
        let Some(mut given) = given else {
            states.push(None);
            continue;
        };
        ensure!(given.view.rank() == 3, "an initial state of shape {:?} has no three axes", given.view.shape());
        if batch_first {
            given.view = given.view.transposed(&[1, 0, 2])?;
        }
        let (found, wanted) = (given.view.shape(), [extents.directions, 1, extents.units]);
        ensure!(found == wanted, "an initial state of shape {found:?} where {wanted:?} belongs");
        let view = match given.view.sliced(0, direction, 1, 1) {
            Some(view) => view,
            None => bail!("an initial state is no plain array"),
        };
        let id = import.in_order(&Operand { view, ..given }, &[0, 1, 2])?;
        states.push(Some(import.shape_as(id, &[1, extents.units])));
    }
    if states.iter().all(Option::is_none) {
        return Ok(vec![]);
    }
    // One given state asks for the other: it is zero.
    let zeros = vec![0.0; extents.units];
    let state = |state: &Option<TensorId>| match state {
        Some(id) => *id,
        None => import.add_data("zeros", vec![1, extents.units], Data::Float32(zeros.clone()), None),
    };
    Ok(states.iter().map(state).collect())
}

/// Joins the directions to the outputs that the file has.
fn publish<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    extents: &Extents,
    results: &[Vec<TensorId>],
    batch_first: bool,
) -> Result<()> {
    let Extents { time, units, directions, .. } = *extents;
    let name = import.name(operator);
    let states = results.first().map_or(0, Vec::len);
    for position in 0..states {
        if operator.output(position).is_none() {
            continue;
        }
        let parts: Vec<TensorId> = results.iter().filter_map(|outputs| outputs.get(position).copied()).collect();
        let joined = match (&parts[..], position) {
            ([only], _) => *only,
            (_, 0) => {
                let op = Op::Concatenation { axis: 2 };
                import.node(&format!("{name}.directions"), op, parts, vec![1, time, directions * units], None)?
            }
            _ => {
                let op = Op::Concatenation { axis: 0 };
                import.node(&format!("{name}.states_{position}"), op, parts, vec![directions, units], None)?
            }
        };
        let view = match (position, batch_first) {
            // Both lie as time, direction, units.
            (0, false) => View::of(&[time, directions, 1, units]),
            (0, true) => View::of(&[time, directions, units, 1]).transposed(&[3, 0, 1, 2])?,
            (_, false) => View::of(&[directions, 1, units]),
            _ => View::of(&[1, directions, units]),
        };
        import.set_tensor(operator, position, joined, view)?;
    }
    Ok(())
}
