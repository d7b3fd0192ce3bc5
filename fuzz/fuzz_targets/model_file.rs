//! Model files: any bytes, and good models with damage behind a checksum that fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nervelet_fuzz::{damage, good_models, run, with_checksum};

/// Behind the structure of the good models there are only weights, where damage changes results and nothing else.
const STRUCTURE: usize = 1500;

fuzz_target!(|bytes: &[u8]| {
    run(bytes);
    if let Some(repaired) = with_checksum(bytes) {
        run(&repaired);
    }
    for good in good_models() {
        let mut damaged = good.to_vec();
        let structure = damaged.len().min(STRUCTURE);
        damage(&mut damaged[..structure], bytes);
        if let Some(repaired) = with_checksum(&damaged) {
            run(&repaired);
        }
    }
});
