//! Recurrent layers.

use anyhow::{Context, Result, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Op, TensorId};

use super::file::Operator;
use super::import::Import;
use super::layers::{bias, weights};

/// UNIDIRECTIONAL_SEQUENCE_LSTM without peephole, projection and layer normalisation, as Keras has it.
pub(super) fn lstm(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 71;
    let activation = operator.option::<i8>(OPTIONS, 0, 0)?;
    ensure!(activation == 4, "has activation {activation}: only tanh (4) is taken");
    ensure!(operator.option::<u8>(OPTIONS, 5, 0)? == 0, "diagonal recurrent weights are not taken");
    let extras = [9, 10, 11, 16, 17, 20, 21, 22, 23];
    let plain = extras.into_iter().all(|position| operator.optional_input(position).is_none());
    ensure!(plain, "peephole connections, projections and layer normalisation are not taken: use a plain LSTM layer");
    ensure!(operator.optional_input(1).is_some(), "coupled input and forget gates are not taken");

    let x = import.value(operator.input(0)?)?;
    let time_major = operator.option::<u8>(OPTIONS, 3, 0)? != 0;
    let shape = import.graph_tensor(x).shape.clone();
    let (batch, time, depth) = match shape[..] {
        [time, batch, depth] if time_major => (batch, time, depth),
        [batch, time, depth] => (batch, time, depth),
        _ => anyhow::bail!("shape {shape:?} comes in, not a sequence [1, time, channels]"),
    };
    ensure!(batch == 1, "a batch of {batch} comes in: fix the input shape to batch 1 before conversion");
    let units = *import.input(operator, 5)?.shape.first().context("the recurrent weights have no rows")?;
    let data_type = import.graph_tensor(x).data_type;

    let mut inputs = vec![x];
    for gate in 0..4 {
        let [input, recurrent, bias_at] = [1 + gate, 5 + gate, 12 + gate].map(|position| operator.input(position));
        for (index, shape) in [(input?, [units, depth]), (recurrent?, [units, units])] {
            let found = import.tensor(index)?.shape;
            ensure!(found == shape, "weights of gate {gate} have shape {found:?}, not {shape:?}");
            inputs.push(weights(import, index, data_type, shape.to_vec(), 0).context("the weights")?);
        }
        inputs.push(bias(import, bias_at?, data_type, units).context("the bias")?);
    }
    let cell_type = if data_type == DataType::Float32 { DataType::Float32 } else { DataType::Int16 };
    let hidden = import.state(operator.input(18)?, data_type, units).context("the hidden state")?;
    let cell = import.state(operator.input(19)?, cell_type, units).context("the cell")?;
    check_hidden_scale(import, operator, hidden)?;
    let output_shape: Vec<usize> = if time_major { vec![time, batch, units] } else { vec![batch, time, units] };
    let output = import.output(operator, 0, &output_shape)?;
    let cell_clip = operator.option::<f32>(OPTIONS, 1, 0.0)?;
    let cell_clip = if cell_clip > 0.0 { cell_clip } else { f32::INFINITY };
    import.node_with(operator, Op::Lstm { cell_clip }, inputs, vec![output, hidden, cell]);
    Ok(())
}

/// The scale in front of a projection has to be that of the state, since there is none.
fn check_hidden_scale(import: &Import<'_, '_>, operator: &Operator<'_>, hidden: TensorId) -> Result<()> {
    let Some(index) = operator.intermediates.get(4).filter(|_| import.graph_tensor(hidden).data_type == DataType::Int8)
    else {
        return Ok(());
    };
    let effective = import.quantization(*index)?;
    ensure!(effective == import.graph_tensor(hidden).quantization, "the hidden scale is not that of the state");
    Ok(())
}
