//! TensorFlow Lite files: what imports is compiled, and what compiles is loaded and run.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nervelet_compiler::{CompileOptions, compile};
use nervelet_fuzz::run;
use nervelet_importer::import_tflite;

fuzz_target!(|bytes: &[u8]| {
    let Ok(graph) = import_tflite(bytes) else { return };
    let Ok(compiled) = compile(&graph, &CompileOptions::default()) else { return };
    run(&compiled.bytes);
});
