//! Measures five networks on six cores and compares with the checked-in table: `budget [--update] [--only NAME]...`.
//!
//! Instructions are counted by QEMU, so the same code gives the same figures on every machine. A rise over one percent
//! fails; `--update` writes what was measured. Every board's outputs are compared with the host's as well.

mod models;
mod network;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use nervelet::{Model, Session};
use nervelet_compiler::graph::Graph;
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_qemu::Board;
use serde::{Deserialize, Serialize};

/// Boards with the target that models for them are compiled for.
const BOARDS: [(&str, &str); 6] = [
    ("qemu-m4", "m4"),
    ("qemu-m7", "m7"),
    ("qemu-m33", "m33"),
    ("qemu-m3", "m3"),
    ("qemu-m0", "m0"),
    ("qemu-m55", "m55"),
];

/// A figure may rise by this part of itself.
const TOLERANCE: f64 = 0.01;

/// What a network costs on a board.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    /// Executed by one inference.
    instructions: u64,
    /// RAM for tensors and scratch.
    arena_bytes: u64,
    /// Code of the library that the network needs.
    text_bytes: u64,
}

/// Costs by network and board.
type Table = BTreeMap<String, BTreeMap<String, Cost>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut update = false;
    let mut only = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--update" => update = true,
            "--only" => only.push(arguments.next().context("--only needs the name of a network or a board")?),
            other => bail!("unknown argument {other}; usage: budget [--update] [--only NAME]..."),
        }
    }
    let chosen = |name: &str, names: &[&str]| {
        let of_kind: Vec<&String> = only.iter().filter(|only| names.contains(&only.as_str())).collect();
        of_kind.is_empty() || of_kind.iter().any(|only| *only == name)
    };
    let networks = models::ALL.map(|(name, _)| name);
    let boards = BOARDS.map(|(name, _)| name);
    if let Some(unknown) =
        only.iter().find(|only| !networks.contains(&only.as_str()) && !boards.contains(&only.as_str()))
    {
        bail!("there is neither a network nor a board {unknown}: {}, {}", networks.join(", "), boards.join(", "));
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.toml");
    let mut table: Table = match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{} is no table", path.display()))?,
        Err(_) if update => Table::new(),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    };
    println!("{:<22} {:<9} {:>12} {:>8} {:>9} {:>9}", "network", "board", "instructions", "change", "arena", "code");
    let mut risen = Vec::new();
    for (name, network) in models::ALL.into_iter().filter(|(name, _)| chosen(name, &networks)) {
        for (board, target) in BOARDS.into_iter().filter(|(board, _)| chosen(board, &boards)) {
            let cost = measure(&network(), board, target).with_context(|| format!("{name} on {board}"))?;
            let budget = table.get(name).and_then(|boards| boards.get(board)).copied();
            let change = budget.map_or_else(
                || "new".to_owned(),
                |budget| {
                    let before = budget.instructions as f64;
                    format!("{:+.2} %", 100.0 * (cost.instructions as f64 - before) / before)
                },
            );
            println!(
                "{name:<22} {board:<9} {:>12} {change:>8} {:>9} {:>9}",
                cost.instructions, cost.arena_bytes, cost.text_bytes
            );
            match budget {
                Some(budget) => risen.extend(rises(name, board, &budget, &cost)),
                None if !update => risen.push(format!("{name} on {board} has no budget")),
                None => {}
            }
            table.entry(name.into()).or_default().insert(board.into(), cost);
        }
    }
    if update {
        let text = format!("# Written by `cargo xtask budget --update`.\n\n{}", toml::to_string(&table)?);
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        return Ok(());
    }
    ensure!(risen.is_empty(), "over the budget:\n  {}", risen.join("\n  "));
    println!("everything is within {} % of its budget", TOLERANCE * 100.0);
    Ok(())
}

/// Which figures rose by more than the tolerance.
fn rises(network: &str, board: &str, budget: &Cost, cost: &Cost) -> Vec<String> {
    let figures = [
        ("instructions", budget.instructions, cost.instructions),
        ("bytes of arena", budget.arena_bytes, cost.arena_bytes),
        ("bytes of code", budget.text_bytes, cost.text_bytes),
    ];
    let over = figures.into_iter().filter(|(_, budget, cost)| *cost as f64 > *budget as f64 * (1.0 + TOLERANCE));
    over.map(|(unit, budget, cost)| format!("{network} on {board}: {cost} {unit} instead of {budget}")).collect()
}

/// Compiles a network for a board, compares its outputs with the host's and counts an inference.
fn measure(graph: &Graph, board: &str, target: &str) -> Result<Cost> {
    let options = CompileOptions { target: target.parse()?, ..CompileOptions::default() };
    let compiled = compile(graph, &options)?;
    let bytes = compiled.bytes;
    let model = Model::from_bytes(&bytes).map_err(|error| anyhow::anyhow!("the model is not valid: {error}"))?;
    let length = |tensor: u16| model.tensor(tensor).map_or(0, |tensor| tensor.span().length as usize);
    let input: Vec<u8> =
        model.inputs().iter().flat_map(|port| (0..length(port.tensor)).map(|at| (at * 89 % 251) as u8)).collect();
    let board = Board::from_name(board)?;
    let run = board.run(&bytes, &[vec![input.clone()]])?;
    ensure!(run.outputs == [host(&model, &input)?], "the board's output is not the host's");
    let bench = board.bench(&bytes, &[input])?;
    Ok(Cost {
        instructions: bench.total.instructions,
        arena_bytes: u64::from(bench.arena_bytes),
        text_bytes: bench.text_bytes,
    })
}

/// The output of one inference on the host.
fn host(model: &Model<'_>, input: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(model, &mut arena)?;
    session.input_bytes_mut(0)?.copy_from_slice(input);
    session.invoke()?;
    Ok(vec![session.output_bytes(0)?.to_vec()])
}
