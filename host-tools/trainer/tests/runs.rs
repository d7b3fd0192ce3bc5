//! Trainings from recipe to run folder: the same seed gives the same files, and a run can be opened again.

use std::path::{Path, PathBuf};

use nervelet_trainer::architecture::Architecture;
use nervelet_trainer::checkpoint::Checkpoint;
use nervelet_trainer::dataset::{Dataset, Split};
use nervelet_trainer::recipe::Recipe;
use nervelet_trainer::report::{self, Fragment};
use nervelet_trainer::{Run, TrainOptions, train};

const CLASSIFIER: &str = r#"
description = "a test"
dataset = { kind = "gestures", train_users = 2, val_users = 1, test_users = 2, repetitions = 6, adapt_repetitions = 2 }
augmentation = { jitter = 0.1, scale = 0.1, time_shift = 3, offset = 0.05 }
layers = [
    { kind = "conv1d", filters = 8, kernel = 5, stride = 4, bias = false },
    { kind = "batch_norm" },
    { kind = "relu" },
    { kind = "depthwise_conv1d", kernel = 3, multiplier = 2 },
    { kind = "average_pool", size = 3, stride = 2, padding = "same" },
    { kind = "separable_conv1d", filters = 12, kernel = 3, padding = "valid" },
    { kind = "relu6" },
    { kind = "max_pool", size = 2 },
    { kind = "flatten" },
    { kind = "dropout", rate = 0.2 },
    { kind = "dense" },
]
[training]
epochs = 4
batch_size = 32
learning_rate = 5e-3
class_weights = "balanced"
label_smoothing = 0.05
"#;

const AUTOENCODER: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 4, adapt_repetitions = 1 }
layers = [{ kind = "flatten" }, { kind = "dense", units = 8 }, { kind = "tanh" }, { kind = "dense" }]
[training]
epochs = 3
loss = "mse"
"#;

/// A folder of this test that is empty at its start.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nervelet-runs-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn train(&self, run: &str, recipe: &str) -> Run {
        self.train_with(run, recipe, TrainOptions::default()).unwrap()
    }

    fn train_with(&self, run: &str, recipe: &str, options: TrainOptions) -> anyhow::Result<Run> {
        let path = self.0.join(format!("{run}.toml"));
        std::fs::write(&path, recipe).unwrap();
        train(&path, &TrainOptions { out: Some(self.0.join(run)), quiet: true, ..options })
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.0.join(path)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_seed_others() {
    let folder = Folder::new("seeds");
    let first = folder.train("first", CLASSIFIER);
    let second = folder.train("second", CLASSIFIER);
    for file in ["metrics.csv", "checkpoint.safetensors"] {
        assert_eq!(folder.read(&format!("first/{file}")), folder.read(&format!("second/{file}")), "{file}");
    }
    assert_eq!(first.record().scores, second.record().scores);
    assert_eq!(first.record().subjects, second.record().subjects);
    folder.train("third", &format!("{CLASSIFIER}seed = 2\n"));
    assert_ne!(folder.read("first/metrics.csv"), folder.read("third/metrics.csv"));
}

#[test]
fn an_opened_run_gives_the_same_outputs_and_scores() {
    let folder = Folder::new("open");
    let run = folder.train("run", CLASSIFIER);
    let opened = Run::open(&folder.0.join("run")).unwrap();
    assert_eq!(run.record(), opened.record());
    let dataset = opened.dataset(None).unwrap();
    let rows = dataset.split(Split::Test);
    let outputs = run.evaluate_float(&dataset, &rows).unwrap();
    assert_eq!(outputs, opened.evaluate_float(&dataset, &rows).unwrap());
    // Row by row or all at once.
    assert_eq!(outputs[3..4], opened.evaluate_float(&dataset, &rows[3..4]).unwrap());
    // The head on its features gives the logits.
    let (weights, bias) = opened.head().unwrap();
    let features = opened.features_float(&dataset, &rows).unwrap();
    for (features, logits) in features.iter().zip(&outputs) {
        assert_eq!(features.len(), opened.architecture().head_features());
        for ((row, bias), logit) in weights.chunks_exact(features.len()).zip(&bias).zip(logits) {
            let sum: f32 = row.iter().zip(features).map(|(weight, value)| weight * value).sum();
            assert!((sum + bias - logit).abs() < 1e-3, "{} {logit}", sum + bias);
        }
    }
    assert!(opened.evaluate_float(&dataset, &[usize::MAX]).is_err());
    assert_eq!(opened.calibration_rows(&dataset), run.calibration_rows(&dataset));
}

#[test]
fn training_learns_and_stops_early() {
    let folder = Folder::new("learns");
    let run = folder.train("run", &CLASSIFIER.replace("epochs = 4", "epochs = 25"));
    let history = &run.record().history;
    assert!(history.last().unwrap().train_loss < 0.5 * history[0].train_loss, "{history:?}");
    assert!(run.float_scores(Split::Train).unwrap().accuracy > 0.7);
    // A step that is too small to improve anything.
    let still = CLASSIFIER
        .replace("learning_rate = 5e-3", "learning_rate = 1e-12\nearly_stopping = { patience = 2, min_delta = 0.5 }");
    let run = folder.train("still", &still.replace("epochs = 4", "epochs = 20"));
    assert_eq!(run.record().history.len(), 3);
    assert_eq!(run.record().best_epoch, 1);
}

#[test]
fn a_run_goes_on_from_anothers_weights_whole_or_with_its_encoder_frozen() {
    let folder = Folder::new("transfer");
    let first = folder.train("first", CLASSIFIER);
    let weights = Some(folder.0.join("first/checkpoint.safetensors"));
    // Other people.
    let recipe = format!("{CLASSIFIER}seed = 5\n").replace("train_users = 2,", "train_users = 3,");
    let options = |freeze: bool| TrainOptions { weights: weights.clone(), freeze, ..TrainOptions::default() };
    let frozen = folder.train_with("frozen", &recipe, options(true)).unwrap();
    let whole = folder.train_with("whole", &recipe, options(false)).unwrap();
    let of = |run: &Run| Checkpoint::load(&run.folder().join("checkpoint.safetensors")).unwrap();
    let (first, frozen_weights, whole) = (of(&first), of(&frozen), of(&whole));
    assert_eq!(first.input, frozen_weights.input);
    let head = frozen.architecture().head().unwrap().name.clone();
    for (name, weight) in &first.weights {
        assert_eq!(frozen_weights.weights[name] == *weight, !name.starts_with(&head), "{name}");
        assert_ne!(whole.weights[name], *weight, "{name}");
    }
    let matches = frozen.record().pretrained.as_ref().unwrap();
    assert!(matches.layers.iter().all(|(layer, from)| from.as_ref() == Some(layer)) && matches.unused.is_empty());
    let wider = recipe.replace("filters = 8", "filters = 9");
    let error = format!("{:#}", folder.train_with("wider", &wider, options(true)).unwrap_err());
    assert!(error.contains("can't freeze layer0.conv1d"), "{error}");
    std::fs::write(folder.0.join("bad.pth"), b"PK\x03\x04 and no more").unwrap();
    let bad = TrainOptions { weights: Some(folder.0.join("bad.pth")), ..TrainOptions::default() };
    let error = format!("{:#}", folder.train_with("bad", &recipe, bad).unwrap_err());
    assert!(error.contains("bad.pth holds no state_dict"), "{error}");
}

#[test]
fn an_autoencoder_learns_to_reconstruct() {
    let folder = Folder::new("autoencoder");
    let run = folder.train("run", AUTOENCODER);
    let anomalies = run.record().anomalies.as_ref().unwrap();
    assert!(run.record().history[2].train_loss < run.record().history[0].train_loss);
    assert!(anomalies.val_error.is_finite() && anomalies.threshold > 0.0);
    assert_eq!(anomalies.area_under_curve, None);
    assert!(run.graph().unwrap().classes.is_empty());
}

#[test]
fn the_report_takes_sections_of_other_commands() {
    let folder = Folder::new("report");
    let run = folder.train("run", CLASSIFIER);
    let mut fragment = Fragment::new("Fine-tuning");
    fragment.bars("Before and after", "accuracy", vec!["a".into()], vec![("before", vec![0.5]), ("after", vec![0.9])]);
    report::add(run.folder(), "finetune", &serde_json::json!({ "users": 1 }), &fragment).unwrap();
    let page = String::from_utf8(folder.read("run/report.html")).unwrap();
    let (training, tuning) = (page.find("<h2>Training").unwrap(), page.find("<h2>Fine-tuning").unwrap());
    assert!(training < tuning && page.contains("simulated"));
    assert!(folder.0.join("run/plots/finetune-1.svg").is_file());
    assert!(folder.0.join("run/plots/training-1.svg").is_file());
    assert_eq!(page.matches("<svg").count(), std::fs::read_dir(folder.0.join("run/plots")).unwrap().count());
}

#[test]
fn what_is_missing_is_named() {
    let folder = Folder::new("missing");
    let error = format!("{:#}", Run::open(&folder.0).unwrap_err());
    assert!(error.contains("is no run folder"), "{error}");
    let recipe = "dataset = { kind = \"array-folder\", name = \"nowhere\" }\nlayers = [{ kind = \"dense\" }]\n";
    let path = folder.0.join("recipe.toml");
    std::fs::write(&path, recipe).unwrap();
    let options = TrainOptions { data: Some(Path::new("/no/such/folder").into()), ..TrainOptions::default() };
    let error = format!("{:#}", train(&path, &options).unwrap_err());
    assert!(error.contains("/no/such/folder"), "{error}");
}

#[test]
fn every_recipe_that_comes_along_fits_its_dataset() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut read = 0;
    for entry in std::fs::read_dir(recipes).unwrap() {
        let path = entry.unwrap().path();
        let recipe = Recipe::load(&path).unwrap();
        read += 1;
        // What is not on this machine can't be compared with.
        if Dataset::folder(&recipe, None).is_err() {
            eprintln!("skipped: the dataset of {}", path.display());
            continue;
        }
        let dataset = Dataset::load(&recipe, None).unwrap();
        let architecture = Architecture::plan(&recipe, &dataset.facts()).unwrap();
        assert!(architecture.parameters() > 0 && architecture.head_features() > 0, "{}", path.display());
    }
    assert!(read > 8, "{read} recipes");
}
