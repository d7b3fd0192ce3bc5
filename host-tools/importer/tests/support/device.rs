//! The same outputs on the host and on a board.

use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, Graph, compile};
use nervelet_qemu::{Board, qemu_version};

use crate::quality::Sample;

/// The board of that name; without QEMU says so and gives nothing.
pub(crate) fn board(name: &str) -> Option<Board> {
    if let Err(error) = qemu_version() {
        println!("skipped: {error:#}");
        return None;
    }
    Some(Board::from_name(name).expect("the board is part of the sources"))
}

/// The board with a Cortex-M4.
pub(crate) fn cortex_m4() -> Option<Board> {
    board("qemu-m4")
}

/// Runs an integer graph over samples, the last two driven to the extremes of its codes, and compares every output bit for
/// bit.
pub(crate) fn assert_equal(board: &Board, graph: &Graph, samples: &[Sample]) {
    let compiled = compile(graph, &CompileOptions::default()).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::from(&vec![0x5A; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena).unwrap();
    let (mut inputs, mut expected) = (Vec::new(), Vec::new());
    for (number, sample) in samples.iter().enumerate() {
        session.set_input(0, &sample[0]).unwrap();
        if number + 2 >= samples.len() {
            // Where sums are largest.
            assert_eq!(graph.tensor(graph.inputs[0]).data_type, DataType::Int16);
            let codes = session.input_mut::<i16>(0).unwrap();
            codes.iter_mut().for_each(|code| *code = if *code > 0 { 32_767 } else { -32_768 });
        }
        inputs.push(vec![session.input_bytes_mut(0).unwrap().to_vec()]);
        session.invoke().unwrap();
        let ports = 0..graph.outputs.len();
        expected.push(ports.map(|index| session.output_bytes(index).unwrap().to_vec()).collect::<Vec<_>>());
    }
    let run = board.run(&compiled.bytes, &inputs).unwrap();
    assert!(run.outputs == expected, "{} differs on {}", graph.name, board.name());
}
