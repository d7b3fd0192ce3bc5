//! What is counted, and how it is written down. No `unsafe` here.
//!
//! All blocks run on one thread, that of the machine's one core; it alone changes the counters. They are atomics because another
//! thread writes them down at exit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Size of one marker function.
const MARKER_BYTES: u64 = 4;

/// One translated instruction.
pub(crate) struct Instruction {
    pub(crate) size: u64,
    pub(crate) text: CString,
}

/// A translated block and how often it ran, by bucket.
pub(crate) struct CountedBlock {
    address: u64,
    /// Address of what follows the block in memory.
    end: u64,
    instructions: Vec<Instruction>,
    /// Bucket that this block switches to, when it is a marker.
    marks: Option<usize>,
    buckets: Box<[Tally]>,
}

#[derive(Default)]
struct Tally {
    times: AtomicU64,
    jumped: AtomicU64,
}

thread_local! {
    /// The bucket in force.
    static BUCKET: Cell<usize> = const { Cell::new(0) };
    /// The tally of the block that ran last and the address where that block ends; none after a marker.
    static LAST: Cell<Option<(&'static Tally, u64)>> = const { Cell::new(None) };
}

/// Everything counted in a run.
pub(crate) struct Counters {
    out: PathBuf,
    markers: u64,
    count: usize,
    blocks: Mutex<Vec<&'static CountedBlock>>,
}

impl Counters {
    /// Reads the plugin's arguments.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut out, mut markers, mut count) = (None, None, None);
        for argument in arguments {
            let argument = argument.as_ref();
            let number = |value: &str| value.parse::<u64>().map_err(|e| format!("argument `{argument}`: {e}"));
            match argument.split_once('=') {
                Some(("out", value)) => out = Some(PathBuf::from(value)),
                Some(("markers", value)) => markers = Some(number(value)?),
                Some(("count", value)) => count = Some(number(value)? as usize),
                _ => return Err(format!("unknown argument `{argument}`; it takes out=FILE,markers=ADDRESS,count=N")),
            }
        }
        Ok(Self {
            out: out.ok_or("argument out=FILE is missing")?,
            markers: markers.ok_or("argument markers=ADDRESS is missing")?,
            count: count.filter(|&n| n > 0).ok_or("argument count=N is missing or 0")?,
            blocks: Mutex::default(),
        })
    }

    /// Keeps a block for the rest of the run: QEMU may execute it at any time from now on.
    pub(crate) fn add(&self, address: u64, instructions: Vec<Instruction>) -> &'static CountedBlock {
        let end = address + instructions.iter().map(|i| i.size).sum::<u64>();
        let marks = address.checked_sub(self.markers).map(|offset| (offset / MARKER_BYTES) as usize);
        let marks = marks.filter(|&bucket| bucket < self.count);
        let tallies = if marks.is_some() { 0 } else { self.count };
        let buckets = std::iter::repeat_with(Tally::default).take(tallies).collect();
        let block: &CountedBlock = Box::leak(Box::new(CountedBlock { address, end, instructions, marks, buckets }));
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        block
    }

    /// Writes the profile; see the crate's documentation for the format.
    pub(crate) fn write(&self) -> io::Result<()> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = BufWriter::new(File::create(&self.out)?);
        let mut seen = BTreeMap::new();
        for block in blocks.iter() {
            let mut address = block.address;
            for instruction in &block.instructions {
                seen.insert(address, instruction);
                address += instruction.size;
            }
        }
        for (address, Instruction { size, text }) in seen {
            writeln!(out, "i {address} {size} {}", text.to_string_lossy().trim())?;
        }
        for block in blocks.iter() {
            for (bucket, Tally { times, jumped }) in block.buckets.iter().enumerate() {
                let (times, jumped) = (times.load(Relaxed), jumped.load(Relaxed));
                if times > 0 {
                    writeln!(out, "b {bucket} {} {} {times} {jumped}", block.address, block.instructions.len())?;
                }
            }
        }
        out.flush()
    }
}

impl CountedBlock {
    /// Counts that the block is about to run.
    pub(crate) fn executes(&'static self) {
        if let Some((tally, end)) = LAST.get()
            && end != self.address
        {
            add_one(&tally.jumped);
        }
        if let Some(bucket) = self.marks {
            BUCKET.set(bucket);
            LAST.set(None);
            return;
        }
        if let Some(tally) = self.buckets.get(BUCKET.get()) {
            add_one(&tally.times);
            LAST.set(Some((tally, self.end)));
        }
    }
}

/// Only the machine's thread changes counters, so load and store do, and are faster than an atomic addition.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
