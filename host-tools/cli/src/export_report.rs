//! The report's section on an export.

use anyhow::Result;
use nervelet_trainer::Run;
use nervelet_trainer::dataset::Dataset;
use nervelet_trainer::report::{self, Fragment};

use crate::export::Results;

/// Adds the section to a run's report.
pub fn add(run: &Run, dataset: &Dataset, results: &Results) -> Result<()> {
    report::add(run.folder(), "export", results, &fragment(dataset, results))
}

fn fragment(dataset: &Dataset, results: &Results) -> Fragment {
    let mut fragment = Fragment::new("Model file");
    let floor = format!("liveness floor {} bytes", results.arena_floor_bytes);
    let mut figures = vec![
        ("File", kibibytes(results.file_bytes), results.data_type),
        ("Weights", kibibytes(results.weights_bytes), "stay in flash"),
        ("Arena", format!("{} bytes", results.arena_bytes), floor.as_str()),
    ];
    let (same, compared);
    if let Some(verified) = &results.verified {
        same = format!("{} of {}", verified.samples - verified.differing, verified.samples);
        compared = format!("test samples, bit for bit, on {}", verified.board);
        figures.push(("Host = device", same, &compared));
    }
    fragment.figures(&figures);
    if let Some([float, quantized]) = &results.scores {
        let row = |name: &str, scores: &nervelet_trainer::metrics::Scores| {
            vec![name.to_string(), format!("{:.4}", scores.accuracy), format!("{:.4}", scores.macro_f1)]
        };
        let rows = vec![row("float network", float), row(results.data_type, quantized)];
        fragment.table("Scores on the test split, side by side", &["", "accuracy", "macro F1"], rows);
        if let Some(agreement) = results.agreement {
            fragment.paragraph(&format!("Both give the same class on {:.2} % of the test samples.", 100.0 * agreement));
        }
        let caption = format!("Confusion of the {} model on the test split", results.data_type);
        fragment.confusion(&caption, &dataset.classes, &quantized.confusion);
    }
    if let Some([float, quantized]) = results.errors {
        let row = |name: &str, error: f64| vec![name.to_string(), format!("{error:.5}")];
        let rows = vec![row("float network", float), row(results.data_type, quantized)];
        fragment.table("Mean squared error on the test split, in normalised units", &["", "error"], rows);
    }
    fragment
}

fn kibibytes(bytes: usize) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}
