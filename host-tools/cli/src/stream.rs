//! Streams of window models: the flags, what a streamed model is in words, and the proof that it equals its window.

use anyhow::{Context, Result, bail, ensure};
use nervelet::Model;
use nervelet::ops::Tensor;
use nervelet_compiler::{Compiled, StreamOptions, Streaming};

use crate::execute::{self, Inputs, Place};

#[derive(Debug, clap::Args)]
pub struct StreamArguments {
    /// Makes a model of a stream: a run takes FRAMES new frames and gives what the model gives on the whole history
    /// [default FRAMES: the product of the strides in time]. See docs/STREAMING.md.
    #[arg(long, value_name = "FRAMES", num_args = 0..=1)]
    stream: Option<Option<usize>>,
    /// The axis of time of the first input, the batch being axis 0 [default: the first of more than one element].
    #[arg(long, value_name = "AXIS", requires = "stream")]
    stream_axis: Option<usize>,
}

impl StreamArguments {
    /// What the compiler is asked for, if a stream is.
    pub fn options(&self) -> Option<StreamOptions> {
        self.stream.map(|frames| StreamOptions { axis: self.stream_axis, frames })
    }
}

/// Says what a streamed model is.
pub fn describe(streaming: &Streaming) {
    let Streaming { frames, window, equals_window, equals_sequence, whole, state_bytes } = streaming;
    println!("stream: {frames} new frames a run, {state_bytes} bytes kept from run to run");
    if *equals_window {
        println!("  a run equals the model on the last {window} frames, from run {} on", window.div_ceil(*frames));
    }
    if *equals_sequence {
        println!("  a run equals the model on all frames since the reset");
    }
    for layer in whole {
        println!("  {} takes the whole window: {}", layer.name, layer.reason);
    }
}

/// Compares a stream with its window model on windows, each cut into frames behind a reset; then the host with a board on
/// all of them as one stream.
pub fn verify(window: &Compiled, stream: &Compiled, windows: &Inputs, place: &Place) -> Result<()> {
    let streaming = stream.streaming.as_ref().context("the model is no stream")?;
    let [own, part] = [window, stream].map(first_input);
    let (own, part) = (own?, part?);
    let expected = execute::run(&Place::Host, &window.bytes, windows)?;
    let (mut all, mut same) = (Vec::new(), 0);
    let mut differing = None;
    for (number, (inputs, expected)) in windows.iter().zip(&expected).enumerate() {
        let parts = parts(own.shape(), part.shape(), own.data_type.bytes(), inputs)?;
        let last = execute::run_stream(&Place::Host, &stream.bytes, &parts)?.pop().context("a window has no part")?;
        if is_end_of(&last, expected) {
            same += 1;
        } else {
            differing.get_or_insert(number);
        }
        all.extend(parts);
    }
    let whole_parts = own.elements().is_multiple_of(part.elements());
    if streaming.equals_window || whole_parts {
        println!("stream = window, bit for bit: {same} of {} samples", windows.len());
        if let Some(number) = differing {
            bail!("the stream differs from the window in sample {number}");
        }
    }
    if let Place::Board(name) = place {
        let on_host = execute::run_stream(&Place::Host, &stream.bytes, &all)?;
        let on_board = execute::run_stream(place, &stream.bytes, &all)?;
        ensure!(on_host == on_board, "the stream differs between host and {name}");
        println!("stream on host = stream on {name}, bit for bit: {} runs", all.len());
    }
    Ok(())
}

/// Whether the outputs of a run are the ends of those of a window: all, or the newest columns.
fn is_end_of(last: &[Vec<u8>], window: &[Vec<u8>]) -> bool {
    last.len() == window.len() && last.iter().zip(window).all(|(last, window)| window.ends_with(last))
}

fn first_input(compiled: &Compiled) -> Result<Tensor> {
    let model = Model::from_bytes(&compiled.bytes)?;
    let port = model.inputs().first().context("the model has no input")?;
    model.tensor(port.tensor).context("the input has no tensor")
}

/// Cuts the first input of a window into the runs of a stream; where it begins within a run, zeros fill that up.
fn parts(window: &[u32], part: &[u32], element: usize, inputs: &[Vec<u8>]) -> Result<Inputs> {
    let (first, others) = inputs.split_first().context("a sample has no input")?;
    let mut axes = window.iter().zip(part);
    let axis = axes.position(|(own, part)| own != part).context("window and stream have the same input")?;
    let (frames, new) = (window[axis] as usize, part[axis] as usize);
    let column = window[axis + 1..].iter().fold(element, |bytes, extent| bytes * *extent as usize);
    let runs = frames.div_ceil(new);
    let missing = runs * new - frames;
    let run = |run: usize| {
        let blocks = first.chunks_exact(frames * column);
        let bytes = blocks.flat_map(|block| {
            let frame = move |at: usize| at.checked_sub(missing).map(|at| &block[at * column..(at + 1) * column]);
            (run * new..(run + 1) * new).flat_map(move |at| frame(at).map_or_else(|| vec![0; column], <[u8]>::to_vec))
        });
        let mut inputs = vec![bytes.collect::<Vec<u8>>()];
        inputs.extend(others.iter().cloned());
        inputs
    };
    Ok((0..runs).map(run).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_into_runs() {
        let inputs = [vec![1, 2, 3, 4, 5, 6], vec![9]];
        let along = parts(&[1, 3, 2], &[1, 2, 2], 1, &inputs).unwrap();
        assert_eq!(along, [[vec![0, 0, 1, 2], vec![9]], [vec![3, 4, 5, 6], vec![9]]]);
        let behind = parts(&[1, 2, 3], &[1, 2, 1], 1, &inputs).unwrap();
        assert_eq!(behind.iter().map(|run| &run[0]).collect::<Vec<_>>(), [&[1, 4], &[2, 5], &[3, 6]]);
    }
}
