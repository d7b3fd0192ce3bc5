//! A history of frames: random codes, cut into the parts of a stream and into windows.

use nervelet::learn::Pcg32;
use nervelet::ops::Tensor;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, Compiled};

/// The bytes of each tensor of one run.
pub(crate) type Tensors = Vec<Vec<u8>>;

/// Frames one behind the other; each has a part of every outer block of the input's tensor.
pub(crate) struct History {
    frames: Vec<Vec<Vec<u8>>>,
}

/// The first input of a model.
pub(crate) fn input(compiled: &Compiled) -> Tensor {
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let port = model.inputs().first().unwrap();
    model.tensor(port.tensor).unwrap()
}

impl History {
    /// Random frames of a model, extremes often; time is the axis along which window and stream differ.
    pub(crate) fn random(seed: u64, window: &Compiled, stream: &Compiled, count: usize) -> Self {
        let (own, other) = (input(window), input(stream));
        let axis = own.shape().iter().zip(other.shape()).position(|(a, b)| a != b).unwrap();
        let product = |extents: &[u32]| extents.iter().product::<u32>() as usize;
        let (blocks, elements) = (product(&own.shape()[..axis]), product(&own.shape()[axis + 1..]));
        let mut random = Pcg32::new(seed);
        let mut element = || -> Vec<u8> {
            let kind = random.below(6);
            let value = random.below(65_536) as f32 / 32_768.0 - 1.0;
            let extreme = [Some(-1.0), Some(1.0)].get(kind as usize).copied().flatten();
            let value: f32 = extreme.unwrap_or(value);
            match own.data_type.bytes() {
                1 => vec![((value * 127.5).floor() as i8).cast_unsigned()],
                2 => ((value * 32_767.5).floor() as i16).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            }
        };
        let mut block = || (0..elements).flat_map(|_| element()).collect::<Vec<u8>>();
        Self { frames: (0..count).map(|_| (0..blocks).map(|_| block()).collect()).collect() }
    }

    /// The tensor of some frames.
    pub(crate) fn window(&self, start: usize, end: usize) -> Vec<u8> {
        let frames = &self.frames[start..end];
        let blocks = 0..frames[0].len();
        blocks.flat_map(|block| frames.iter().flat_map(move |frame| frame[block].iter().copied())).collect()
    }

    /// The tensors of a stream.
    pub(crate) fn parts(&self, frames: usize) -> Vec<Vec<u8>> {
        (0..self.frames.len() / frames).map(|part| self.window(part * frames, (part + 1) * frames)).collect()
    }
}

/// What a model gives on some inputs, one behind the other, with the states that earlier ones left.
pub(crate) fn runs(compiled: &Compiled, inputs: &[Vec<u8>]) -> Vec<Tensors> {
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena).unwrap();
    inputs.iter().map(|input| run(&mut session, input)).collect()
}

/// What a model gives on one input after a reset.
pub(crate) fn outputs_of(compiled: &Compiled, input: &[u8]) -> Tensors {
    runs(compiled, &[input.to_vec()]).remove(0)
}

/// One run.
pub(crate) fn run(session: &mut Session<'_, '_>, input: &[u8]) -> Tensors {
    session.input_bytes_mut(0).unwrap().copy_from_slice(input);
    session.invoke().unwrap();
    (0..session.model().outputs().len()).map(|index| session.output_bytes(index).unwrap().to_vec()).collect()
}
