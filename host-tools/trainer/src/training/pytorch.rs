//! Training steps compared with PyTorch's, parameter by parameter.

use std::path::{Path, PathBuf};

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayD;
use ndarray_npy::read_npy;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

use super::objective::CrossEntropy;
use super::optimizer::optimizer;
use crate::architecture::{Activation, Architecture, Layer, Operation, Shape, Window};
use crate::network::{Mode, Network, Weight, Weights};
use crate::random::{Purpose, stream};
use crate::recipe::{OptimizerKind, TrainingSpec};

/// PyTorch's name of a tensor, and ours.
type Names = [(&'static str, &'static str)];

const MLP: &Names =
    &[("0.weight", "hidden.weight"), ("0.bias", "hidden.bias"), ("2.weight", "head.weight"), ("2.bias", "head.bias")];
const CNN: &Names = &[
    ("conv.weight", "conv.weight"),
    ("conv.bias", "conv.bias"),
    ("bn.weight", "bn.gamma"),
    ("bn.bias", "bn.beta"),
    ("bn.running_mean", "bn.running_mean"),
    ("bn.running_var", "bn.running_variance"),
    ("fc.weight", "fc.weight"),
    ("fc.bias", "fc.bias"),
];

fn architecture(input: [usize; 3], operations: &[(&str, Operation, Shape)]) -> Architecture {
    let mut shape = Shape::Map(input);
    let mut layer = |&(name, operation, output): &(&str, Operation, Shape)| {
        let layer = Layer { name: name.to_owned(), operation, input: shape, output };
        shape = output;
        layer
    };
    Architecture { input, layers: operations.iter().map(&mut layer).collect(), side: None, lengths: false }
}

fn mlp() -> Architecture {
    let relu = Operation::Activation(Activation::Relu);
    architecture(
        [1, 1, 12],
        &[
            ("flatten", Operation::Flatten, Shape::Vector(12)),
            ("hidden", Operation::Dense { units: 20, bias: true }, Shape::Vector(20)),
            ("relu", relu, Shape::Vector(20)),
            ("head", Operation::Dense { units: 4, bias: true }, Shape::Vector(4)),
        ],
    )
}

fn cnn([height, width]: [usize; 2], bias: bool) -> Architecture {
    let window = Window { kernel: [3, 3], stride: [2, 2], padding: [(1, 1), (1, 1)] };
    let [rows, columns] = window.output([height, width]).unwrap();
    let map = Shape::Map([rows, columns, 6]);
    architecture(
        [height, width, 2],
        &[
            ("conv", Operation::Convolution { filters: 6, window, bias }, map),
            ("bn", Operation::BatchNorm { epsilon: 1e-5, momentum: 0.1 }, map),
            ("relu", Operation::Activation(Activation::Relu), map),
            ("pool", Operation::GlobalAveragePool, Shape::Vector(6)),
            ("fc", Operation::Dense { units: 3, bias: true }, Shape::Vector(3)),
        ],
    )
}

fn read_weights(path: &Path, names: &Names) -> Weights {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weight = |&(theirs, ours): &(&str, &str)| {
        let view = file.tensor(theirs).unwrap();
        assert_eq!(view.dtype(), Dtype::F32);
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let weight = match *view.shape() {
            // PyTorch keeps a dense layer as [out, in].
            [out, inputs] => Weight {
                shape: vec![inputs, out],
                values: (0..inputs).flat_map(|input| values.iter().skip(input).step_by(inputs).copied()).collect(),
            },
            ref shape => Weight { shape: shape.to_vec(), values },
        };
        (ours.to_owned(), weight)
    };
    names.iter().map(weight).collect()
}

fn spec(optimizer: &Value) -> TrainingSpec {
    let number = |key: &str| optimizer[key].as_f64().unwrap_or(0.0);
    let kind = match (optimizer["type"].as_str().unwrap(), number("momentum") > 0.0) {
        ("SGD", false) => OptimizerKind::Sgd,
        ("SGD", true) if optimizer["nesterov"] == true => OptimizerKind::Nesterov,
        ("SGD", true) => OptimizerKind::Momentum,
        ("Adam", _) => OptimizerKind::Adam,
        ("AdamW", _) => OptimizerKind::AdamW,
        (other, _) => panic!("unknown optimizer {other}"),
    };
    let defaults = TrainingSpec::default();
    let beta = |index: usize, default: f64| optimizer["betas"][index].as_f64().unwrap_or(default);
    TrainingSpec {
        optimizer: kind,
        learning_rate: number("lr"),
        momentum: number("momentum"),
        beta_1: beta(0, defaults.beta_1),
        beta_2: beta(1, defaults.beta_2),
        epsilon: optimizer["eps"].as_f64().unwrap_or(defaults.epsilon),
        weight_decay: number("weight_decay"),
        ..defaults
    }
}

/// Repeats the steps of a case and compares each loss and the final parameters.
fn check(folder: &Path, architecture: &Architecture, names: &Names) {
    let meta: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json")).unwrap()).unwrap();
    let spec = spec(&meta["optimizer"]);
    let inputs: ArrayD<f32> = read_npy(folder.join("inputs.npy")).unwrap();
    let targets: ArrayD<i64> = read_npy(folder.join("targets.npy")).unwrap();
    let losses: ArrayD<f32> = read_npy(folder.join("outputs.npy")).unwrap();
    let (steps, batch) = (inputs.shape()[0], inputs.shape()[1]);
    let device = Device::flex().autodiff();
    let initial = read_weights(&folder.join("initial.safetensors"), names);
    let mut network = Network::with_weights(architecture, &initial, &device).unwrap();
    let mut optimizer = optimizer(&spec);
    let classes = architecture.layers.last().unwrap().output.len();
    let objective = CrossEntropy::plain(classes);
    let inputs: Vec<f32> = inputs.iter().copied().collect();
    let targets: Vec<usize> = targets.iter().map(|&target| usize::try_from(target).unwrap()).collect();
    let [height, width, channels] = architecture.input;
    let mut random = stream(1, Purpose::Dropout);
    for (step, (values, labels)) in inputs.chunks(inputs.len() / steps).zip(targets.chunks(batch)).enumerate() {
        let data = TensorData::new(values.to_vec(), [batch, channels, height, width]);
        let mut mode = if meta["mode"] == "train" { Mode::Train(&mut random) } else { Mode::Evaluate };
        let logits = network.forward(Tensor::from_data(data, &device).into(), &mut mode);
        let loss = objective.forward(logits, labels);
        let difference = f64::from(loss.clone().inner().into_scalar::<f32>() - losses.as_slice().unwrap()[step]).abs();
        let tolerance = meta["tolerance"]["atol_loss"].as_f64().unwrap();
        assert!(difference <= tolerance, "{}: step {step}: loss off by {difference:e}", folder.display());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(spec.learning_rate, network, gradients);
    }
    let expected = read_weights(&folder.join("final.safetensors"), names);
    let found = network.weights(architecture);
    let tolerance = meta["tolerance"]["atol_params"].as_f64().unwrap();
    for (name, weight) in &expected {
        for (found, expected) in found[name].values.iter().zip(&weight.values) {
            let difference = f64::from(found - expected).abs();
            assert!(difference <= tolerance, "{}: {name} off by {difference:e}", folder.display());
        }
    }
}

#[test]
fn training_steps_equal_those_of_pytorch() {
    let root = std::env::var_os("NERVELET_ORACLE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle"), PathBuf::from);
    let group = root.join("D_training");
    if !group.is_dir() {
        eprintln!("skipped: there is no {}", group.display());
        return;
    }
    for optimizer in ["sgd", "sgd_momentum", "adam", "adamw"] {
        check(&group.join(format!("full_mlp2_train_{optimizer}")), &mlp(), MLP);
        for mode in ["train", "eval"] {
            let folder = group.join(format!("full_cnn_bn_{mode}_{optimizer}"));
            let inputs: ArrayD<f32> = read_npy(folder.join("inputs.npy")).unwrap();
            // Where nothing but rounding reaches a bias before a batch normalization, the case has none.
            let bias = std::fs::read_to_string(folder.join("arch.json")).unwrap().contains("conv.bias");
            let names: Vec<_> = CNN.iter().copied().filter(|(name, _)| bias || *name != "conv.bias").collect();
            check(&folder, &cnn([inputs.shape()[3], inputs.shape()[4]], bias), &names);
        }
    }
}
