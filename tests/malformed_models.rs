//! Model files from strangers: whatever the bytes, an error or a run to the end. Never a panic, never out of bounds.

#[path = "support/every_operator.rs"]
mod every_operator;
#[path = "support/random.rs"]
mod random;
#[path = "support/small_model.rs"]
mod small_model;

use std::collections::HashSet;
use std::sync::LazyLock;

use nervelet::kernels::packing::Layout;
use nervelet::model::schema::{self, MAGIC, Prelude, VERSION};
use nervelet::model::{self, Model};
use nervelet::ops::{OpKind, Step, packed_layer, words};
use nervelet::session::Error as SessionError;
use nervelet::{Session, ops};
use nervelet_compiler::AlignedBytes;
use random::Random;
use small_model::{float_model, int8_model};

/// Runs a file as far as it goes; true if it ran to the end.
fn survives(bytes: &[u8]) -> bool {
    const ARENA: usize = 64 << 10;
    let bytes = AlignedBytes::from(bytes);
    let Ok(model) = Model::from_bytes(&bytes) else { return false };
    let mut arena = AlignedBytes::zeroed(ARENA);
    let Ok(mut session) = Session::new(&model, &mut arena) else { return false };
    for index in 0..model.inputs().len() {
        if let Ok(input) = session.input_bytes_mut(index) {
            input.fill(0x5A);
        }
    }
    let ran = session.invoke().is_ok();
    let _ = (session.prediction(), session.features().map(<[i8]>::len), model.classes().count());
    ran
}

/// The same content with a checksum that fits, so that the damage reaches the checks behind it.
fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    let (prelude, body) = postcard::take_from_bytes::<Prelude>(bytes).ok()?;
    let (_, behind) = postcard::take_from_bytes::<schema::File<'_>>(body).ok()?;
    let checksum = schema::checksum(&body[..body.len() - behind.len()]);
    let prelude = postcard::to_allocvec(&Prelude { checksum, ..prelude }).ok()?;
    Some([&prelude, body].concat())
}

/// Good files: classifiers with a head, and small models that hold every operator between them.
static FILES: LazyLock<Vec<AlignedBytes>> = LazyLock::new(|| {
    let random = &mut Random::new(1);
    let mut files = vec![int8_model(random).bytes, float_model(random).bytes];
    // The compiler takes too long under Miri.
    if !cfg!(miri) {
        files.extend(every_operator::models(random));
    }
    files
});

/// The number of a step's packing, if it has one.
fn packing(step: &Step<'_>) -> Option<u8> {
    let number = match step.kind()? {
        OpKind::Conv2dPacked
        | OpKind::Conv2dPixelsPacked
        | OpKind::Conv2dPlainPacked
        | OpKind::DepthwiseConv2dPacked
        | OpKind::DepthwiseColumnsPacked
        | OpKind::PointwiseInPlacePacked
        | OpKind::DepthwiseInPlacePacked => {
            words::decode::<packed_layer::Parameters>(step.parameters).unwrap().weights.packing
        }
        OpKind::FullyConnectedPacked | OpKind::FullyConnectedDirectPacked => {
            words::decode::<packed_layer::DenseParameters>(step.parameters).unwrap().weights.packing
        }
        _ => return None,
    };
    u8::try_from(number).ok()
}

#[test]
#[cfg_attr(miri, ignore = "needs the models that the compiler makes")]
fn good_files_hold_every_operator_and_layout() {
    let (mut kinds, mut packings) = (HashSet::new(), HashSet::new());
    for bytes in FILES.iter() {
        for step in Model::from_bytes(bytes).unwrap().steps() {
            kinds.insert(step.kind);
            packings.extend(packing(&step).map(|packing| packing & 0x7F));
        }
    }
    let operators = ops::ALL.iter().zip(ops::PATHS).filter(|(operator, _)| !kinds.contains(&(operator.kind as u16)));
    let operators: Vec<_> = operators.map(|(_, path)| path).collect();
    let layouts = (1..128).filter_map(Layout::from_number).filter(|layout| !packings.contains(&layout.number()));
    let layouts: Vec<_> = layouts.collect();
    assert!(operators.is_empty() && layouts.is_empty(), "no good file holds {operators:?}, {layouts:?}");
}

#[test]
fn whole_files_run() {
    for bytes in FILES.iter() {
        assert!(survives(bytes));
        assert_eq!(with_checksum(bytes).as_deref(), Some(&bytes[..]), "the checksum is that of the content");
    }
}

#[test]
fn truncated_files_are_refused() {
    for bytes in FILES.iter() {
        let step = if cfg!(miri) { 97 } else { 1 };
        for length in (0..bytes.len()).step_by(step) {
            assert!(!survives(&bytes[..length]), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn flipped_bits_are_noticed() {
    let mut random = Random::new(3);
    for _ in 0..if cfg!(miri) { 20 } else { 4_000 } {
        let mut bytes = FILES[random.below(FILES.len())].clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        assert!(!survives(&bytes), "bit flipped in byte {at}");
    }
}

#[test]
fn damage_behind_a_good_checksum_does_no_harm() {
    let mut random = Random::new(4);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..if cfg!(miri) { 60 } else { 100_000 } {
        let good = &FILES[random.below(FILES.len())];
        let mut bytes = good.to_vec();
        // In constants, damage mostly changes results only: aim at the structure around them.
        let model = Model::from_bytes(good).unwrap();
        let (before, constants) = (model.constants().as_ptr().addr() - good.as_ptr().addr(), model.constants().len());
        let skipped = if random.below(4) == 0 { 0 } else { constants };
        for _ in 0..1 + random.below(6) {
            let at = random.below(bytes.len() - skipped);
            let at = if at < before { at } else { at + skipped };
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => bytes[at].wrapping_add(1),
                _ => random.below(256) as u8,
            };
        }
        match with_checksum(&bytes) {
            Some(bytes) if survives(&bytes) => ran += 1,
            _ => refused += 1,
        }
    }
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused: the damage tests nothing");
}

#[test]
fn random_bytes_are_refused() {
    let mut random = Random::new(5);
    for _ in 0..if cfg!(miri) { 20 } else { 4_000 } {
        let mut bytes: Vec<u8> = (0..random.below(600)).map(|_| random.below(256) as u8).collect();
        if random.below(2) == 0 && bytes.len() > 5 {
            bytes[..4].copy_from_slice(&MAGIC);
            bytes[4] = VERSION as u8;
        }
        assert!(!survives(&bytes));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let bytes = int8_model(&mut Random::new(6)).bytes;
    let error = |bytes: &[u8]| Model::from_bytes(&AlignedBytes::from(bytes)).map(|_| ()).unwrap_err();
    assert_eq!(error(b"GGUF and more"), model::Error::NotAModel);
    assert_eq!(error(&bytes[..bytes.len() - 1]), model::Error::Malformed);
    let mut newer = bytes.to_vec();
    newer[4] += 1;
    assert_eq!(error(&newer), model::Error::Version { found: VERSION + 1, newest: VERSION });
    let mut damaged = bytes.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(error(&damaged), model::Error::Checksum { .. }));

    let shifted = AlignedBytes::from(&[&[0], &bytes[..]].concat()[..]);
    assert_eq!(Model::from_bytes(&shifted[1..]).map(|_| ()), Err(model::Error::Misaligned { remainder: 1 }));

    let softmax_only = [&ops::softmax::INT8];
    let refused = Model::with_operators(&bytes, &softmax_only).map(|_| ()).unwrap_err();
    assert!(
        matches!(refused, model::Error::OperatorNotLinked { step: 0, kind: Some(ops::OpKind::Conv2dInt8), .. }),
        "{refused}"
    );
}

#[test]
fn wrong_use_of_a_session_says_what_is_wrong() {
    let compiled = int8_model(&mut Random::new(7));
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let need = model.arena_bytes();
    let mut arena = AlignedBytes::zeroed(need + 16);
    let short = Session::new(&model, &mut arena[..need - 1]).map(|_| ()).unwrap_err();
    assert_eq!(short, SessionError::ArenaTooSmall { need, have: need - 1 });
    let shifted = Session::new(&model, &mut arena[1..]).map(|_| ()).unwrap_err();
    assert_eq!(shifted, SessionError::ArenaMisaligned { remainder: 1 });

    let mut session = Session::new(&model, &mut arena).unwrap();
    let elements = session.input_mut::<i8>(0).unwrap().len();
    assert_eq!(
        session.set_input(0, &vec![0.0; elements + 1]),
        Err(SessionError::Length { need: elements, have: elements + 1 })
    );
    let mut values = vec![0.0; elements];
    values[3] = f32::NAN;
    assert_eq!(session.set_input(0, &values), Err(SessionError::NotFinite { position: 3 }));
    assert_eq!(session.set_input(5, &values), Err(SessionError::NoSuchPort { index: 5 }));
    assert!(matches!(session.input_mut::<f32>(0), Err(SessionError::DataType { found: ops::DataType::Int8 })));
    assert!(matches!(session.output::<i16>(0), Err(SessionError::DataType { found: ops::DataType::Int8 })));
}
