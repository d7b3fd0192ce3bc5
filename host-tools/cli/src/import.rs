//! `nervelet import`: a model that another tool made becomes a model file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nervelet::Model;
use nervelet::ops::{DataType, MAX_RANK, Place, Tensor};
use nervelet_compiler::{CompileOptions, Compiled, Graph, Precision, Target, compile, compile_quantized_with};
use nervelet_importer::{import_onnx, import_tflite};

use crate::arrays::{self, Values};
use crate::stream::{self, StreamArguments};

/// Larger files hold no model for a microcontroller; refusing them keeps memory bounded.
const LARGEST: u64 = 256 << 20;

#[derive(clap::Args)]
pub struct Arguments {
    /// The model: TensorFlow Lite (.tflite) or ONNX (.onnx).
    source: PathBuf,
    /// The model file.
    #[arg(short, long)]
    output: PathBuf,
    /// Quantizes a float model to int8 over these samples: one float32 .npy for each input, axis 0 the sample, the rest the
    /// input's shape. Without it the model keeps the numbers it has.
    #[arg(long, value_name = "FILE")]
    calibrate: Vec<PathBuf>,
    /// Keeps a float model in float32, which is what happens without --calibrate too.
    #[arg(long, conflicts_with = "calibrate")]
    float: bool,
    /// Width of the operands of recurrent layers and Transformer encoders when quantizing: wide has 16 bits, narrow has
    /// 8 where docs/SEQUENCE.md says so.
    #[arg(long, value_enum, default_value_t, requires = "calibrate")]
    precision: Width,
    /// Recurrent layers keep their states from one run to the next: for a model of one step, which takes a stream.
    #[arg(long)]
    keep_states: bool,
    #[command(flatten)]
    stream: StreamArguments,
    /// The core that weights are packed for: m4, m7, m33, m3, m0 or m55 run faster on these, and on no other board; any
    /// runs on all. With m4-wide, m7-wide or m33-wide dense layers have weights of 16 bits: faster, and twice as large.
    #[arg(long, default_value = "any", value_name = "CORE")]
    target: Target,
    /// Names of the classes that the first output scores; with them devices can fine-tune the last layer.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Vec<String>,
}

/// The widths of operands.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Width {
    #[default]
    Wide,
    Narrow,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    TensorFlowLite,
    Onnx,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let source = &arguments.source;
    let size = std::fs::metadata(source).with_context(|| format!("can't open {}", source.display()))?.len();
    ensure!(size <= LARGEST, "{} has {size} bytes, more than the {LARGEST} that are taken", source.display());
    let bytes = std::fs::read(source).with_context(|| format!("can't read {}", source.display()))?;
    let (name, graph) = match format(&bytes, source)? {
        Format::TensorFlowLite => ("TensorFlow Lite", import_tflite(&bytes)),
        Format::Onnx => ("ONNX", import_onnx(&bytes)),
    };
    let mut graph = graph.with_context(|| format!("can't take {}", source.display()))?;
    let quantized = is_quantized(&graph);
    let numbers = if quantized { "quantized" } else { "float32" };
    println!("{}: {name}, {} operations, {numbers}", source.display(), graph.nodes.len());
    name_classes(&mut graph, &arguments.classes)?;
    if arguments.keep_states {
        let layers = graph.keep_states();
        ensure!(layers > 0, "{} has no recurrent layer that runs forwards from zeros", source.display());
        println!("{layers} recurrent layers keep their states");
    }

    let stream = arguments.stream.options();
    let options = CompileOptions { target: arguments.target, stream, ..CompileOptions::default() };
    let compiled = if arguments.calibrate.is_empty() {
        ensure!(!(arguments.float && quantized), "{} is quantized already: leave --float out", source.display());
        compile(&graph, &options)
    } else {
        ensure!(!quantized, "{} is quantized already: leave --calibrate out", source.display());
        let precision = match arguments.precision {
            Width::Wide => Precision::Wide,
            Width::Narrow => Precision::Narrow,
        };
        calibrated(&graph, &options, precision, &arguments.calibrate)
    };
    let compiled = compiled.with_context(|| format!("can't compile {}", source.display()))?;
    if let Some(folder) = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    std::fs::write(&arguments.output, &*compiled.bytes)
        .with_context(|| format!("can't write {}", arguments.output.display()))?;
    if let Some(streaming) = &compiled.streaming {
        stream::describe(streaming);
    }
    summarize(&arguments.output, &compiled)
}

/// The format of a file, by its content, or by its name where the content does not tell.
fn format(bytes: &[u8], path: &Path) -> Result<Format> {
    const ADVICE: &str = "export it to ONNX (torch.onnx.export) or TensorFlow Lite first";
    if bytes.get(4..8) == Some(b"TFL3") {
        return Ok(Format::TensorFlowLite);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        bail!("{} is an archive, such as PyTorch and Keras save: {ADVICE}", path.display());
    }
    if bytes.starts_with(b"\x89HDF") {
        bail!("{} is an HDF5 file, such as Keras saves: {ADVICE}", path.display());
    }
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("onnx") => Ok(Format::Onnx),
        Some("tflite") => Ok(Format::TensorFlowLite),
        _ => bail!("{} is neither a .tflite nor an .onnx file: {ADVICE}", path.display()),
    }
}

/// Whether any tensor that is computed holds codes.
fn is_quantized(graph: &Graph) -> bool {
    let mut computed = graph.tensors.iter().filter(|tensor| tensor.data.is_none());
    computed.any(|tensor| matches!(tensor.data_type, DataType::Int8 | DataType::Int16))
}

fn name_classes(graph: &mut Graph, classes: &[String]) -> Result<()> {
    if classes.is_empty() {
        return Ok(());
    }
    let output = graph.outputs.first().context("the model has no output")?;
    let scores = graph.tensor(*output).elements();
    ensure!(classes.len() == scores, "{} classes are named, the first output has {scores} scores", classes.len());
    ensure!(classes.iter().all(|class| !class.trim().is_empty()), "a class has no name");
    graph.classes = classes.iter().map(|class| class.trim().to_owned()).collect();
    Ok(())
}

/// Quantizes over the samples in one array for each input.
fn calibrated(graph: &Graph, options: &CompileOptions, precision: Precision, paths: &[PathBuf]) -> Result<Compiled> {
    ensure!(
        paths.len() == graph.inputs.len(),
        "--calibrate wants one file for each of the {} inputs, {} are given",
        graph.inputs.len(),
        paths.len()
    );
    let mut inputs = Vec::new();
    for (id, path) in graph.inputs.iter().zip(paths) {
        let tensor = graph.tensor(*id);
        let cases = arrays::read(path, &tensor.name, &record(&tensor.shape)?)?;
        let Values::Float32(values) = cases.values else { bail!("{} does not hold float32", path.display()) };
        ensure!(values.iter().all(|value| value.is_finite()), "{} holds a value that is not finite", path.display());
        inputs.push((cases.count, values, tensor.elements()));
    }
    let count = inputs.first().map_or(0, |(count, ..)| *count);
    ensure!(inputs.iter().all(|(cases, ..)| *cases == count), "the files hold different numbers of samples");
    println!("calibrating on {count} samples");
    let sample = |at: usize| inputs.iter().map(|(_, values, size)| &values[at * size..(at + 1) * size]).collect();
    compile_quantized_with(graph, options, precision, (0..count).map(sample))
}

/// A float tensor of a shape, as arrays are checked against.
fn record(shape: &[usize]) -> Result<Tensor> {
    let mut extents = [0; MAX_RANK];
    ensure!(shape.len() <= MAX_RANK, "an input has {} axes, at most {MAX_RANK} are taken", shape.len());
    for (extent, source) in extents.iter_mut().zip(shape) {
        *extent = u32::try_from(*source)?;
    }
    let record = Tensor {
        data_type: DataType::Float32,
        place: Place::Arena,
        rank: shape.len() as u16,
        offset: 0,
        length: 0,
        scale: 0.0,
        zero_point: 0,
        extents,
    };
    let length = record.bytes().with_context(|| format!("an input of {shape:?} is too large"))?;
    Ok(Tensor { length, ..record })
}

fn summarize(path: &Path, compiled: &Compiled) -> Result<()> {
    let model = Model::from_bytes(&compiled.bytes)?;
    let inputs = model.named_inputs().map(|port| ("input", port));
    for (word, (name, port)) in inputs.chain(model.named_outputs().map(|port| ("output", port))) {
        let tensor = model.tensor(port.tensor).context("a port has no tensor")?;
        println!("{word:>6} {name:16} {:?} {:?}", tensor.shape(), tensor.data_type);
    }
    let mut steps: BTreeMap<String, usize> = BTreeMap::new();
    for step in model.steps() {
        *steps.entry(step.kind().map_or("unknown".into(), |kind| format!("{kind:?}"))).or_default() += 1;
    }
    let steps: Vec<String> = steps.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!(" steps {}", steps.join(", "));
    println!(
        "{}: {} bytes, weights {}, arena {} (liveness floor {})",
        path.display(),
        compiled.bytes.len(),
        model.constants().len(),
        compiled.arena_bytes,
        compiled.arena_floor_bytes
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_before_the_name() {
        let tflite = b"\x1c\0\0\0TFL3....";
        assert_eq!(format(tflite, Path::new("m.onnx")).unwrap(), Format::TensorFlowLite);
        assert_eq!(format(b"\x08\x08", Path::new("m.ONNX")).unwrap(), Format::Onnx);
        for (bytes, name) in [(&b"PK\x03\x04"[..], "m.pth"), (b"\x89HDF", "m.h5"), (b"", "m")] {
            let error = format(bytes, Path::new(name)).unwrap_err().to_string();
            assert!(error.contains("export it to ONNX"), "{error}");
        }
    }
}
