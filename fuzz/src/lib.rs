//! What the fuzz targets share: good models to damage, and a run that goes as far as the bytes let it.

mod flash;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/support/small_model.rs"]
mod small_model;

use std::sync::OnceLock;

use nervelet::model::schema::{self, Prelude};
use nervelet::{Model, Session};
use nervelet_compiler::AlignedBytes;
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
    for index in 0..model.inputs().count() {
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

/// Good model files: an int8 and a float one with most kinds of layer.
pub fn good_models() -> &'static [AlignedBytes; 2] {
    static MODELS: OnceLock<[AlignedBytes; 2]> = OnceLock::new();
    MODELS.get_or_init(|| {
        let mut random = Random::new(1);
        [small_model::int8_model(&mut random).bytes, small_model::float_model(&mut random).bytes]
    })
}

/// Overwrites bytes of `good` as `orders` say: two bytes for a place, one for its new value.
pub fn damage(good: &mut [u8], orders: &[u8]) {
    for order in orders.as_chunks::<3>().0 {
        let place = usize::from(u16::from_le_bytes([order[0], order[1]])) % good.len();
        good[place] = order[2];
    }
}
