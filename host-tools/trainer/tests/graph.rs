//! What the compiler makes of a trained network computes what the network computed: no weight lies in the wrong order.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_trainer::dataset::{Dataset, Split};
use nervelet_trainer::metrics::softmax;
use nervelet_trainer::{Run, TrainOptions, train};

/// Kernels that are not square, strides that leave odd padding, multipliers: an exchanged axis shows.
const SEQUENCE: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 3, adapt_repetitions = 1 }
layers = [
    { kind = "conv1d", filters = 5, kernel = 4, stride = 3 },
    { kind = "batch_norm" },
    { kind = "relu" },
    { kind = "depthwise_conv1d", kernel = 3, multiplier = 2, padding = "valid" },
    { kind = "relu6" },
    { kind = "max_pool", size = 2 },
    { kind = "separable_conv1d", filters = 7, kernel = 4 },
    { kind = "tanh" },
    { kind = "average_pool", size = 3, stride = 2, padding = "same" },
    { kind = "flatten" },
    { kind = "dense", units = 11 },
    { kind = "sigmoid" },
    { kind = "dropout", rate = 0.3 },
    { kind = "dense" },
]
training = { epochs = 2, learning_rate = 1e-2 }
"#;

/// The same readings seen as an image of 8 rows, 10 columns and 6 channels.
const IMAGE: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 3, adapt_repetitions = 1 }
input = { shape = [8, 10, 6], normalization = "none" }
layers = [
    { kind = "conv2d", filters = 5, kernel = [3, 2], stride = [2, 1], bias = false },
    { kind = "batch_norm" },
    { kind = "relu" },
    { kind = "depthwise_conv2d", kernel = [2, 3], multiplier = 3, padding = "valid" },
    { kind = "separable_conv2d", filters = 4, kernel = [1, 3], bias = false },
    { kind = "max_pool", size = [1, 2] },
    { kind = "global_average_pool" },
    { kind = "dense" },
]
training = { epochs = 2, learning_rate = 1e-2 }
"#;

const AUTOENCODER: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 3, adapt_repetitions = 1 }
layers = [{ kind = "flatten" }, { kind = "dense", units = 8 }, { kind = "relu" }, { kind = "dense" }]
training = { epochs = 2, loss = "mse" }
"#;

/// Every recurrent cell, both directions, several layers.
const RECURRENT: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 3, adapt_repetitions = 1 }
layers = [
    { kind = "conv1d", filters = 5, kernel = 4, stride = 4 },
    { kind = "gru", units = 6, layers = 2, bidirectional = true, dropout = 0.2, truncate = 7 },
    { kind = "lstm", units = 5, bidirectional = true },
    { kind = "gru", units = 4, reset_after = false, bias = false },
    { kind = "layer_norm" },
    { kind = "dense", units = 7 },
    { kind = "gelu" },
    { kind = "rnn", units = 9, activation = "relu", layers = 2, output = "last" },
    { kind = "dense" },
]
training = { epochs = 2, learning_rate = 1e-2, clip_norm = 1.0 }
"#;

const ENCODER: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 3, adapt_repetitions = 1 }
layers = [
    { kind = "conv1d", filters = 12, kernel = 4, stride = 4 },
    { kind = "positional_encoding" },
    { kind = "transformer_encoder", heads = 3, feed_forward = 10, dropout = 0.1 },
    { kind = "positional_encoding", values = "learned" },
    { kind = "transformer_encoder", heads = 2, feed_forward = 9, layers = 2, norm_first = true, activation = "relu" },
    { kind = "last_step" },
    { kind = "dense" },
]
training = { epochs = 2, learning_rate = 1e-2 }
quantization = { aware_epochs = 1 }
"#;

/// Whatever can follow sequences of different lengths, up to a pool.
const LENGTHS: &str = r#"
layers = [
    { kind = "dense", units = 12 },
    { kind = "gelu" },
    { kind = "transformer_encoder", heads = 3, feed_forward = 10, dropout = 0.1 },
    { kind = "gru", units = 6, layers = 2, bidirectional = true, dropout = 0.2, truncate = 4 },
    { kind = "lstm", units = 5, bidirectional = true },
    { kind = "rnn", units = 8, activation = "relu" },
    { kind = "layer_norm" },
    POOL
    { kind = "dense" },
]
training = { epochs = 3, learning_rate = 1e-2, batch_size = 8 }
"#;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn trained(name: &str, recipe: &str) -> Result<(Folder, Run)> {
    let folder = Folder(std::env::temp_dir().join(format!("nervelet-graph-{}-{name}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let path = folder.0.join("recipe.toml");
    std::fs::write(&path, recipe)?;
    let options = TrainOptions { out: Some(folder.0.join("run")), quiet: true, ..TrainOptions::default() };
    let run = train(&path, &options)?;
    Ok((folder, run))
}

/// The compiled float network's outputs for rows.
fn compiled(run: &Run, dataset: &Dataset, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
    let file = compile(&run.graph()?, &CompileOptions { trainable_head: false, ..CompileOptions::default() })?;
    let model = Model::from_bytes(&file.bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let mut outputs = Vec::new();
    for &row in rows {
        for (index, values) in dataset.inputs(row).into_iter().enumerate() {
            session.set_input(index, values)?;
        }
        session.invoke()?;
        outputs.push(session.output_values(0)?.collect());
    }
    Ok(outputs)
}

fn agree(run: &Run, dataset: &Dataset, tolerance: f32) -> Result<()> {
    let rows = dataset.split(Split::Test);
    let mut expected = run.evaluate_float(dataset, &rows)?;
    if !run.graph()?.classes.is_empty() {
        expected = expected.iter().map(|logits| softmax(logits)).collect();
    }
    for (found, expected) in compiled(run, dataset, &rows)?.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
        }
    }
    Ok(())
}

#[test]
fn a_sequence_classifier_computes_the_same() -> Result<()> {
    let (_folder, run) = trained("sequence", SEQUENCE)?;
    agree(&run, &run.dataset(None)?, 1e-5)
}

#[test]
fn an_image_classifier_computes_the_same() -> Result<()> {
    let (_folder, run) = trained("image", IMAGE)?;
    agree(&run, &run.dataset(None)?, 1e-5)
}

#[test]
fn recurrent_layers_compute_the_same() -> Result<()> {
    let (_folder, run) = trained("recurrent", RECURRENT)?;
    agree(&run, &run.dataset(None)?, 1e-5)
}

#[test]
fn transformer_encoders_compute_the_same() -> Result<()> {
    let (_folder, run) = trained("encoder", ENCODER)?;
    agree(&run, &run.dataset(None)?, 1e-5)
}

/// A folder of sequences of 2 channels and up to 11 steps, with what is behind their ends filled with `padding`; the class is
/// the sign of their sum.
fn write_sequences(folder: &Path, padding: f32) {
    const TIME: usize = 11;
    let length = |row: usize| 1 + row * 7 % TIME;
    let value =
        |row: usize, step: usize, channel: usize| ((row * 31 + step * 17 + channel * 5) % 23) as f32 / 11.0 - 1.0;
    let array = ndarray::Array3::from_shape_fn((60, TIME, 2), |(row, step, channel)| {
        if step < length(row) { value(row, step, channel) } else { padding }
    });
    ndarray_npy::write_npy(folder.join("x.npy"), &array).unwrap();
    let lengths = ndarray::Array1::from_shape_fn(60, |row| length(row) as i32);
    ndarray_npy::write_npy(folder.join("lengths.npy"), &lengths).unwrap();
    let mut manifest = String::from("split,label\n");
    for row in 0..60 {
        let sum: f32 = (0..length(row)).map(|step| value(row, step, 0)).sum();
        manifest += &format!("{},{}\n", ["train", "train", "val", "test"][row / 15], u8::from(sum > 0.0));
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
}

#[test]
fn sequences_of_different_lengths_end_where_they_end() -> Result<()> {
    for pool in [r#"{ kind = "global_average_pool" },"#, r#"{ kind = "last_step" },"#, ""] {
        let data = Folder(std::env::temp_dir().join(format!("nervelet-graph-{}-lengths", std::process::id())));
        std::fs::create_dir_all(&data.0)?;
        let mut layers = LENGTHS.replace("POOL", pool);
        if pool.is_empty() {
            layers = layers.replace(r#"activation = "relu" }"#, r#"activation = "relu", output = "last" }"#);
        }
        let path = data.0.display().to_string();
        let recipe = format!(
            "dataset = {{ kind = \"array-folder\", name = \"lengths\", path = {path:?}, lengths = \"lengths.npy\" }}\n{layers}"
        );
        write_sequences(&data.0, 0.0);
        let (_folder, run) = trained("lengths", &recipe)?;
        agree(&run, &run.dataset(None)?, 1e-5)?;
        // What lies behind the ends reaches neither the training nor the network.
        let rows: Vec<usize> = (0..60).collect();
        let outputs = run.evaluate_float(&run.dataset(None)?, &rows)?;
        write_sequences(&data.0, 1e6);
        let mut dataset = run.dataset(None)?;
        assert_eq!(run.evaluate_float(&dataset, &rows)?, outputs);
        let (_folder, other) = trained("lengths-other", &recipe)?;
        assert_eq!(other.record().history, run.record().history);
        // An example alone, without padding, is the same example.
        for row in [3, 8, 20] {
            let count = dataset.lengths.as_ref().unwrap()[row] as usize;
            let mut alone = dataset.clone();
            alone.shape = [1, count, 2];
            alone.values = dataset.example(row)[..count * 2].to_vec();
            alone.rows = vec![dataset.rows[row].clone()];
            alone.lengths = Some(vec![count as f32]);
            for (found, expected) in run.evaluate_float(&alone, &[0])?[0].iter().zip(&outputs[row]) {
                assert!((found - expected).abs() < 1e-5, "row {row}: {found} is not {expected}");
            }
        }
        // Another length is another example.
        dataset.lengths.as_mut().unwrap().fill(1.0);
        assert_ne!(run.evaluate_float(&dataset, &rows)?, outputs);
    }
    Ok(())
}

#[test]
fn a_regression_predicts_in_real_units() -> Result<()> {
    let data = Folder(std::env::temp_dir().join(format!("nervelet-graph-{}-table", std::process::id())));
    std::fs::create_dir_all(&data.0)?;
    let mut table = String::from("a,b,sum,split\n");
    for row in 0..400 {
        let (a, b) = ((f64::from(row) * 0.7).sin(), (f64::from(row) * 0.31).cos());
        let split = ["train", "train", "val", "test"][row as usize / 100];
        // A reading that is missing keeps its value, a target that is missing makes no example.
        let target = if row % 50 == 7 { -200.0 } else { 500.0 + 30.0 * (a + 2.0 * b) };
        let b = if row % 40 == 0 { -200.0 } else { b };
        table += &format!("{a},{b},{target},{split}\n");
    }
    std::fs::write(data.0.join("table.csv"), table)?;
    let recipe = format!(
        r#"
layers = [{{ kind = "gru", units = 12, output = "last" }}, {{ kind = "dense" }}]
training = {{ epochs = 60, loss = "mse", learning_rate = 2e-2, batch_size = 16 }}
[dataset]
kind = "csv"
name = "table"
path = {path:?}
file = "table.csv"
features = ["a", "b"]
targets = ["sum"]
missing = -200.0
split = "split"
window = {{ length = 3, stride = 1 }}
"#,
        path = data.0.display().to_string()
    );
    let (_folder, run) = trained("regression", &recipe)?;
    let dataset = run.dataset(None)?;
    // Three splits begin with two rows that end no window; eight targets are missing.
    assert_eq!(dataset.rows.len(), 400 - 3 * 2 - 8);
    let test = run.record().regression.iter().find(|scores| scores.split == Split::Test);
    let test = test.expect("the test split is measured");
    assert!(test.r_squared > 0.95, "{test:?}");
    agree(&run, &dataset, 1e-2)
}

#[test]
fn an_autoencoder_computes_the_same() -> Result<()> {
    let (_folder, run) = trained("autoencoder", AUTOENCODER)?;
    agree(&run, &run.dataset(None)?, 1e-4)
}

#[test]
fn a_classifier_with_a_side_input_computes_the_same() -> Result<()> {
    let data = std::env::var_os("NERVELET_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = data.join("ecg_mitbih_beats");
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return Ok(());
    }
    let recipe = format!(
        r#"
dataset = {{ kind = "array-folder", name = "ecg", path = {path:?} }}
input = {{ side = {{ file = "rr.npy", layers = [{{ kind = "dense", units = 6 }}, {{ kind = "relu" }}] }} }}
layers = [
    {{ kind = "conv1d", filters = 6, kernel = 5, stride = 4 }},
    {{ kind = "relu" }},
    {{ kind = "max_pool", size = 4 }},
    {{ kind = "flatten" }},
    {{ kind = "concatenate" }},
    {{ kind = "dense" }},
]
training = {{ epochs = 1 }}
"#,
        path = folder.display().to_string()
    );
    let (_folder, run) = trained("side", &recipe)?;
    agree(&run, &run.dataset(None)?, 1e-5)
}
