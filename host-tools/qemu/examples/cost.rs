//! What models cost on a board, layer by layer: `cost BOARD TARGET model.tflite ...`.

use std::path::Path;

use anyhow::{Context, Result};
use nervelet::Model;
use nervelet_compiler::{CompileOptions, compile, macs};
use nervelet_qemu::Board;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "cost BOARD TARGET model.tflite ...";
    let board = Board::from_name(&arguments.next().context(usage)?)?;
    let target = arguments.next().context(usage)?.parse()?;
    for path in arguments {
        let bytes = std::fs::read(Path::new(&path)).with_context(|| format!("can't read {path}"))?;
        let graph = nervelet_importer::import_tflite(&bytes)?;
        let compiled = compile(&graph, &CompileOptions { target, ..CompileOptions::default() })?;
        let model = Model::from_bytes(&compiled.bytes)?;
        let input = model.inputs().iter().filter_map(|port| model.tensor(port.tensor));
        let input: Vec<Vec<u8>> = input.map(|tensor| vec![0; tensor.span().length as usize]).collect();
        let bench = board.bench(&compiled.bytes, &input)?;
        println!("{path}");
        for (index, (step, cost)) in model.steps().zip(&bench.steps).enumerate() {
            let macs = macs::of(&model, &step);
            println!(
                "{index:3} {:22} {macs:9} {:10} {:6.2} scratch {:6} cycles {:?}",
                format!("{:?}", step.kind().context("unknown kind")?),
                cost.instructions,
                cost.instructions as f64 / macs as f64,
                step.scratch.length,
                cost.model_cycles
            );
        }
        println!(
            "total {} instructions, cycles {:?}, setup {}, arena {} of floor {}, stack {}, code {}, weights {}",
            bench.total.instructions,
            bench.total.model_cycles,
            bench.setup.instructions,
            compiled.arena_bytes,
            nervelet_compiler::plan::floor_of(&model),
            bench.stack_bytes,
            bench.text_bytes,
            model.constants().len()
        );
    }
    Ok(())
}
