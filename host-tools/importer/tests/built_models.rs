//! Models that are built here: what the golden material does not show.

use anyhow::Result;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_importer::import_tflite;

const FLOAT32: i8 = 0;
const FLOAT16: i8 = 1;
const INT32: i8 = 2;

/// A tensor of a file: type, shape, and the bytes of a constant.
struct Tensor {
    data_type: i8,
    shape: Vec<i32>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn computed(data_type: i8, shape: &[i32]) -> Self {
        Self { data_type, shape: shape.to_vec(), bytes: Vec::new() }
    }

    fn integers(values: &[i32]) -> Self {
        let shape = vec![values.len() as i32];
        Self { data_type: INT32, shape, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }
}

/// An operator: its code, its operands and the kind of its options with their integers by field.
struct Operator {
    code: i32,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: (u8, Vec<(usize, i32)>),
}

/// The place of a field in a vtable.
fn slot(field: usize) -> u16 {
    4 + 2 * field as u16
}

/// A table of offsets to vectors, and of scalars.
fn offsets<'b>(
    file: &mut FlatBufferBuilder<'b>,
    fields: &[(usize, WIPOffset<UnionWIPOffset>)],
    bytes: &[(usize, i8)],
    words: &[(usize, i32)],
) -> WIPOffset<UnionWIPOffset> {
    let table = file.start_table();
    for (field, value) in fields {
        file.push_slot_always(slot(*field), *value);
    }
    for (field, value) in words {
        file.push_slot_always(slot(*field), *value);
    }
    for (field, value) in bytes {
        file.push_slot_always(slot(*field), *value);
    }
    let end = file.end_table(table);
    WIPOffset::new(end.value())
}

/// A file with one graph; the first tensor is its input, the last its output.
fn file(tensors: &[Tensor], operators: &[Operator]) -> Vec<u8> {
    let mut file = FlatBufferBuilder::new();
    let mut buffers = vec![offsets(&mut file, &[], &[], &[])];
    let mut tables = Vec::new();
    for tensor in tensors {
        let data = file.create_vector(&tensor.bytes).as_union_value();
        buffers.push(offsets(&mut file, &[(0, data)], &[], &[]));
        let shape = file.create_vector(&tensor.shape).as_union_value();
        let buffer = (2, buffers.len() as i32 - 1);
        tables.push(offsets(&mut file, &[(0, shape)], &[(1, tensor.data_type)], &[buffer]));
    }
    let tensors_at = file.create_vector(&tables).as_union_value();
    let (mut codes, mut nodes) = (Vec::new(), Vec::new());
    for (index, operator) in operators.iter().enumerate() {
        codes.push(offsets(&mut file, &[], &[], &[(3, operator.code)]));
        let inputs = file.create_vector(&operator.inputs).as_union_value();
        let outputs = file.create_vector(&operator.outputs).as_union_value();
        let options = offsets(&mut file, &[], &[], &operator.options.1);
        let fields = [(1, inputs), (2, outputs), (4, options)];
        nodes.push(offsets(&mut file, &fields, &[(3, operator.options.0 as i8)], &[(0, index as i32)]));
    }
    let nodes = file.create_vector(&nodes).as_union_value();
    let inputs = file.create_vector(&[0_i32]).as_union_value();
    let outputs = file.create_vector(&[tensors.len() as i32 - 1]).as_union_value();
    let graph = offsets(&mut file, &[(0, tensors_at), (1, inputs), (2, outputs), (3, nodes)], &[], &[]);
    let codes = file.create_vector(&codes).as_union_value();
    let graphs = file.create_vector(&[graph]).as_union_value();
    let buffers = file.create_vector(&buffers).as_union_value();
    let model = offsets(&mut file, &[(1, codes), (2, graphs), (4, buffers)], &[], &[(0, 3)]);
    file.finish(model, Some("TFL3"));
    file.finished_data().to_vec()
}

fn run(bytes: &[u8], input: &[f32]) -> Result<Vec<f32>> {
    let graph = import_tflite(bytes)?;
    let compiled = compile(&graph, &CompileOptions::default())?;
    let model = Model::from_bytes(&compiled.bytes)?;
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena)?;
    session.input_mut::<f32>(0)?.copy_from_slice(input);
    session.invoke()?;
    Ok(session.output::<f32>(0)?.to_vec())
}

#[test]
fn shapes_computed_at_run_time_become_constants() {
    let tensors = [
        Tensor::computed(FLOAT32, &[1, 2, 3]),
        Tensor::computed(INT32, &[3]),
        Tensor::integers(&[0]),
        Tensor::integers(&[1]),
        Tensor::computed(INT32, &[]),
        Tensor { shape: vec![], ..Tensor::integers(&[-1]) },
        Tensor::computed(INT32, &[2]),
        Tensor::computed(FLOAT32, &[1, 6]),
    ];
    let operators = [
        // SHAPE, the first extent of it (STRIDED_SLICE with the axis dropped), [extent, -1] (PACK), RESHAPE.
        Operator { code: 77, inputs: vec![0], outputs: vec![1], options: (55, vec![]) },
        Operator { code: 45, inputs: vec![1, 2, 3, 3], outputs: vec![4], options: (32, vec![(4, 1)]) },
        Operator { code: 83, inputs: vec![4, 5], outputs: vec![6], options: (59, vec![(0, 2), (1, 0)]) },
        Operator { code: 22, inputs: vec![0, 6], outputs: vec![7], options: (17, vec![]) },
    ];
    let input = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(run(&file(&tensors, &operators), &input).unwrap(), input);
}

#[test]
fn float16_weights_are_widened() {
    // 1, 2, -0.5 and 0 in float16.
    let halves = [0x3C00_u16, 0x4000, 0xB800, 0x0000];
    let tensors = [
        Tensor::computed(FLOAT32, &[1, 2]),
        Tensor { data_type: FLOAT16, shape: vec![2, 2], bytes: halves.iter().flat_map(|x| x.to_le_bytes()).collect() },
        Tensor::computed(FLOAT32, &[2, 2]),
        Tensor::computed(FLOAT32, &[1, 2]),
    ];
    let operators = [
        Operator { code: 6, inputs: vec![1], outputs: vec![2], options: (38, vec![]) },
        Operator { code: 9, inputs: vec![0, 2, -1], outputs: vec![3], options: (8, vec![]) },
    ];
    assert_eq!(run(&file(&tensors, &operators), &[3.0, 4.0]).unwrap(), [11.0, -1.5]);
}

#[test]
fn refusals_name_operator_place_and_remedy() {
    let tensors = [Tensor::computed(FLOAT32, &[1, 2]), Tensor::computed(FLOAT32, &[1, 2])];
    let unknown = [Operator { code: 27, inputs: vec![0], outputs: vec![1], options: (0, vec![]) }];
    let message = format!("{:#}", import_tflite(&file(&tensors, &unknown)).unwrap_err());
    assert!(message.contains("operator 0 (SVDF)") && message.contains("replace it"), "{message}");
    let open = [Tensor::computed(FLOAT32, &[-1, 2]), Tensor::computed(FLOAT32, &[1, 2])];
    let message = format!("{:#}", import_tflite(&file(&open, &unknown)).unwrap_err());
    assert!(message.contains("tensor 0") && message.contains("fixed input shape"), "{message}");
}
