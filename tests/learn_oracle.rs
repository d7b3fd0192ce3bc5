//! Head training against PyTorch: parameters after every snapshot step and the loss of every step,
//! within the tolerance that each case states.
//!
//! Cases are the folders `D_training/head_*` of the golden material, found through
//! `NERVELET_ORACLE` (default `../shared/oracle`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3, ArrayD};
use ndarray_npy::{ReadableElement, read_npy};
use nervelet::learn::{Adam, AdamSettings, DenseHead, Gradient, HeadShape, Loss, Optimizer, Sgd, SgdSettings, Target};
use safetensors::SafeTensors;
use serde_json::Value;

fn cases() -> Option<Vec<PathBuf>> {
    let oracle = std::env::var_os("NERVELET_ORACLE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/oracle"), PathBuf::from);
    let mut cases: Vec<_> = std::fs::read_dir(oracle.join("D_training"))
        .ok()?
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("head_")))
        .collect();
    cases.sort();
    (!cases.is_empty()).then_some(cases)
}

/// The tensors of a safetensors file, as flat f32.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let values = |data: &[u8]| data.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32, "{}: {name}", path.display());
            (name.to_string(), (view.shape().to_vec(), values(view.data())))
        })
        .collect()
}

fn number(object: &Value, key: &str) -> f32 {
    object[key].as_f64().unwrap_or_else(|| panic!("no number '{key}' in {object}")) as f32
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    // NaN must not pass as small.
    ours.iter().zip(theirs).map(difference).fold(0.0, |most, d| if d.is_nan() { f64::INFINITY } else { d.max(most) })
}

/// Runs `test` with the optimizer that `meta.json` describes.
fn with_optimizer<R>(settings: &Value, parameters: usize, test: impl FnOnce(&mut dyn Optimizer) -> R) -> R {
    for (key, value) in settings.as_object().unwrap() {
        let off = value.is_null() || value == &Value::from(false) || value.as_f64() == Some(0.0);
        let known = ["type", "lr", "momentum", "nesterov", "weight_decay", "betas", "eps", "decoupled_weight_decay"];
        assert!(off || known.contains(&key.as_str()), "optimizer setting {key} = {value} is not implemented");
    }
    let weight_decay = number(settings, "weight_decay");
    let learning_rate = number(settings, "lr");
    let (mut first, mut second) = (vec![0.0; parameters], vec![0.0; parameters]);
    match settings["type"].as_str().unwrap() {
        "SGD" => {
            let momentum = number(settings, "momentum");
            let nesterov = settings["nesterov"].as_bool().unwrap();
            let settings = SgdSettings { learning_rate, momentum, nesterov, weight_decay };
            // Without momentum no velocity is needed.
            let velocity = if momentum == 0.0 { &mut [][..] } else { &mut first[..] };
            test(&mut Sgd::new(settings, velocity).unwrap())
        }
        "Adam" | "AdamW" => {
            let betas = [0, 1].map(|index| settings["betas"][index].as_f64().unwrap() as f32);
            let settings = AdamSettings {
                learning_rate,
                beta1: betas[0],
                beta2: betas[1],
                epsilon: number(settings, "eps"),
                weight_decay,
                decoupled_weight_decay: settings["type"] == "AdamW",
            };
            test(&mut Adam::new(settings, &mut first, &mut second).unwrap())
        }
        other => panic!("optimizer '{other}' is not implemented"),
    }
}

enum Targets {
    Classes(Array2<usize>),
    Values(Array3<f32>),
}

impl Targets {
    fn read(path: &Path) -> Self {
        fn classes<T: ReadableElement + Copy + TryInto<usize, Error: std::fmt::Debug>>(
            path: &Path,
        ) -> Option<Array2<usize>> {
            let labels: Array2<T> = read_npy(path).ok()?;
            Some(labels.mapv(|label| label.try_into().unwrap()))
        }
        match classes::<i64>(path).or_else(|| classes::<i32>(path)) {
            Some(labels) => Self::Classes(labels),
            None => Self::Values(read_npy(path).unwrap()),
        }
    }

    fn with<R>(&self, step: usize, sample: usize, visit: impl FnOnce(Target<'_>) -> R) -> R {
        match self {
            Self::Classes(labels) => visit(Target::Class(labels[[step, sample]])),
            Self::Values(values) => {
                visit(Target::Values(values.slice(ndarray::s![step, sample, ..]).as_slice().unwrap()))
            }
        }
    }
}

/// Largest differences of a case, and its tolerances: parameters, losses.
struct Measured {
    difference: [f64; 2],
    tolerance: [f64; 2],
}

fn train(case: &Path) -> Measured {
    let meta: Value = serde_json::from_slice(&std::fs::read(case.join("meta.json")).unwrap()).unwrap();
    let loss = match meta["loss"].as_str().unwrap() {
        name if name.starts_with("CrossEntropyLoss") => Loss::CrossEntropy,
        name if name.starts_with("MSELoss") => Loss::MeanSquaredError,
        other => panic!("loss '{other}' is not implemented"),
    };
    let inputs: Array3<f32> = read_npy(case.join("inputs.npy")).unwrap();
    let targets = Targets::read(&case.join("targets.npy"));
    let losses: Vec<f32> = match read_npy::<_, ArrayD<f32>>(case.join("outputs.npy")) {
        Ok(losses) => losses.into_iter().collect(),
        Err(_) => read_npy::<_, Array1<f64>>(case.join("outputs.npy")).unwrap().mapv(|loss| loss as f32).to_vec(),
    };
    let (steps, batch, features) = inputs.dim();
    assert_eq!(losses.len(), steps);

    let initial = tensors(&case.join("initial.safetensors"));
    let snapshots = tensors(&case.join("snapshots.safetensors"));
    let first_gradient = tensors(&case.join("grad_step1.safetensors"));
    let last = tensors(&case.join("final.safetensors"));
    let (shape, mut weights) = initial["weight"].clone();
    let mut bias = initial["bias"].1.clone();
    assert_eq!(shape, [bias.len(), features]);

    let shape = HeadShape { classes: bias.len(), features };
    let mut head = DenseHead::new(features, &mut weights, &mut bias).unwrap();
    let (mut values, mut outputs) = (vec![f32::NAN; shape.parameters()], vec![f32::NAN; shape.classes]);
    let mut gradient = Gradient::new(shape, &mut values, &mut outputs).unwrap();
    let [mut parameter_difference, mut loss_difference] = [0.0_f64; 2];
    let mut compare = |weights: &[f32], bias: &[f32], weight_theirs: &[f32], bias_theirs: &[f32]| {
        parameter_difference = parameter_difference
            .max(largest_difference(weights, weight_theirs))
            .max(largest_difference(bias, bias_theirs));
    };
    let mut compared = 0;
    with_optimizer(&meta["optimizer"], shape.parameters(), |optimizer| {
        for step in 0..steps {
            for sample in 0..batch {
                let features = inputs.slice(ndarray::s![step, sample, ..]);
                let add = |target: Target<'_>| gradient.add(&head, loss, features.as_slice().unwrap(), target);
                targets.with(step, sample, add).unwrap();
            }
            let ours = gradient.finish().unwrap();
            loss_difference = loss_difference.max(largest_difference(&[ours], &losses[step..=step]));
            if step == 0 {
                let (weights, bias) = gradient.values().split_at(shape.weights());
                compare(weights, bias, &first_gradient["weight"].1, &first_gradient["bias"].1);
            }
            optimizer.step(&mut head, gradient.values()).unwrap();
            let name = |part| format!("step{}.{part}", step + 1);
            if let (Some(weight), Some(bias)) = (snapshots.get(&name("weight")), snapshots.get(&name("bias"))) {
                compare(head.weights(), head.bias(), &weight.1, &bias.1);
                compared += 1;
            }
        }
    });
    compare(head.weights(), head.bias(), &last["weight"].1, &last["bias"].1);
    let wanted = snapshots.keys().filter(|name| name.ends_with(".weight") && *name != "step0.weight").count();
    assert!(compared == wanted && compared > 0, "{compared} of {wanted} snapshots were compared");
    let tolerance = ["atol_params", "atol_loss"].map(|key| meta["tolerance"][key].as_f64().unwrap());
    Measured { difference: [parameter_difference, loss_difference], tolerance }
}

#[test]
fn every_optimizer_and_loss_follows_pytorch() {
    let Some(cases) = cases() else {
        println!("skipped: no D_training/head_* under NERVELET_ORACLE");
        return;
    };
    let mut failed = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy();
        let Measured { difference: [parameters, losses], tolerance: [atol_parameters, atol_loss] } = train(case);
        println!(
            "{name:28} parameters {parameters:.1e} of {atol_parameters:.1e}, losses {losses:.1e} of {atol_loss:.1e}"
        );
        if parameters > atol_parameters || losses > atol_loss {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "outside their tolerance: {failed:?}");
}
