use nervelet::ops::{DataType, OpKind};
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Cell, Op};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use prost::Message;

use super::{import_onnx, proto};

/// A node without attributes.
fn node(kind: &str, inputs: &[&str], output: &str) -> proto::Node {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let op_type = kind.to_owned();
    proto::Node { input: names(inputs), output: vec![output.to_owned()], op_type, ..Default::default() }
}

fn with_ints(mut node: proto::Node, name: &str, ints: &[i64]) -> proto::Node {
    let attribute = proto::Attribute { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Default::default() };
    node.attribute.push(attribute);
    node
}

fn with_int(mut node: proto::Node, name: &str, i: i64) -> proto::Node {
    node.attribute.push(proto::Attribute { name: name.into(), i, r#type: 2, ..Default::default() });
    node
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> proto::Tensor {
    let float_data = values.to_vec();
    proto::Tensor { name: name.into(), dims: dims.to_vec(), data_type: 1, float_data, ..Default::default() }
}

fn int8(name: &str, dims: &[i64], values: &[i32]) -> proto::Tensor {
    let int32_data = values.to_vec();
    proto::Tensor { name: name.into(), dims: dims.to_vec(), data_type: 3, int32_data, ..Default::default() }
}

fn port(name: &str, shape: &[i64]) -> proto::ValueInfo {
    let dim = shape.iter().map(|value| proto::Dimension { value: Some(*value), parameter: None }).collect();
    let tensor_type = proto::TensorType { elem_type: 1, shape: Some(proto::Shape { dim }) };
    proto::ValueInfo { name: name.into(), r#type: Some(proto::Type { tensor_type: Some(tensor_type) }) }
}

/// A file with the input `x` and the output `y`.
fn file(shape: &[i64], node: Vec<proto::Node>, initializer: Vec<proto::Tensor>) -> Vec<u8> {
    let output = vec![proto::ValueInfo { name: "y".into(), r#type: None }];
    let input = vec![port("x", shape)];
    let graph = proto::Graph { name: "test".into(), node, initializer, input, output };
    let opset_import = vec![proto::OperatorSet { domain: String::new(), version: 17 }];
    proto::Model { ir_version: 8, graph: Some(graph), opset_import }.encode_to_vec()
}

/// What a model computes, and the kinds of its steps.
fn run(bytes: &[u8], x: &[f32]) -> (Vec<f32>, Vec<OpKind>) {
    let compiled = compile(&import_onnx(bytes).unwrap(), &CompileOptions::default()).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).unwrap();
    session.input_mut::<f32>(0).unwrap().copy_from_slice(x);
    session.invoke().unwrap();
    let kinds = model.steps().filter_map(|step| step.kind()).collect();
    (session.output::<f32>(0).unwrap().to_vec(), kinds)
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", import_onnx(bytes).unwrap_err())
}

#[test]
fn a_dense_layer_behind_an_image_has_its_weights_permuted() {
    // A convolution of one tap that keeps its two channels, then the weights 1, 2, .., 8 over channels, rows, columns.
    let nodes = vec![node("Conv", &["x", "w"], "a"), node("Flatten", &["a"], "f"), node("MatMul", &["f", "m"], "y")];
    let weights: Vec<f32> = (1..=8).map(|value| value as f32).collect();
    let constants = vec![floats("w", &[2, 2, 1, 1], &[1.0, 0.0, 0.0, 1.0]), floats("m", &[8, 1], &weights)];
    let x: Vec<f32> = (0..8).map(|value| (value * value) as f32).collect();
    let expected: f32 = x.iter().zip(&weights).map(|(x, weight)| x * weight).sum();
    let (y, kinds) = run(&file(&[1, 2, 2, 2], nodes, constants), &x);
    assert_eq!(y, [expected]);
    // The image is brought channels-last once; behind the convolution nothing is moved.
    assert_eq!(kinds, [OpKind::Rearrange, OpKind::Conv2dFloat32, OpKind::FullyConnectedFloat32]);
}

#[test]
fn what_is_only_seen_otherwise_costs_no_step() {
    let nodes = vec![
        with_ints(node("Transpose", &["x"], "t"), "perm", &[0, 2, 1]),
        node("Relu", &["t"], "r"),
        with_ints(node("Transpose", &["r"], "y"), "perm", &[0, 2, 1]),
    ];
    let (y, kinds) = run(&file(&[1, 2, 2], nodes, vec![]), &[1.0, -2.0, 3.0, -4.0]);
    assert_eq!(y, [1.0, 0.0, 3.0, 0.0]);
    assert_eq!(kinds, [OpKind::ClampFloat32]);
}

#[test]
fn a_layer_between_codes_is_int8() {
    let scales = |name: &str| [format!("{name}_s"), format!("{name}_z")];
    let ([xs, xz], [ys, yz]) = (scales("x"), scales("y"));
    let nodes = vec![
        node("QuantizeLinear", &["x", &xs, &xz], "xq"),
        node("DequantizeLinear", &["xq", &xs, &xz], "xd"),
        with_int(node("DequantizeLinear", &["w", "ws", "wz"], "wd"), "axis", 0),
        with_int(node("Gemm", &["xd", "wd", "b"], "g"), "transB", 1),
        node("Relu", &["g"], "r"),
        node("QuantizeLinear", &["r", &ys, &yz], "yq"),
        node("DequantizeLinear", &["yq", &ys, &yz], "y"),
    ];
    let constants = vec![
        floats(&xs, &[], &[0.5]),
        int8(&xz, &[], &[0]),
        floats(&ys, &[], &[0.25]),
        int8(&yz, &[], &[-128]),
        int8("w", &[2, 2], &[4, -8, 2, 6]),
        floats("ws", &[2], &[0.25, 0.5]),
        int8("wz", &[2], &[0, 0]),
        floats("b", &[2], &[1.0, -30.0]),
    ];
    let (y, kinds) = run(&file(&[1, 2], nodes, constants), &[3.0, 0.5]);
    // 3 * 1 - 0.5 * 2 + 1 and max(3 * 1 + 0.5 * 3 - 30, 0).
    assert_eq!(y, [3.0, 0.0]);
    assert_eq!(kinds, [OpKind::Quantize, OpKind::FullyConnectedInt8, OpKind::Dequantize]);
}

#[test]
fn gates_come_in_the_order_of_the_graph() {
    let mut gru = node("GRU", &["x", "w", "r", "b"], "y");
    gru = with_int(with_int(gru, "hidden_size", 1), "linear_before_reset", 1);
    let constants = vec![
        floats("w", &[1, 3, 1], &[1.0, 2.0, 3.0]),
        floats("r", &[1, 3, 1], &[4.0, 5.0, 6.0]),
        floats("b", &[1, 6], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    ];
    let graph = import_onnx(&file(&[3, 1, 1], vec![gru], constants)).unwrap();
    let node = graph.nodes.iter().find(|node| matches!(node.op, Op::Recurrent { .. })).unwrap();
    assert_eq!(node.op, Op::Recurrent { cell: Cell::Gru { reset_after: true }, reverse: false });
    let constants: Vec<&[f32]> = node.inputs[1..].iter().filter_map(|id| graph.tensor(*id).float_data()).collect();
    assert_eq!(constants, [&[2.0, 1.0, 3.0][..], &[5.0, 4.0, 6.0], &[0.2, 0.1, 0.3], &[0.5, 0.4, 0.6]]);
    assert_eq!(graph.tensor(graph.outputs[0]).data_type, DataType::Float32);
}

#[test]
fn a_gaussian_error_linear_unit_is_one_function() {
    let nodes = vec![
        node("Div", &["x", "root"], "a"),
        node("Erf", &["a"], "e"),
        node("Add", &["e", "one"], "p"),
        node("Mul", &["x", "p"], "m"),
        node("Mul", &["m", "half"], "y"),
    ];
    let constants =
        vec![floats("root", &[], &[std::f32::consts::SQRT_2]), floats("one", &[], &[1.0]), floats("half", &[], &[0.5])];
    let (y, kinds) = run(&file(&[1, 2], nodes, constants), &[1.0, -1.0]);
    assert!((y[0] - 0.841_344_7).abs() < 1e-6 && (y[1] + 0.158_655_3).abs() < 1e-6, "{y:?}");
    assert_eq!(kinds, [OpKind::GeluFloat32]);
}

/// The values that normalisation by the root mean square gives.
fn over_root_mean_square(x: &[f32], gamma: &[f32], epsilon: f32) -> Vec<f32> {
    let rows = x.chunks_exact(gamma.len()).flat_map(|row| {
        let square = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        row.iter().zip(gamma).map(move |(x, gamma)| x / (square + epsilon).sqrt() * gamma)
    });
    rows.collect()
}

#[test]
fn a_root_mean_square_is_one_step_however_it_is_written() {
    let mean = |axis: i64| {
        let mean = with_ints(node("ReduceMean", &["s"], "m"), "axes", &[axis]);
        [mean, node("Add", &["m", "epsilon"], "p"), node("Sqrt", &["p"], "r")]
    };
    let square = || node("Pow", &["x", "two"], "s");
    let quotient = |gamma: [&str; 2]| [node("Div", &["x", "r"], "q"), node("Mul", &gamma, "y")];
    let product = [node("Reciprocal", &["r"], "i"), node("Mul", &["x", "i"], "q"), node("Mul", &["q", "gamma"], "y")];
    let join = |parts: &[&[proto::Node]]| parts.concat();
    let fused = |kind| with_int(node(kind, &["x", "gamma"], "y"), "axis", -1);
    let own = |node: proto::Node| {
        let epsilon = proto::Attribute { name: "epsilon".into(), f: 0.25, r#type: 1, ..Default::default() };
        proto::Node { attribute: [&node.attribute[..], &[epsilon]].concat(), ..node }
    };
    let x = [3.0, -4.0, 0.5, 0.0, 0.25, -2.0];
    let gamma = [1.0, 0.5, -2.0];
    let expected = over_root_mean_square(&x, &gamma, 0.25);
    for nodes in [
        join(&[&[square()], &mean(-1), &quotient(["q", "gamma"])]),
        join(&[&[node("Mul", &["x", "x"], "s")], &mean(2), &quotient(["gamma", "q"])]),
        join(&[&[square()], &mean(-1), &product]),
        vec![own(fused("RMSNormalization"))],
        vec![own(fused("SimplifiedLayerNormalization"))],
    ] {
        let names: Vec<_> = nodes.iter().map(|node| node.op_type.clone()).collect();
        let constants =
            vec![floats("two", &[], &[2.0]), floats("epsilon", &[], &[0.25]), floats("gamma", &[3], &gamma)];
        let (y, kinds) = run(&file(&[1, 2, 3], nodes, constants), &x);
        assert_eq!(kinds, [OpKind::RmsNormFloat32], "{names:?}");
        for (y, expected) in y.iter().zip(&expected) {
            assert!((y - expected).abs() < 1e-6, "{names:?}: {y} for {expected}");
        }
    }
    // Another factor than the root of these very values.
    let other = join(&[&[node("Mul", &["x", "x"], "s")], &mean(-1), &[node("Div", &["s", "r"], "y")]]);
    let (_, kinds) = run(&file(&[1, 2, 3], other, vec![floats("epsilon", &[], &[0.25])]), &x);
    assert!(!kinds.contains(&OpKind::RmsNormFloat32));
}

/// A file with more inputs, of integers.
fn file_of(inputs: Vec<proto::ValueInfo>, node: Vec<proto::Node>, initializer: Vec<proto::Tensor>) -> Vec<u8> {
    let output = vec![proto::ValueInfo { name: "y".into(), r#type: None }];
    let graph = proto::Graph { name: "test".into(), node, initializer, input: inputs, output };
    let opset_import = vec![proto::OperatorSet { domain: String::new(), version: 17 }];
    proto::Model { ir_version: 8, graph: Some(graph), opset_import }.encode_to_vec()
}

fn integers(name: &str, shape: &[i64], kind: i32) -> proto::ValueInfo {
    let mut port = port(name, shape);
    let tensor = port.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut());
    tensor.unwrap().elem_type = kind;
    port
}

fn bools(name: &str, dims: &[i64], values: &[i32]) -> proto::Tensor {
    proto::Tensor { data_type: 9, ..int8(name, dims, values) }
}

/// What a model makes of several inputs, and the kinds of its steps.
fn run_all(bytes: &[u8], inputs: &[&[f32]]) -> (Vec<f32>, Vec<OpKind>) {
    let compiled = compile(&import_onnx(bytes).unwrap(), &CompileOptions::default()).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).unwrap();
    for (index, values) in inputs.iter().enumerate() {
        session.set_input(index, values).unwrap();
    }
    session.invoke().unwrap();
    let kinds = model.steps().filter_map(|step| step.kind()).collect();
    (session.output::<f32>(0).unwrap().to_vec(), kinds)
}

#[test]
fn rows_of_a_table_are_picked_at_run_time() {
    let table = floats("table", &[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for kind in [6, 7] {
        let nodes = vec![node("Gather", &["table", "x"], "y")];
        let bytes = file_of(vec![integers("x", &[1, 4], kind)], nodes, vec![table.clone()]);
        // Negative ones count from the end, those outside take the nearest row.
        let (y, kinds) = run_all(&bytes, &[&[2.0, -3.0, 7.0, -9.0]]);
        assert_eq!(y, [4.0, 5.0, 0.0, 1.0, 4.0, 5.0, 0.0, 1.0]);
        assert_eq!(kinds, [OpKind::Embedding]);
    }
    let sum = file_of(vec![integers("x", &[1, 4], 6)], vec![node("Relu", &["x"], "y")], vec![]);
    assert!(error(&sum).contains("integers given at run time"), "{}", error(&sum));
    let codes =
        vec![node("DequantizeLinear", &["codes", "scale", "zero"], "table"), node("Gather", &["table", "x"], "y")];
    let constants = vec![int8("codes", &[3, 1], &[-4, 7, 2]), floats("scale", &[], &[0.5]), int8("zero", &[], &[1])];
    let (y, kinds) = run_all(&file_of(vec![integers("x", &[2], 7)], codes, constants), &[&[1.0, 0.0]]);
    assert_eq!(y, [3.0, -2.5]);
    assert_eq!(kinds, [OpKind::Embedding, OpKind::Dequantize]);
}

#[test]
fn constants_in_front_of_a_softmax_are_masks() {
    let hidden = -1e9;
    let x = [0.5, 1.0, -1.0, 2.0, 0.0, 0.25, 3.0, -2.0, 1.5];
    let softmax = |counts: [usize; 3]| -> Vec<f32> {
        let row = |(row, count): (&[f32], usize)| -> Vec<f32> {
            let sum: f32 = row[..count].iter().map(|x| x.exp()).sum();
            (0..3).map(|at| if at < count { row[at].exp() / sum } else { 0.0 }).collect()
        };
        x.chunks_exact(3).zip(counts).flat_map(row).collect()
    };
    let sum = || vec![node("Add", &["x", "mask"], "s"), node("Softmax", &["s"], "y")];
    let choice = |inputs: [&str; 3]| vec![node("Where", &inputs, "s"), node("Softmax", &["s"], "y")];
    let triangle = vec![
        with_int(node("Trilu", &["ones"], "t"), "upper", 0),
        node("Equal", &["t", "one"], "keep"),
        node("Where", &["keep", "x", "hidden"], "s"),
        node("Softmax", &["s"], "y"),
    ];
    let causal = [0.0, hidden, hidden, 0.0, 0.0, hidden, 0.0, 0.0, 0.0];
    let infinite = causal.map(|value| if value < 0.0 { f32::NEG_INFINITY } else { 0.0 });
    for (nodes, counts) in [
        (vec![node("Add", &["causal", "x"], "s"), node("Softmax", &["s"], "y")], [1, 2, 3]),
        (vec![node("Add", &["x", "infinite"], "s"), node("Softmax", &["s"], "y")], [1, 2, 3]),
        (triangle, [1, 2, 3]),
        (sum(), [2, 2, 2]),
        (choice(["first", "x", "hidden"]), [1, 1, 1]),
        (choice(["others", "hidden", "x"]), [1, 1, 1]),
    ] {
        let constants = vec![
            floats("causal", &[1, 3, 3], &causal),
            floats("infinite", &[3, 3], &infinite),
            floats("mask", &[1, 1, 3], &[0.0, 0.0, hidden]),
            floats("hidden", &[], &[hidden]),
            floats("ones", &[3, 3], &[1.0; 9]),
            floats("one", &[], &[1.0]),
            bools("first", &[3], &[1, 0, 0]),
            bools("others", &[1, 1, 3], &[0, 1, 1]),
        ];
        let names: Vec<_> = nodes.iter().map(|node| node.op_type.clone()).collect();
        let (y, kinds) = run(&file(&[1, 3, 3], nodes, constants), &x);
        assert_eq!(kinds, [OpKind::MaskedSoftmaxFloat32], "{names:?}");
        for (y, expected) in y.iter().zip(softmax(counts)) {
            assert!((y - expected).abs() < 1e-6, "{names:?}: {y} for {expected}");
        }
    }
    // A choice elsewhere, and a mask of another form, stay what they are.
    let constants = vec![bools("first", &[3], &[1, 0, 1]), floats("seven", &[], &[7.0])];
    let (y, _) = run(&file(&[1, 3, 3], vec![node("Where", &["first", "x", "seven"], "y")], constants), &x);
    assert_eq!(y, [0.5, 7.0, -1.0, 2.0, 7.0, 0.25, 3.0, 7.0, 1.5]);
    let (y, kinds) = run(&file(&[1, 3, 3], sum(), vec![floats("mask", &[3], &[hidden, 0.0, 0.0])]), &x);
    assert_eq!(kinds, [OpKind::AddFloat32, OpKind::SoftmaxFloat32]);
    assert_eq!(y[0], 0.0);
}

#[test]
fn sequences_may_be_shorter_than_their_tensor() {
    let gru = |length: &str, direction: &str| {
        let node = with_int(node("GRU", &["x", "w", "r", "b", length], "y"), "hidden_size", 1);
        let s = direction.as_bytes().to_vec();
        let direction = proto::Attribute { name: "direction".into(), s, r#type: 3, ..Default::default() };
        proto::Node { attribute: [&node.attribute[..], &[direction]].concat(), ..node }
    };
    let constants = |steps: &[i32]| {
        let mut constants = vec![
            floats("w", &[1, 3, 1], &[1.0, 2.0, 3.0]),
            floats("r", &[1, 3, 1], &[0.4, 0.5, 0.6]),
            floats("b", &[1, 6], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        ];
        if let [length] = steps {
            constants.push(proto::Tensor { data_type: 6, ..int8("length", &[1], &[*length]) });
        }
        constants
    };
    let x = [0.5, -1.0, 0.75, 2.0];
    for direction in ["forward", "reverse"] {
        for length in 0..=4_usize {
            let mut expected = match length {
                0 => vec![],
                _ => run(&file(&[length as i64, 1, 1], vec![gru("", direction)], constants(&[])), &x[..length]).0,
            };
            expected.resize(4, 0.0);
            let fixed = file(&[4, 1, 1], vec![gru("length", direction)], constants(&[length as i32]));
            assert_eq!(run(&fixed, &x).0, expected);
            let inputs = vec![port("x", &[4, 1, 1]), integers("length", &[1], 6)];
            let open = file_of(inputs, vec![gru("length", direction)], constants(&[]));
            assert_eq!(run_all(&open, &[&x, &[length as f32]]).0, expected);
        }
    }
    let long = file(&[4, 1, 1], vec![gru("length", "forward")], constants(&[5]));
    assert!(error(&long).contains("a sequence of 5 steps in a tensor of 4"), "{}", error(&long));
}

#[test]
fn errors_say_where_and_what_to_do() {
    let relu = || vec![node("Relu", &["x"], "y")];
    let unknown = file(&[1, 2], vec![node("NonMaxSuppression", &["x"], "y")], vec![]);
    assert_eq!(
        error(&unknown),
        "node 0 (NonMaxSuppression), which makes \"y\": is not taken: replace it in the model by operators that are, or \
         compute it outside"
    );
    let mut outside = floats("w", &[1], &[]);
    outside.external_data.push(proto::Entry { key: "location".into() });
    assert!(error(&file(&[1, 2], relu(), vec![outside])).contains("another file, which is never opened"));
    let batch = vec![node("Conv", &["x", "w"], "y")];
    let batch = file(&[4, 1, 2, 2], batch, vec![floats("w", &[1, 1, 1, 1], &[1.0])]);
    assert!(error(&batch).contains("export with a batch of 1"), "{}", error(&batch));
    let missing = file(&[1, 2], vec![node("Add", &["x", "z"], "y")], vec![]);
    assert!(error(&missing).contains("reads \"z\", which nothing before it writes"), "{}", error(&missing));
    assert!(error(&file(&[1, 1 << 40], relu(), vec![])).contains("elements"));
    assert!(error(b"no model").contains("no ONNX model"));
}
