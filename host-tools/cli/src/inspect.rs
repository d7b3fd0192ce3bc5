//! `nervelet inspect`: what is in a model file.

use std::path::PathBuf;

use anyhow::Result;
use nervelet::Model;
use nervelet::model::schema::Port;
use nervelet::ops::{Place, Span, Step, Tensor};
use serde_json::json;

use crate::model_file;

#[derive(clap::Args)]
pub struct Arguments {
    /// The model file.
    model: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes = model_file::read(&arguments.model)?;
    let model = model_file::open(&bytes, &arguments.model)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&model, bytes.len()))?);
    } else {
        print_model(&model, bytes.len());
    }
    Ok(())
}

/// The tensors that a step reads and writes.
fn operands<'m>(model: &Model<'m>, step: &Step<'m>) -> (Vec<Tensor>, Vec<Tensor>) {
    let tensors = |indices: Vec<u16>| indices.into_iter().filter_map(|index| model.tensor(index)).collect();
    (tensors(step.inputs().collect()), tensors(step.outputs().collect()))
}

fn id(model: &Model<'_>) -> String {
    model.id().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind(step: &Step<'_>) -> String {
    step.kind().map_or_else(|| format!("kind {}", step.kind), |kind| format!("{kind:?}"))
}

fn as_json(model: &Model<'_>, file_bytes: usize) -> serde_json::Value {
    let tensor = |tensor: &Tensor| {
        json!({
            "data_type": format!("{:?}", tensor.data_type), "shape": tensor.shape(), "scale": tensor.scale, "zero_point": tensor.zero_point,
            "place": format!("{:?}", tensor.place), "offset": tensor.offset, "bytes": tensor.span().length,
        })
    };
    let port = |(name, port): (&str, &Port)| {
        let normalization = model.normalization(port).map(|(mean, scale)| json!({"mean": mean, "scale": scale}));
        json!({"name": name, "tensor": model.tensor(port.tensor).as_ref().map(tensor), "normalization": normalization})
    };
    let steps: Vec<_> = model
        .steps()
        .map(|step| {
            let (inputs, outputs) = operands(model, &step);
            json!({
                "name": step.name, "kind": kind(&step), "scratch_bytes": step.scratch.length,
                "inputs": inputs.iter().map(tensor).collect::<Vec<_>>(), "outputs": outputs.iter().map(tensor).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "name": model.name(), "producer": model.producer(), "id": id(model), "core": model.program().header.core, "file_bytes": file_bytes,
        "weights_bytes": model.constants().len(), "arena_bytes": model.arena_bytes(),
        "inputs": model.named_inputs().map(port).collect::<Vec<_>>(), "outputs": model.named_outputs().map(port).collect::<Vec<_>>(),
        "classes": model.classes().collect::<Vec<_>>(), "steps": steps,
        "states": model.program().states.iter().map(|state| json!({
            "offset": state.span.offset, "bytes": state.span.length, "reset": state.reset[0],
        })).collect::<Vec<_>>(),
        "head": model.head().map(|head| json!({
            "first_step": head.first_step, "features": head.features.elements(), "classes": head.bias.len(),
        })),
    })
}

fn print_model(model: &Model<'_>, file_bytes: usize) {
    println!("{} ({}), id {}", model.name(), model.producer(), id(model));
    println!("file {file_bytes} bytes, weights {} bytes, arena {} bytes", model.constants().len(), model.arena_bytes());
    let inputs = model.named_inputs().map(|port| ("input", port));
    for (what, (name, port)) in inputs.chain(model.named_outputs().map(|port| ("output", port))) {
        let Some(tensor) = model.tensor(port.tensor) else { continue };
        println!("{what} {name}: {}", describe(&tensor));
        if let Some((mean, scale)) = model.normalization(port) {
            println!("  (x - mean) * scale with mean {mean:?}, scale {scale:?}");
        }
    }
    let classes: Vec<_> = model.classes().collect();
    if !classes.is_empty() {
        println!("classes: {}", classes.join(", "));
    }
    if let Some(head) = model.head() {
        println!(
            "trainable head: steps from {}, {} features, {} classes",
            head.first_step,
            head.features.elements(),
            head.bias.len()
        );
    }
    let states: Vec<Span> = model.program().states.iter().map(|state| state.span).collect();
    if !states.is_empty() {
        let bytes: usize = states.iter().map(|span| span.length as usize).sum();
        println!("kept from run to run: {} states, {bytes} bytes", states.len());
    }
    println!();
    println!(
        "{:>4}  {:<24} {:<22} {:<26} memory, one column = 1/48 of the arena",
        "step", "name", "operator", "output"
    );
    for (index, step) in model.steps().enumerate() {
        let (inputs, outputs) = operands(model, &step);
        let output = outputs.first().map(describe_short).unwrap_or_default();
        let plan = draw(&states, &inputs, &outputs, &step, model.arena_bytes());
        println!("{index:>4}  {:<24} {:<22} {output:<26} {plan}", step.name, kind(&step));
    }
    println!("      . free  k kept from run to run  r read  w written  o written over what is read  s scratch");
}

fn describe(tensor: &Tensor) -> String {
    format!("{:?} {:?}, scale {}, zero point {}", tensor.data_type, tensor.shape(), tensor.scale, tensor.zero_point)
}

fn describe_short(tensor: &Tensor) -> String {
    format!("{:?} {:?}", tensor.data_type, tensor.shape())
}

/// The arena while a step runs.
fn draw(states: &[Span], inputs: &[Tensor], outputs: &[Tensor], step: &Step<'_>, arena_bytes: usize) -> String {
    const COLUMNS: usize = 48;
    let mut columns = ['.'; COLUMNS];
    let mut mark = |span: Span, sign: char| {
        if span.length > 0 && arena_bytes > 0 {
            let first = span.offset as usize * COLUMNS / arena_bytes;
            let last = (span.end() - 1) * COLUMNS / arena_bytes;
            columns[first..=last.min(COLUMNS - 1)].fill(sign);
        }
    };
    for span in states {
        mark(*span, 'k');
    }
    for tensor in inputs.iter().filter(|tensor| tensor.place == Place::Arena) {
        mark(tensor.span(), 'r');
    }
    mark(step.scratch, 's');
    for tensor in outputs {
        let is_over = |input: &Tensor| input.place == Place::Arena && input.span().overlaps(tensor.span());
        mark(tensor.span(), if inputs.iter().any(is_over) { 'o' } else { 'w' });
    }
    columns.iter().collect()
}
