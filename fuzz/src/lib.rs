//! What the fuzz targets share: good models to damage, and a run that goes as far as the bytes let it.

#[path = "../../tests/support/every_operator.rs"]
mod every_operator;
mod flash;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/support/small_model.rs"]
mod small_model;

use std::sync::LazyLock;

use nervelet::model::schema::{self, Prelude};
use nervelet::{Model, Session};
use nervelet_compiler::graph::Graph;
use nervelet_compiler::{AlignedBytes, CompileOptions, Target, compile, compile_quantized};
use random::Random;

pub use flash::Flash;

/// The most arena that a model gets: larger ones only take time.
const ARENA_BYTES: usize = 256 << 10;

/// Loads a model and runs it once, in an arena of exactly the size it asks for.
pub fn run(bytes: &[u8]) {
    let bytes = AlignedBytes::from(bytes);
    let Ok(model) = Model::from_bytes(&bytes) else { return };
    if model.arena_bytes() > ARENA_BYTES {
        return;
    }
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let Ok(mut session) = Session::new(&model, &mut arena) else { return };
    for index in 0..model.inputs().len() {
        if let Ok(input) = session.input_bytes_mut(index) {
            input.fill(0x5A);
        }
    }
    let _ = session.invoke();
    let _ = session.features();
    let _ = (session.prediction(), model.classes().count(), model.head());
}

/// The file with a checksum that fits, so that damage reaches the checks behind it.
pub fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    let (prelude, body) = postcard::take_from_bytes::<Prelude>(bytes).ok()?;
    let (_, behind) = postcard::take_from_bytes::<schema::File<'_>>(body).ok()?;
    let checksum = schema::checksum(&body[..body.len() - behind.len()]);
    let prelude = postcard::to_stdvec(&Prelude { checksum, ..prelude }).ok()?;
    Some([&prelude, body].concat())
}

/// The most elements of a network that is quantized: calibration holds all of them at once.
const QUANTIZED_ELEMENTS: usize = 1 << 16;

/// Compiles an imported graph as it is, packed for a core and quantized, and runs what comes out.
pub fn compile_and_run(graph: &Graph) {
    let options = [Target::Any, Target::Dsp].map(|target| CompileOptions { target, ..CompileOptions::default() });
    for options in &options {
        if let Ok(compiled) = compile(graph, options) {
            run(&compiled.bytes);
        }
    }
    let sizes =
        graph.tensors.iter().map(|tensor| tensor.shape.iter().fold(1, |size: usize, n| size.saturating_mul(*n)));
    if sizes.fold(0, usize::saturating_add) > QUANTIZED_ELEMENTS {
        return;
    }
    let samples: Vec<Vec<f32>> = graph.inputs.iter().map(|id| vec![0.7; graph.tensor(*id).elements()]).collect();
    let sample = samples.iter().map(|values| &values[..]).collect();
    if let Ok(compiled) = compile_quantized(graph, &options[1], [sample]) {
        run(&compiled.bytes);
    }
}

/// Good model files: classifiers with a head, and small models that hold every operator between them.
pub fn good_models() -> &'static [AlignedBytes] {
    static MODELS: LazyLock<Vec<AlignedBytes>> = LazyLock::new(|| {
        let mut random = Random::new(1);
        let mut files = vec![small_model::int8_model(&mut random).bytes, small_model::float_model(&mut random).bytes];
        files.extend(every_operator::models(&mut random));
        files
    });
    &MODELS
}

/// Overwrites bytes of `good` as `orders` say: two bytes for a place, one for its new value.
pub fn damage(good: &mut [u8], orders: &[u8]) {
    for order in orders.as_chunks::<3>().0 {
        let place = usize::from(u16::from_le_bytes([order[0], order[1]])) % good.len();
        good[place] = order[2];
    }
}
