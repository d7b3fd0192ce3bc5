//! Reads what the profiler plugin wrote; its crate's documentation has the format.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::cycles::{self, Instruction};

/// What it cost to execute something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Executed instructions, exact.
    pub instructions: u64,
    /// Cycles of a Cortex-M4 after the public instruction timings; a model, not a measurement. `None` on boards with another core.
    pub model_cycles: Option<u64>,
}

/// The cost of each bucket that was counted in.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    buckets: BTreeMap<usize, Cost>,
}

impl Profile {
    /// Adds up a profile; with `cycles` the cycle model is applied.
    pub(crate) fn parse(text: &str, cycles: bool) -> Result<Self> {
        let mut instructions = BTreeMap::new();
        let mut buckets = BTreeMap::<usize, Cost>::new();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("line {} of the profile: `{line}`", number + 1);
            match line.split_once(' ') {
                Some(("i", rest)) => {
                    let mut fields = rest.splitn(3, ' ');
                    let mut next = || fields.next().with_context(place);
                    let (address, size, text) = (next()?, next()?, next()?);
                    let size: u64 = size.parse().with_context(place)?;
                    instructions.insert(address.parse().with_context(place)?, (size, Instruction::parse(text)));
                }
                Some(("b", rest)) => {
                    let fields: Vec<u64> =
                        rest.split(' ').map(str::parse).collect::<Result<_, _>>().with_context(place)?;
                    let [bucket, address, length, times, jumped] = fields[..] else { bail!(place()) };
                    let cost = buckets.entry(bucket as usize).or_default();
                    cost.instructions += length * times;
                    if cycles {
                        let block = block(&instructions, address, length).with_context(place)?;
                        let spent = cycles::straight(&block) * times + cycles::jump(&block) * jumped;
                        cost.model_cycles = Some(cost.model_cycles.unwrap_or(0) + spent);
                    }
                }
                _ => bail!(place()),
            }
        }
        Ok(Self { buckets })
    }

    /// The cost of a bucket; nothing when it was never counted in.
    pub(crate) fn bucket(&self, bucket: usize) -> Cost {
        self.buckets.get(&bucket).copied().unwrap_or_default()
    }
}

/// The instructions of a block: `length` of them, one after the other from `address`. They are followed by address: QEMU gives
/// the size of an instruction wrong where it lies across two pages.
fn block(all: &BTreeMap<u64, (u64, Instruction)>, address: u64, length: u64) -> Option<Vec<&Instruction>> {
    all.get(&address)?;
    let block: Vec<&Instruction> =
        all.range(address..).take(length as usize).map(|(_, (_, instruction))| instruction).collect();
    (block.len() as u64 == length).then_some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: &str = "i 16 2 ldr r3, [r1]\ni 18 2 ldr r4, [r2]\ni 20 2 adds r0, r3, r4\ni 22 2 bne #16\n";

    #[test]
    fn costs_add_up_by_bucket() {
        let text = format!("{LOOP}b 1 16 4 10 9\nb 2 18 3 2 0\n");
        let profile = Profile::parse(&text, true).unwrap();
        // Loads in a row 2 + 1, addition 1, branch 1 and 2 more when taken.
        let ten = Cost { instructions: 40, model_cycles: Some(10 * 5 + 9 * 2) };
        assert_eq!(profile.bucket(1), ten);
        assert_eq!(profile.bucket(2), Cost { instructions: 6, model_cycles: Some(2 * 4) });
        assert_eq!(profile.bucket(3), Cost::default());
    }

    #[test]
    fn damage_is_an_error_that_names_the_line() {
        for damaged in ["b 1 16 4 10", "b 1 x 4 10 9", "c", "i 16 2", "b 1 400 1 1 0"] {
            let error = Profile::parse(&format!("{LOOP}{damaged}\n"), true).unwrap_err();
            assert!(format!("{error:#}").contains("line 5"), "{error:#}");
        }
    }
}
