//! What learning only the last layer would give each subject, in float:
//! `cargo run --release -p nervelet-trainer --example adapt -- RUN [--rate 0.05] [--epochs 60]`.
//!
//! Starts from the trained head, learns a subject's rows of role adapt with SGD and momentum in mini-batches, and
//! compares the accuracy on its rows of role eval before and after.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nervelet_trainer::Run;
use nervelet_trainer::dataset::{Role, Split};
use nervelet_trainer::metrics::{argmax, softmax};

const BATCH: usize = 8;
const MOMENTUM: f32 = 0.9;

struct Head {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    fn logits(&self, features: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(features.len()).zip(&self.bias);
        rows.map(|(row, bias)| bias + row.iter().zip(features).map(|(weight, value)| weight * value).sum::<f32>())
            .collect()
    }

    fn accuracy(&self, examples: &[(Vec<f32>, usize)]) -> f64 {
        let right = examples.iter().filter(|(features, label)| argmax(&self.logits(features)) == *label);
        right.count() as f64 / examples.len().max(1) as f64
    }

    fn learn(&mut self, examples: &[(Vec<f32>, usize)], rate: f32, epochs: usize) {
        let mut velocity = vec![0.0; self.weights.len()];
        let mut bias_velocity = vec![0.0; self.bias.len()];
        for epoch in 0..epochs {
            // A fixed permutation each epoch: multiplication by an odd number that shares no factor with the length.
            let stride = (0..).map(|step| 7 + 2 * (epoch + step)).find(|&stride| gcd(stride, examples.len()) == 1);
            let order: Vec<usize> = (0..examples.len()).map(|i| i * stride.unwrap_or(1) % examples.len()).collect();
            for batch in order.chunks(BATCH) {
                let mut gradient = vec![0.0; self.weights.len()];
                let mut bias_gradient = vec![0.0; self.bias.len()];
                for (features, label) in batch.iter().map(|&example| &examples[example]) {
                    for (class, probability) in softmax(&self.logits(features)).into_iter().enumerate() {
                        let error = (probability - f32::from(u8::from(class == *label))) / batch.len() as f32;
                        bias_gradient[class] += error;
                        let row = gradient.iter_mut().skip(class * features.len());
                        row.zip(features).for_each(|(gradient, value)| *gradient += error * value);
                    }
                }
                step(&mut self.weights, &mut velocity, &gradient, rate);
                step(&mut self.bias, &mut bias_velocity, &bias_gradient, rate);
            }
        }
    }
}

fn step(values: &mut [f32], velocity: &mut [f32], gradient: &[f32], rate: f32) {
    for ((value, velocity), gradient) in values.iter_mut().zip(velocity).zip(gradient) {
        *velocity = MOMENTUM * *velocity + gradient;
        *value -= rate * *velocity;
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: adapt RUN [--rate RATE] [--epochs EPOCHS]")?);
    let (mut rate, mut epochs) = (0.05, 60);
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--rate" => rate = value.parse()?,
            "--epochs" => epochs = value.parse()?,
            _ => anyhow::bail!("unknown option {option}"),
        }
    }
    let run = Run::open(&folder)?;
    let dataset = run.dataset(std::env::var_os("ADAPT_DATA").map(PathBuf::from).as_deref())?;
    let (weights, bias) = run.head()?;
    for split in [Split::Val, Split::Test] {
        let mut means = [0.0; 2];
        let mut subjects = 0;
        for subject in dataset.subjects(split) {
            let all = dataset.rows_where(|row| row.split == split && row.subject == subject);
            let with_role = |role: Role| -> Vec<usize> {
                all.iter().copied().filter(|&row| dataset.rows[row].role == role).collect()
            };
            let rows = match (with_role(Role::Adapt), with_role(Role::Eval)) {
                (adapt, eval) if !adapt.is_empty() && !eval.is_empty() => [adapt, eval],
                // Without roles the first fifth is learned.
                _ => [all[..all.len() / 5].to_vec(), all[all.len() / 5..].to_vec()],
            };
            let part = |rows: Vec<usize>| -> Result<Vec<(Vec<f32>, usize)>> {
                let features = run.features_float(&dataset, &rows)?;
                Ok(features.into_iter().zip(rows).map(|(features, row)| (features, dataset.rows[row].label)).collect())
            };
            let [adapt, eval] = rows;
            let (adapt, eval) = (part(adapt)?, part(eval)?);
            if adapt.is_empty() {
                continue;
            }
            let mut head = Head { weights: weights.clone(), bias: bias.clone() };
            let before = head.accuracy(&eval);
            head.learn(&adapt, rate, epochs);
            let after = head.accuracy(&eval);
            println!("{split:?} {subject}: {} adapt, {} eval rows: {before:.4} -> {after:.4}", adapt.len(), eval.len());
            means[0] += before;
            means[1] += after;
            subjects += 1;
        }
        if subjects > 0 {
            let [before, after] = means.map(|sum| sum / f64::from(subjects));
            println!("{split:?}: mean of {subjects} subjects {before:.4} -> {after:.4}");
        }
    }
    ensure!(run.architecture().head_features() > 0, "the network has no head");
    Ok(())
}
