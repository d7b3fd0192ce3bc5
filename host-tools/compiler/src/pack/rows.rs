//! Rows of int8 weights for int16 inputs, in the groups that [`nervelet::kernels::rows`] describes.

use anyhow::{Result, ensure};
use nervelet::kernels::rows::{RowQuads, pack};

/// One row with the factor of its sum.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) weights: Vec<i8>,
    pub(crate) bias: i32,
    pub(crate) factor: f64,
}

/// Rows as the file holds them.
#[derive(Debug, Clone)]
pub(crate) struct PackedRows {
    pub(crate) words: Vec<u32>,
    pub(crate) shift: u8,
}

/// Packs rows of one length; fails where an input could make a sum or a result overflow.
pub(crate) fn pack_rows(rows: &[Row]) -> Result<PackedRows> {
    let depth = rows.iter().map(|row| row.weights.len()).max().unwrap_or(0).next_multiple_of(4);
    let largest = rows.iter().fold(0.0_f64, |largest, row| largest.max(row.factor));
    ensure!(largest.is_finite() && largest < f64::from(1 << 29), "a factor of {largest} is beyond all bounds");
    // The largest shift that leaves every mantissa 31 bits.
    let mut shift = 32_u8;
    while (largest * f64::from(shift).exp2()).round() >= 2.0_f64.powi(31) && shift > 1 {
        shift -= 1;
    }
    let mut words = Vec::new();
    for group in rows.chunks(4) {
        let weight = |row: usize, at: usize| group.get(row).and_then(|row| row.weights.get(at)).copied().unwrap_or(0);
        for at in (0..depth).step_by(4) {
            words.extend(pack([0, 1, 2, 3].map(|row| [0, 1, 2, 3].map(|input| weight(row, at + input)))));
        }
        for row in 0..4 {
            let finish = group.get(row).map(|row| (row.bias, (row.factor * f64::from(shift).exp2()).round() as u32));
            let (bias, mantissa) = finish.unwrap_or_default();
            words.extend([bias.cast_unsigned(), mantissa]);
        }
    }
    let sound = RowQuads { words: &words, depth, shift: shift.into() }.is_sound();
    ensure!(sound, "sums could overflow: rows of {depth} weights with a factor of {largest}; normalise the inputs");
    Ok(PackedRows { words, shift })
}
