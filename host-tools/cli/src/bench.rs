//! `nervelet bench`: what one inference costs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nervelet::Model;
use nervelet_qemu::Board;
use serde::Serialize;

use crate::execute::{self, Place};
use crate::{arrays, bench_compare, model_file};

#[derive(clap::Args)]
pub struct Arguments {
    /// The model file.
    model: PathBuf,
    /// host, qemu-m4 or another board; the host counts no instructions.
    #[arg(long, default_value = "qemu-m4", value_name = "BOARD")]
    on: Place,
    /// One .npy for each input, of which the first case is taken; zeros when left out.
    #[arg(long)]
    input: Vec<PathBuf>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Shows what changed since an earlier --json of the same model.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// The figures, as `--json` writes them; null where a board can't know.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub board: String,
    pub model: String,
    pub ops: Vec<Operation>,
    pub total: Cost,
    pub setup_instructions: Option<u64>,
    pub arena_bytes: usize,
    pub arena_floor_bytes: usize,
    pub scratch_bytes: usize,
    pub stack_bytes: Option<u32>,
    pub text_bytes: Option<u64>,
    pub weights_bytes: usize,
}

#[derive(Debug, Serialize)]
pub struct Operation {
    pub name: String,
    pub kind: String,
    #[serde(flatten)]
    pub cost: Cost,
}

#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    pub macs: u64,
    pub instructions: Option<u64>,
    pub model_cycles: Option<u64>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes = model_file::read(&arguments.model)?;
    let model = model_file::open(&bytes, &arguments.model)?;
    let input = first_case(&model, arguments)?;
    let bench = match &arguments.on {
        Place::Host => None,
        Place::Board(name) => Some(Board::from_name(name)?.bench(&bytes, &input)?),
    };
    let costs = bench.as_ref().map_or(&[][..], |bench| &bench.steps);
    let ops: Vec<Operation> = model
        .steps()
        .enumerate()
        .map(|(index, step)| Operation {
            name: step.name.into(),
            kind: step.kind().map_or_else(|| step.kind.to_string(), |kind| format!("{kind:?}")),
            cost: Cost {
                macs: nervelet_compiler::macs::of(&model, &step),
                instructions: costs.get(index).map(|cost| cost.instructions),
                model_cycles: costs.get(index).and_then(|cost| cost.model_cycles),
            },
        })
        .collect();
    let total = Cost {
        macs: ops.iter().map(|operation| operation.cost.macs).sum(),
        instructions: bench.as_ref().map(|bench| bench.total.instructions),
        model_cycles: bench.as_ref().and_then(|bench| bench.total.model_cycles),
    };
    let figures = Figures {
        board: arguments.on.to_string(),
        model: model.name().into(),
        ops,
        total,
        setup_instructions: bench.as_ref().map(|bench| bench.setup.instructions),
        arena_bytes: model.arena_bytes(),
        arena_floor_bytes: nervelet_compiler::plan::floor_of(&model),
        scratch_bytes: model.steps().map(|step| step.scratch.length as usize).max().unwrap_or(0),
        stack_bytes: bench.as_ref().map(|bench| bench.stack_bytes),
        text_bytes: bench.as_ref().map(|bench| bench.text_bytes),
        weights_bytes: model.constants().len(),
    };
    print_figures(&figures);
    if let Some(path) = &arguments.compare {
        bench_compare::print(path, &figures)?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

/// The bytes of each input: the first case of the arrays given, else zeros.
fn first_case(model: &Model<'_>, arguments: &Arguments) -> Result<Vec<Vec<u8>>> {
    let tensors = model.named_inputs().filter_map(|(name, port)| Some((name, model.tensor(port.tensor)?)));
    if arguments.input.is_empty() {
        return Ok(tensors.map(|(_, tensor)| vec![0; tensor.span().length as usize]).collect());
    }
    let mut cases = Vec::new();
    for ((name, tensor), path) in tensors.zip(&arguments.input) {
        cases.push(arrays::read(path, name, &tensor)?);
    }
    execute::encode(model, &cases)?.into_iter().next().context("the arrays hold no case")
}

fn print_figures(figures: &Figures) {
    let count = |value: Option<u64>| value.map_or_else(|| "-".into(), grouped);
    let per_mac = |cost: &Cost| match cost.instructions {
        Some(instructions) if cost.macs > 0 => format!("{:.2}", instructions as f64 / cost.macs as f64),
        _ => "-".into(),
    };
    println!("{} on {}", figures.model, figures.board);
    println!(
        "{:>4}  {:<24} {:<22} {:>12} {:>14} {:>8} {:>14}",
        "step", "name", "operator", "MACs", "instructions", "per MAC", "model cycles"
    );
    for (index, operation) in figures.ops.iter().enumerate() {
        let cost = &operation.cost;
        println!(
            "{index:>4}  {:<24} {:<22} {:>12} {:>14} {:>8} {:>14}",
            operation.name,
            operation.kind,
            grouped(cost.macs),
            count(cost.instructions),
            per_mac(cost),
            count(cost.model_cycles)
        );
    }
    let total = &figures.total;
    println!(
        "total: {} MACs, {} instructions, {} a MAC, {} model cycles",
        grouped(total.macs),
        count(total.instructions),
        per_mac(total),
        count(total.model_cycles)
    );
    println!("setup: {} instructions (verifying the model once)", count(figures.setup_instructions));
    println!(
        "arena {} bytes (liveness floor {}), of it scratch {}; stack {}; code {}; weights {}",
        grouped(figures.arena_bytes as u64),
        grouped(figures.arena_floor_bytes as u64),
        grouped(figures.scratch_bytes as u64),
        count(figures.stack_bytes.map(u64::from)),
        count(figures.text_bytes),
        grouped(figures.weights_bytes as u64)
    );
    println!("Instructions are counted by QEMU, exactly; cycles are a model with the timings of the Cortex-M4 manual.");
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut result = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            result.push(',');
        }
        result.push(digit);
    }
    result
}
