//! The golden material on a Cortex-M4 under QEMU, whole networks on other cores as well: import, compile, run there, compare.
//!
//! Integer cases are those without a tolerance: what runs has to be equal to the golden outputs, bit for bit. Float models
//! of PyTorch have to be within their tolerance and equal to the host bit for bit. What the importer refuses and what the
//! board has no room for is listed with the reason.

#[path = "support/case.rs"]
mod case;
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::Case;
use nervelet_compiler::Target;
use nervelet_qemu::{Board, qemu_version};

/// Machines at work at the same time.
const MACHINES: usize = 2;

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Equal,
    /// Not taken by the importer or the compiler.
    Refused,
    /// The model or its arena is larger than the board's memory.
    TooLarge,
    Failed,
}

/// A line of the table: host and device, each with a reason where there is one.
struct Row {
    host: Outcome,
    device: Outcome,
    reason: String,
}

#[test]
fn every_integer_case_on_a_cortex_m4_equals_its_golden_outputs() {
    integer_cases("qemu-m4", Target::Any, "");
}

#[test]
fn packed_for_it_as_well() {
    integer_cases("qemu-m4", Target::Dsp, "");
}

#[test]
fn whole_networks_on_a_cortex_m3() {
    integer_cases("qemu-m3", Target::Armv7m, "mlperf");
}

#[test]
fn whole_networks_on_a_cortex_m0() {
    integer_cases("qemu-m0", Target::Armv6m, "mlperf");
}

#[test]
fn whole_networks_on_a_cortex_m55() {
    integer_cases("qemu-m55", Target::Mve, "mlperf");
}

#[test]
fn every_float_model_on_a_cortex_m4_is_within_its_tolerance() {
    let Some(root) = support::oracle() else { return };
    let folder = root.join("C_pytorch_f32");
    if folder.is_dir() {
        run("qemu-m4", &case::cases(&folder, "onnx"), Target::Any);
    } else {
        println!("skipped: no {}", folder.display());
    }
}

/// Runs the cases whose name has a word in it.
fn integer_cases(board: &str, target: Target, word: &str) {
    let Some(root) = support::oracle() else { return };
    let mut cases = case::cases(&root, "tflite");
    cases.retain(|case| case.meta.tolerance.atol.is_none() && case.name.contains(word));
    run(board, &cases, target);
}

fn run(board: &str, cases: &[Case], target: Target) {
    if let Err(error) = qemu_version() {
        println!("skipped: {error:#}");
        return;
    }
    let board = Board::from_name(board).expect("the board is part of the sources");
    let mut totals = BTreeMap::<&str, [usize; 4]>::new();
    let rows = rows(&board, cases, target);
    for (case, Row { host, device, reason }) in cases.iter().zip(&rows) {
        let words = [format!("{host:?}"), format!("{device:?}")];
        println!("{:45}  {:40.40}  {:8}  {:8}  {reason}", case.name, case.meta.ops.join(" "), words[0], words[1]);
        totals.entry(case.name.split('/').next().unwrap_or_default()).or_default()[*device as usize] += 1;
    }
    for (group, [equal, refused, large, failed]) in totals {
        println!("{group:20}  {equal} equal on the device, {refused} refused, {large} too large, {failed} failed");
    }
    let count = |outcome| rows.iter().filter(|row| row.device == outcome || row.host == outcome).count();
    assert_eq!(count(Outcome::Failed), 0, "of {} cases", rows.len());
    assert!(count(Outcome::Equal) > 0, "nothing ran");
}

/// Takes every case, some at the same time: most of the time goes into starting machines.
fn rows(board: &Board, cases: &[Case], target: Target) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else { return done };
            done.push((index, row(board, case, target)));
        }
    };
    let mut rows: Vec<_> = thread::scope(|scope| {
        let workers = [(); MACHINES].map(|()| scope.spawn(work));
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect()
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(board: &Board, case: &Case, target: Target) -> Row {
    let compiled = match case.compile(target) {
        Ok(compiled) => compiled,
        Err(error) => return Row { host: Outcome::Refused, device: Outcome::Refused, reason: format!("{error:#}") },
    };
    let inputs = case.inputs().expect("a case has its inputs");
    let on_host = case.run_on_host(&compiled, &inputs);
    let golden = on_host.as_ref().map_err(|error| format!("{error:#}"));
    let golden = golden.and_then(|outputs| case.compare(outputs).map_err(|error| format!("{error:#}")));
    let host = if golden.is_ok() { Outcome::Equal } else { Outcome::Failed };
    let reasons = golden.err().map(|error| format!("host: {error}; ")).unwrap_or_default();
    let (device, reason) = match board.run(&compiled.bytes, &inputs) {
        Err(error) => {
            let error = format!("{error:#}");
            let large = ["model partition", "ArenaTooSmall"].iter().any(|words| error.contains(words));
            (if large { Outcome::TooLarge } else { Outcome::Failed }, error)
        }
        Ok(run) if on_host.is_ok_and(|outputs| outputs != run.outputs) => {
            (Outcome::Failed, "the device and the host differ".into())
        }
        Ok(run) => match case.compare(&run.outputs) {
            Ok(_) => {
                (Outcome::Equal, format!("{} runs, arena {}, stack {}", inputs.len(), run.arena_bytes, run.stack_bytes))
            }
            Err(error) => (Outcome::Failed, format!("{error:#}")),
        },
    };
    Row { host, device, reason: reasons + &reason.replace('\n', " ") }
}
