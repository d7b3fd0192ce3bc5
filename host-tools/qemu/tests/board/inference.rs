//! Inference on every board equals inference on the host bit for bit, and failures are errors that say what went wrong.

use std::time::Duration;

use crate::support::{board, host_outputs, model, samples};
use nervelet_qemu::Board;

fn equals_host(name: &str) {
    let Some(board) = board(name) else { return };
    let model = model().unwrap();
    let samples = samples(&model.bytes, 7, 12).unwrap();
    let run = board.run(&model.bytes, &samples.inputs).unwrap();
    assert_eq!(run.outputs, host_outputs(&model.bytes, &samples).unwrap());
    assert_eq!(run.arena_bytes as usize, model.arena_bytes);
    assert!((200..16_384).contains(&run.stack_bytes), "{} bytes of stack", run.stack_bytes);
}

#[test]
fn m0_equals_host() {
    equals_host("qemu-m0");
}

#[test]
fn m3_equals_host() {
    equals_host("qemu-m3");
}

#[test]
fn m4_equals_host() {
    equals_host("qemu-m4");
}

#[test]
fn m7_equals_host() {
    equals_host("qemu-m7");
}

#[test]
fn m33_equals_host() {
    equals_host("qemu-m33");
}

#[test]
fn m55_equals_host() {
    equals_host("qemu-m55");
}

#[test]
fn failures_say_what_and_where() {
    let Some(board) = board("qemu-m4") else { return };
    let model = model().unwrap();
    let inputs = samples(&model.bytes, 7, 2).unwrap().inputs;
    let error =
        |board: &Board, model: &[u8], inputs: &[Vec<Vec<u8>>]| format!("{:#}", board.run(model, inputs).unwrap_err());

    let mut damaged = model.bytes.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let said = error(&board, &damaged, &inputs);
    assert!(said.contains("could not do its job") && said.contains("Model(Checksum"), "{said}");

    let said = error(&board, &model.bytes, &[vec![vec![0; 143]]]);
    assert!(said.contains("TensorBytes { need: 144, have: 143 }"), "{said}");

    let said = error(&board, &vec![0; 4 << 20], &[]);
    assert!(said.contains("the model partition of qemu-m4 only 3145728"), "{said}");

    let hurried = board.clone().with_timeout(Duration::from_millis(1));
    let said = error(&hurried, &model.bytes, &inputs);
    assert!(said.contains("was stopped"), "{said}");

    let said = format!("{:#}", Board::from_name("qemu-m5").err().unwrap());
    assert!(said.contains("`qemu-m5`") && said.contains("qemu-m55"), "{said}");
}
