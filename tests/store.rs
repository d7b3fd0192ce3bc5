//! The head store on flashes of many kinds, with content of any kind.

#[path = "support/flash.rs"]
mod flash;

use crc::{CRC_32_ISO_HDLC, Crc};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash::{MockError, NorMock};
use nervelet::learn::Pcg32;
use nervelet::store::{HeadIdentity, HeadStore, StoreError, region_bytes};

type Flash = NorMock<1, 8, 128>;

const IDENTITY: HeadIdentity = HeadIdentity { encoder: [7; 16], classes: 2, features: 3 };
const REGION: u32 = region_bytes::<Flash>(2, 3);
const WEIGHTS: [f32; 6] = [1.0, -2.5, 3.25e-20, f32::MAX, -0.0, f32::MIN_POSITIVE / 2.0];
const BIAS: [f32; 2] = [0.5, -1e9];

fn open(flash: &mut Flash) -> HeadStore<&mut Flash> {
    HeadStore::new(flash, 0..REGION, IDENTITY).unwrap()
}

fn load(flash: &mut Flash) -> Result<([f32; 6], [f32; 2]), StoreError<MockError>> {
    let (mut weights, mut bias) = ([9.0; 6], [9.0; 2]);
    let result = open(flash).load_into(&mut weights, &mut bias);
    if result.is_err() {
        assert_eq!((weights, bias), ([9.0; 6], [9.0; 2]), "changed by a load that failed");
    }
    result.map(|_| (weights, bias))
}

/// A flash of two slots with one committed head, in the first slot.
fn committed() -> Flash {
    let mut flash = Flash::new(REGION as usize / 128);
    assert_eq!(open(&mut flash).commit(&WEIGHTS, &BIAS), Ok(0));
    flash
}

#[test]
fn what_is_stored_comes_back_bit_for_bit() {
    let mut flash = committed();
    let (weights, bias) = load(&mut flash).unwrap();
    assert_eq!(weights.map(f32::to_bits), WEIGHTS.map(f32::to_bits));
    assert_eq!(bias.map(f32::to_bits), BIAS.map(f32::to_bits));
    for sequence in 1..5 {
        assert_eq!(open(&mut flash).commit(&[sequence as f32; 6], &BIAS), Ok(sequence));
        assert_eq!(load(&mut flash).unwrap().0, [sequence as f32; 6]);
    }
}

#[test]
fn region_and_ram_are_as_documented() {
    // Header 64, payload 4 * 2 * (3 + 1) = 32, four marks of 8: one block of 128 a slot.
    assert_eq!(REGION, 2 * 128);
    // Everything rounded up to 32: 64 + 32 + 4 * 32 = 224, in blocks of 64: 256 a slot.
    assert_eq!(region_bytes::<NorMock<1, 32, 64>>(2, 3), 2 * 256);
    // KWS, 12 classes by 64 features: 64 + 3120 + 32, one page of 4096 a slot.
    assert_eq!(region_bytes::<NorMock<1, 4, 4096>>(12, 64), 2 * 4096);
    assert_eq!(region_bytes::<Flash>(u32::MAX, u32::MAX), u32::MAX);
    assert!(size_of::<HeadStore<()>>() < 64);
}

#[test]
fn what_can_not_work_is_refused_at_once() {
    let error = |region, identity| HeadStore::new(Flash::new(4), region, identity).err().unwrap();
    assert_eq!(error(0..128, IDENTITY), StoreError::RegionTooSmall { need: REGION, have: 128 });
    assert_eq!(
        error(0..512, HeadIdentity { features: 1000, ..IDENTITY }),
        StoreError::RegionTooSmall { need: region_bytes::<Flash>(2, 1000), have: 512 }
    );
    for (start, end) in [(64, 512), (0, 500), (0, 640), (256, 128)] {
        assert_eq!(error(start..end, IDENTITY), StoreError::BadRegion { start, end, erase_size: 128, capacity: 512 });
    }
    for (classes, features) in [(0, 3), (2, 0), (u32::MAX, u32::MAX), (1 << 16, 1 << 16)] {
        let identity = HeadIdentity { classes, features, ..IDENTITY };
        assert_eq!(error(0..512, identity), StoreError::BadShape { classes, features });
    }
    fn unsupported<const READ: usize, const WRITE: usize, const ERASE: usize>() {
        assert_eq!(
            HeadStore::new(NorMock::<READ, WRITE, ERASE>::new(8), 0..8 * ERASE as u32, IDENTITY).err(),
            Some(StoreError::UnsupportedFlash { read_size: READ, write_size: WRITE, erase_size: ERASE })
        );
    }
    unsupported::<1, 512, 1024>();
    unsupported::<1, 3, 768>();
    unsupported::<8, 4, 1024>();
    unsupported::<3, 4, 1024>();
    unsupported::<1, 16, 40>();

    let mut flash = committed();
    let wrong =
        |weights_have, bias_have| StoreError::WrongLength { weights_need: 6, weights_have, bias_need: 2, bias_have };
    let mut store = open(&mut flash);
    assert_eq!(store.commit(&[0.0; 5], &BIAS), Err(wrong(5, 2)));
    assert_eq!(store.commit_trial(&WEIGHTS, &[0.0; 3]), Err(wrong(6, 3)));
    assert_eq!(store.load_into(&mut [0.0; 7], &mut [0.0; 2]), Err(wrong(7, 2)));
    assert_eq!(store.load_trial_into(&mut [0.0; 6], &mut [0.0; 1]), Err(wrong(6, 1)));
    assert_eq!(store.commit(&WEIGHTS, &[0.0, f32::NAN]), Err(StoreError::NotFinite { index: 7 }));
    assert_eq!(store.commit(&[f32::INFINITY; 6], &BIAS), Err(StoreError::NotFinite { index: 0 }));
    assert_eq!((store.confirm(), store.rollback()), (Err(StoreError::NoTrial), Err(StoreError::NoTrial)));
    assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)));
}

#[test]
fn a_head_of_another_encoder_or_shape_is_refused_and_can_be_replaced() {
    let mut flash = Flash::new(6);
    let region = 0..512; // larger than needed: the slots are its halves
    HeadStore::new(&mut flash, region.clone(), IDENTITY).unwrap().commit(&WEIGHTS, &BIAS).unwrap();
    let other = HeadIdentity { encoder: [8; 16], ..IDENTITY };
    let turned = HeadIdentity { classes: 3, features: 2, ..IDENTITY };
    let (mut weights, mut bias) = ([0.0; 6], [0.0; 3]);
    let mut store = HeadStore::new(&mut flash, region.clone(), other).unwrap();
    assert_eq!(
        store.load_into(&mut weights, &mut bias[..2]),
        Err(StoreError::EncoderMismatch { stored: [7; 16], expected: [8; 16] })
    );
    let mut store = HeadStore::new(&mut flash, region.clone(), turned).unwrap();
    assert_eq!(
        store.load_into(&mut weights, &mut bias),
        Err(StoreError::ShapeMismatch { stored: IDENTITY, expected: turned })
    );
    let mut store = HeadStore::new(&mut flash, region.clone(), HeadIdentity { features: 10, ..IDENTITY }).unwrap();
    assert!(matches!(store.load_into(&mut [0.0; 20], &mut bias[..2]), Err(StoreError::ShapeMismatch { .. })));

    // The other encoder's head moves in beside the first one, which goes on being there for its own.
    let mut store = HeadStore::new(&mut flash, region.clone(), other).unwrap();
    assert_eq!(store.commit(&[4.0; 6], &BIAS), Ok(1));
    assert_eq!(store.load_into(&mut weights, &mut bias[..2]), Ok(1));
    assert_eq!(weights, [4.0; 6]);
    let mut store = HeadStore::new(&mut flash, region.clone(), IDENTITY).unwrap();
    assert_eq!(store.load_into(&mut weights, &mut bias[..2]), Ok(0));
    assert_eq!(weights, WEIGHTS);
}

/// Changes bytes of the first slot's header and makes its checksum right again.
fn forge(flash: &mut Flash, change: impl FnOnce(&mut [u8])) {
    change(&mut flash.bytes[..60]);
    let checksum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&flash.bytes[..60]);
    flash.bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_newer_format_is_named_and_can_be_replaced() {
    let mut flash = committed();
    forge(&mut flash, |header| header[4] = 9);
    assert_eq!(load(&mut flash), Err(StoreError::UnsupportedFormat { found: 9, supported: 1 }));
    open(&mut flash).commit(&[1.0; 6], &BIAS).unwrap();
    assert_eq!(load(&mut flash), Ok(([1.0; 6], BIAS)));
}

#[test]
fn forged_headers_with_right_checksums_do_no_harm() {
    let mut random = Pcg32::new(21);
    let mut loaded = 0;
    for _ in 0..if cfg!(miri) { 10 } else { 5_000 } {
        let mut flash = committed();
        forge(&mut flash, |header| {
            for _ in 0..1 + random.below(8) {
                header[5 + random.below(55) as usize] = random.next_u32() as u8;
            }
        });
        match load(&mut flash) {
            Ok(head) => {
                assert_eq!(head, (WEIGHTS, BIAS)); // another sequence number, or what postcard doesn't read
                loaded += 1;
            }
            Err(
                StoreError::Corrupt
                | StoreError::NoHead // it became a trial
                | StoreError::EncoderMismatch { .. }
                | StoreError::ShapeMismatch { .. },
            ) => {}
            Err(other) => panic!("{other}"),
        }
        let mut store = open(&mut flash);
        let _ = (store.confirm(), store.rollback());
        store.commit(&[1.0; 6], &BIAS).unwrap();
        assert_eq!(load(&mut flash), Ok(([1.0; 6], BIAS)));
    }
    assert!(cfg!(miri) || loaded > 0, "no forged header was read at all");
}

#[test]
fn any_single_flipped_bit_is_seen() {
    let good = committed();
    for bit in (0..8 * (64 + 32)).step_by(if cfg!(miri) { 37 } else { 1 }) {
        let mut flash = good.clone();
        flash.bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(load(&mut flash), Err(StoreError::Corrupt), "bit {bit}");
        // With an older head in the other slot, that one loads.
        let mut flash = good.clone();
        open(&mut flash).commit(&[1.0; 6], &BIAS).unwrap();
        flash.bytes[128 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)), "bit {bit}");
    }
}

#[test]
fn garbage_is_no_head_and_no_obstacle() {
    let size = REGION as usize;
    let mut random = Pcg32::new(4);
    let mut contents = vec![vec![0x00; size], vec![0xff; size], vec![0xaa; size]];
    for round in 0..if cfg!(miri) { 8 } else { 2_000 } {
        contents.push(match round % 4 {
            0 => (0..size).map(|_| random.next_u32() as u8).collect(),
            1 => (0..size).map(|_| if random.below(20) == 0 { random.next_u32() as u8 } else { 0xff }).collect(),
            // A record whose parts lie in the wrong places.
            2 => {
                let mut bytes = committed().bytes;
                bytes.rotate_right(1 + random.below(size as u32 - 1) as usize);
                if bytes[128..] == committed().bytes[..128] {
                    bytes.fill(0x11); // exactly the other slot is no wrong place
                }
                bytes
            }
            // The beginning of a record, then something else.
            _ => {
                let mut bytes = committed().bytes;
                let end = random.below(64 + 32) as usize;
                bytes[end..].fill_with(|| random.next_u32() as u8);
                bytes
            }
        });
    }
    for content in contents {
        let erased = content.iter().all(|byte| *byte == 0xff);
        let mut flash = Flash::with_content(content);
        match load(&mut flash) {
            Err(StoreError::NoHead) => {}
            Err(StoreError::Corrupt) if !erased => {}
            other => panic!("{other:?}"),
        }
        let mut store = open(&mut flash);
        assert_eq!((store.confirm(), store.rollback()), (Err(StoreError::NoTrial), Err(StoreError::NoTrial)));
        store.commit(&WEIGHTS, &BIAS).unwrap();
        assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)));
    }
}

/// A worn flash: in one block, a bit stays as it is.
struct Worn {
    flash: Flash,
    stuck: usize,
}

impl ErrorType for Worn {
    type Error = MockError;
}

impl ReadNorFlash for Worn {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Worn {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 128;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        self.flash.write(offset, bytes)?;
        self.flash.bytes[self.stuck] |= 0x80;
        Ok(())
    }
}

#[test]
fn a_commit_that_the_flash_does_not_keep_is_reported_and_the_old_head_stays() {
    let mut flash = committed();
    // The top bytes of 2.0 (0x40) in the second slot: with bit 7 stuck they read -2.0.
    let mut store = HeadStore::new(Worn { flash: flash.clone(), stuck: 128 + 64 + 3 }, 0..REGION, IDENTITY).unwrap();
    assert_eq!(store.commit(&[2.0; 6], &BIAS), Err(StoreError::NotKept));
    assert_eq!(store.commit_trial(&[2.0; 6], &BIAS), Err(StoreError::NotKept));
    flash.bytes = store.release().flash.bytes;
    assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)));
}

#[test]
fn a_trial_is_apart_until_it_is_confirmed() {
    let mut flash = committed();
    let (mut weights, mut bias) = ([0.0; 6], [0.0; 2]);
    assert_eq!(open(&mut flash).commit_trial(&[3.0; 6], &BIAS), Ok(1));
    assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)));
    assert_eq!(open(&mut flash).load_trial_into(&mut weights, &mut bias), Ok(1));
    assert_eq!(weights, [3.0; 6]);
    open(&mut flash).rollback().unwrap();
    assert_eq!(open(&mut flash).load_trial_into(&mut weights, &mut bias), Err(StoreError::NoTrial));
    assert_eq!(load(&mut flash), Ok((WEIGHTS, BIAS)));

    assert_eq!(open(&mut flash).commit_trial(&[5.0; 6], &BIAS), Ok(1));
    assert_eq!(open(&mut flash).confirm(), Ok(1));
    assert_eq!(load(&mut flash), Ok(([5.0; 6], BIAS)));
    assert_eq!(open(&mut flash).confirm(), Err(StoreError::NoTrial));
}
