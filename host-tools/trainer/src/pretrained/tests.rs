use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayD;
use ndarray_npy::read_npy;
use serde_json::Value;

use super::*;
use crate::architecture::{Operation, Shape};
use crate::dataset::Facts;
use crate::network::{Mode, Network};
use crate::random::{Purpose, stream};
use crate::recipe::{Initializer, Recipe};

/// The recipe's layers for PyTorch's modules; `None` where recipes don't have one of them.
fn layers(modules: &[Value]) -> Option<Vec<String>> {
    let mut layers = Vec::new();
    let mut inside: Option<String> = None;
    for (index, module) in modules.iter().enumerate() {
        let name = module["name"].as_str()?;
        if inside.as_ref().is_some_and(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let kind = module["type"].as_str()?;
        let is_encoder = kind == "TransformerEncoderLayer";
        if kind == "Linear" && inside.is_some() {
            layers.push("kind = \"global_average_pool\"".to_owned());
        }
        let containers = ["TransformerEncoder", "ModuleList"];
        if containers.contains(&kind) {
            continue;
        }
        inside = is_encoder.then(|| if name.is_empty() { String::new() } else { format!("{name}.") });
        layers.push(if is_encoder { encoder(modules, name)? } else { layer(module, index + 1 == modules.len())? });
    }
    Some(layers)
}

/// An encoder layer, whose sizes its parts have.
fn encoder(modules: &[Value], name: &str) -> Option<String> {
    let find = |part: &str| {
        let name = if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
        modules.iter().find(|module| module["name"] == name)
    };
    let own = &modules.iter().find(|module| module["name"] == name)?["args"];
    Some(format!(
        "kind = \"transformer_encoder\", heads = {}, feed_forward = {}, activation = {}, norm_first = {}",
        find("self_attn")?["args"]["num_heads"],
        find("linear1")?["args"]["out_features"],
        own["activation"],
        own["norm_first"],
    ))
}

/// A recipe's layer for a PyTorch module; `None` for one that recipes don't have.
fn layer(module: &Value, is_last: bool) -> Option<String> {
    let arguments = &module["args"];
    let number = |name: &str| arguments[name].as_u64().unwrap_or_default();
    let yes = |name: &str| arguments[name].as_bool().unwrap_or(true);
    // A list's number for one axis, two for two.
    let extent = |name: &str| match &arguments[name] {
        Value::Array(values) if values.len() == 1 => values[0].to_string(),
        value => value.to_string(),
    };
    let kind = module["type"].as_str()?;
    Some(match kind {
        "Linear" => format!("kind = \"dense\", units = {}, bias = {}", number("out_features"), yes("bias")),
        "BatchNorm1d" | "BatchNorm2d" => "kind = \"batch_norm\"".to_owned(),
        "LayerNorm" => format!("kind = \"layer_norm\", epsilon = {}", arguments["eps"]),
        "GELU" if arguments["approximate"] == "none" => "kind = \"gelu\"".to_owned(),
        "RNN" | "GRU" | "LSTM" => {
            assert_eq!(arguments["batch_first"], true);
            let activation = match &arguments["nonlinearity"] {
                Value::String(function) => format!(", activation = \"{function}\""),
                _ => String::new(),
            };
            format!(
                "kind = \"{}\", units = {}, layers = {}, bidirectional = {}, bias = {}, output = \"{}\"{activation}",
                kind.to_lowercase(),
                number("hidden_size"),
                number("num_layers"),
                arguments["bidirectional"],
                yes("bias"),
                if is_last { "sequence" } else { "last" },
            )
        }
        "ReLU" => "kind = \"relu\"".to_owned(),
        "Tanh" => "kind = \"tanh\"".to_owned(),
        "Sigmoid" => "kind = \"sigmoid\"".to_owned(),
        "Flatten" => "kind = \"flatten\"".to_owned(),
        "Dropout" => "kind = \"dropout\"".to_owned(),
        "MaxPool1d" | "MaxPool2d" => format!("kind = \"max_pool\", size = {}", number("kernel_size")),
        "AdaptiveAvgPool1d" | "AdaptiveAvgPool2d" if number("output_size") == 1 => {
            "kind = \"global_average_pool\"".to_owned()
        }
        "Conv1d" | "Conv2d" => {
            let axes = &kind[4..];
            let window = format!(
                "kernel = {}, stride = {}, padding = {}, bias = {}",
                extent("kernel_size"),
                extent("stride"),
                extent("padding"),
                yes("bias")
            );
            let (inputs, outputs) = (number("in_channels"), number("out_channels"));
            match number("groups") {
                1 => format!("kind = \"conv{axes}\", filters = {outputs}, {window}"),
                groups if groups == inputs => {
                    format!("kind = \"depthwise_conv{axes}\", multiplier = {}, {window}", outputs / inputs)
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The network of a case on paper; `None` where recipes don't have all of its modules.
fn plan(folder: &Path, shape: &[usize], outputs: usize) -> Option<Architecture> {
    let text = std::fs::read_to_string(folder.join("arch.json")).ok()?;
    let modules: Value = serde_json::from_str(&text).unwrap();
    let mut layers = layers(modules["modules"].as_array()?)?;
    let has_steps = |layer: &String| ["rnn", "gru", "lstm", "former"].iter().any(|kind| layer.contains(kind));
    let (shape, start) = match *shape {
        [_, values] => ([1, 1, values], Some("kind = \"flatten\"".to_owned())),
        [_, time, channels] if layers.iter().any(has_steps) => ([1, time, channels], None),
        [_, channels, time] => ([1, time, channels], None),
        [_, channels, height, width] => ([height, width, channels], None),
        _ => return None,
    };
    layers.splice(0..0, start);
    let count = layers.len();
    // A recipe ends in a dense layer: one that doesn't loses it again.
    if !layers.last()?.contains("dense") {
        layers.extend(["kind = \"last_step\"".to_owned(), format!("kind = \"dense\", units = {outputs}")]);
    }
    let layers: String = layers.iter().map(|layer| format!("    {{ {layer} }},\n")).collect();
    let recipe = Recipe::parse(
        Path::new("case.toml"),
        &format!("dataset = {{ kind = \"gestures\" }}\nlayers = [\n{layers}]\n[training]\nloss = \"cross_entropy\"\n"),
    )
    .unwrap();
    let facts = Facts {
        name: "case".to_owned(),
        simulated: true,
        origin: String::new(),
        shape,
        channels: Vec::new(),
        classes: (0..outputs).map(|class| class.to_string()).collect(),
        side: None,
        lengths: false,
        targets: Vec::new(),
        splits: Vec::new(),
    };
    let mut architecture = Architecture::plan(&recipe, &facts).unwrap();
    architecture.layers.truncate(count);
    Some(architecture)
}

/// The most that the network differs from PyTorch's outputs with the weights of a file.
fn deviation(folder: &Path, file: &str, architecture: &Architecture, inputs: &ArrayD<f32>) -> f32 {
    let device = Device::flex();
    let pretrained = load(&folder.join(file), architecture).unwrap();
    assert!(pretrained.matches.layers.iter().all(|(_, from)| from.is_some()), "{:?}", pretrained.matches);
    assert!(pretrained.matches.unused.is_empty(), "{:?}", pretrained.matches);
    let random = Network::random(architecture, Initializer::He, &mut stream(1, Purpose::Weights), &device).unwrap();
    let mut weights = random.weights(architecture);
    weights.extend(pretrained.weights);
    let network = Network::with_weights(architecture, &weights, &device).unwrap();
    let [height, width, channels] = architecture.input;
    let cases = inputs.len() / (height * width * channels);
    let values: Vec<f32> = inputs.iter().copied().collect();
    let has_steps = |layer: &Layer| matches!(layer.operation, Operation::Recurrent(_) | Operation::Encoder(_));
    // PyTorch's sequences have the channels last, its images first.
    let input: Tensor<4> = if architecture.layers.iter().any(has_steps) {
        let data = TensorData::new(values, [cases, height, width, channels]);
        Tensor::from_data(data, &device).permute([0, 3, 1, 2])
    } else {
        Tensor::from_data(TensorData::new(values, [cases, channels, height, width]), &device)
    };
    let output = network.forward(input.into(), &mut Mode::Evaluate);
    let output: Vec<f32> = output.into_data().iter::<f32>().collect();
    let expected: ArrayD<f32> = read_npy(folder.join("outputs.npy")).unwrap();
    assert_eq!(output.len(), expected.len());
    output.iter().zip(&expected).map(|(output, expected)| (output - expected).abs()).fold(0.0, f32::max)
}

#[test]
fn state_dicts_of_pytorch_give_its_outputs() {
    let root = std::env::var_os("NERVELET_ORACLE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle"), PathBuf::from);
    let group = root.join("C_pytorch_f32");
    let Ok(folders) = std::fs::read_dir(&group) else {
        eprintln!("skipped: there is no {}", group.display());
        return;
    };
    let mut taken = 0;
    for folder in folders.map(|entry| entry.unwrap().path()) {
        let Ok(inputs) = read_npy::<_, ArrayD<f32>>(folder.join("inputs.npy")) else { continue };
        let meta: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json")).unwrap()).unwrap();
        let outputs: ArrayD<f32> = read_npy(folder.join("outputs.npy")).unwrap();
        // Axis 0 is the case, axis 1 the model's batch.
        let classes = outputs.shape().last().copied().unwrap();
        let Some(architecture) = plan(&folder, &inputs.shape()[1..], classes) else { continue };
        let tolerance = meta["tolerance"]["atol"].as_f64().unwrap() as f32;
        for file in ["model.safetensors", "model.pth"] {
            let deviation = deviation(&folder, file, &architecture, &inputs);
            println!("{}: {file}: off by {deviation:e}, {tolerance:e} allowed", folder.display());
            assert!(deviation <= tolerance, "{}: {file}: off by {deviation:e}", folder.display());
        }
        taken += 1;
    }
    assert!(taken > 0, "no case of {} has only layers that recipes have", group.display());
}

#[test]
fn another_head_starts_at_random_and_the_rest_is_found() {
    let dense = |index: usize, inputs: usize, units: usize| crate::architecture::Layer {
        name: format!("layer{index}.dense"),
        operation: crate::architecture::Operation::Dense { units, bias: true },
        input: Shape::Vector(inputs),
        output: Shape::Vector(units),
    };
    let architecture =
        Architecture { input: [1, 1, 3], layers: vec![dense(0, 3, 2), dense(1, 2, 5)], side: None, lengths: false };
    let weight = |shape: &[usize]| Weight { shape: shape.to_vec(), values: vec![0.5; shape.iter().product()] };
    let tensors =
        [("body.0.weight", vec![2, 3]), ("body.0.bias", vec![2]), ("fc.weight", vec![4, 2]), ("fc.bias", vec![4])];
    let tensors: StateDict = tensors.iter().map(|(name, shape)| (String::from(*name), weight(shape))).collect();
    let found = of_another(&tensors, &architecture);
    let from = |layer: usize| found.matches.layers[layer].1.as_deref();
    assert_eq!((from(0), from(1)), (Some("body.0"), None));
    assert_eq!(found.matches.unused, ["fc"]);
    assert_eq!(found.missing_below_head(&architecture), Vec::<&str>::new());
}
