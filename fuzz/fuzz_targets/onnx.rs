//! ONNX files: what imports is compiled, as it is and quantized, and what compiles is loaded and run.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nervelet_fuzz::compile_and_run;
use nervelet_importer::import_onnx;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = import_onnx(bytes) {
        compile_and_run(&graph);
    }
});
