//! Model files from strangers: whatever the bytes, an error or a run to the end. Never a panic, never out of bounds.

#[path = "support/random.rs"]
mod random;
#[path = "support/small_model.rs"]
mod small_model;

use nervelet::model::schema::{self, MAGIC, Prelude, VERSION};
use nervelet::model::{self, Model};
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
    for index in 0..model.inputs().count() {
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

fn files(random: &mut Random) -> [AlignedBytes; 2] {
    [int8_model(random).bytes, float_model(random).bytes]
}

#[test]
fn whole_files_run() {
    for bytes in files(&mut Random::new(1)) {
        assert!(survives(&bytes));
        assert_eq!(with_checksum(&bytes).as_deref(), Some(&bytes[..]), "the checksum is that of the content");
    }
}

#[test]
fn truncated_files_are_refused() {
    for bytes in files(&mut Random::new(2)) {
        let step = if cfg!(miri) { 97 } else { 1 };
        for length in (0..bytes.len()).step_by(step) {
            assert!(!survives(&bytes[..length]), "{length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn flipped_bits_are_noticed() {
    let mut random = Random::new(3);
    let files = files(&mut random);
    for _ in 0..if cfg!(miri) { 20 } else { 4_000 } {
        let mut bytes = files[random.below(2)].clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        assert!(!survives(&bytes), "bit flipped in byte {at}");
    }
}

#[test]
fn damage_behind_a_good_checksum_does_no_harm() {
    let mut random = Random::new(4);
    let files = files(&mut random);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..if cfg!(miri) { 30 } else { 12_000 } {
        let mut bytes = files[random.below(2)].to_vec();
        // Most of a file is weights, where damage changes results only: aim at the structure in front of them.
        let structure = bytes.len().min(1_500);
        for _ in 0..1 + random.below(6) {
            let at = random.below(structure);
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
