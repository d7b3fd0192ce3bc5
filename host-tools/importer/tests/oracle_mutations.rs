//! Random damage to good TensorFlow Lite files: whatever it is, an error or a complete run, in bounded time.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_importer::import_tflite;

/// Larger files take long and hold little that smaller ones don't.
const MOST_BYTES: usize = 12_000;
const ROUNDS: u64 = 40;
const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn damaged_files_never_panic() {
    let Some(root) = support::oracle() else { return };
    let mut files = Vec::new();
    collect(&root, 3, &mut files);
    files.sort();
    assert!(!files.is_empty(), "{} holds no small model.tflite", root.display());
    let (mut ran, mut refused) = (0, 0);
    for (number, good) in files.iter().enumerate() {
        for round in 0..ROUNDS {
            let mut state = 0x9E37_79B9_7F4A_7C15 ^ (number as u64) << 32 ^ round;
            let bytes = damaged(good, &mut state);
            let start = Instant::now();
            if run(&bytes) {
                ran += 1;
            } else {
                refused += 1;
            }
            assert!(start.elapsed() < LIMIT, "file {number}, round {round} took {:?}", start.elapsed());
        }
    }
    println!("{ran} ran, {refused} were refused");
    assert!(refused > 0, "no damage was noticed");
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<Vec<u8>>) {
    let model = std::fs::read(folder.join("model.tflite"));
    if let Ok(bytes) = model {
        found.extend(Some(bytes).filter(|bytes| bytes.len() < MOST_BYTES));
    } else if depth > 0 {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            collect(&entry.path(), depth - 1, found);
        }
    }
}

/// One to four bytes changed, to a random value or to one that offsets and extents fear.
fn damaged(good: &[u8], state: &mut u64) -> Vec<u8> {
    let mut random = |below: usize| {
        // xorshift64 (Marsaglia, 2003)
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state % below as u64) as usize
    };
    let mut bytes = good.to_vec();
    for _ in 0..1 + random(4) {
        let at = random(bytes.len());
        bytes[at] = match random(3) {
            0 => [0, 1, 0x7F, 0x80, 0xFF][random(5)],
            1 => bytes[at] ^ 1 << random(8),
            _ => random(256) as u8,
        };
    }
    bytes
}

/// Runs a file as far as it goes; true if it ran to the end.
fn run(bytes: &[u8]) -> bool {
    let Ok(graph) = import_tflite(bytes) else { return false };
    let Ok(compiled) = compile(&graph, &CompileOptions::default()) else { return false };
    let Ok(model) = Model::from_bytes(&compiled.bytes) else { return false };
    let mut arena = AlignedBytes::from(&vec![0x5A; compiled.arena_bytes][..]);
    Session::new(&model, &mut arena).is_ok_and(|mut session| session.invoke().is_ok())
}
