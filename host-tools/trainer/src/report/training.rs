//! What training adds to the report.

use super::Fragment;
use crate::architecture::Layer;
use crate::dataset::{Facts, Split};
use crate::metrics::{Scores, operating_characteristic};
use crate::run::{Anomalies, Record, RegressionScores, Run};
use crate::training::Epoch;

/// The section of a finished training.
pub(crate) fn training_fragment(run: &Run) -> Fragment {
    let record = run.record();
    let mut fragment = Fragment::new("Training");
    headline(&mut fragment, record);
    curves(&mut fragment, &record.history, record.best_epoch);
    if let Some(anomalies) = &record.anomalies {
        detection(&mut fragment, anomalies);
    }
    for split in &record.scores {
        if split.split != Split::Train {
            let caption = format!("Confusion on the {} split", word(split.split));
            fragment.confusion(&caption, &record.dataset.classes, &split.scores.confusion);
        }
    }
    scores(&mut fragment, record);
    regression(&mut fragment, record);
    subjects(&mut fragment, record);
    data(&mut fragment, &record.dataset);
    layers(&mut fragment, run);
    fragment
}

fn word(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Val => "validation",
        Split::Test => "test",
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn headline(fragment: &mut Fragment, record: &Record) {
    let find = |split: Split| record.scores.iter().find(|scores| scores.split == split).map(|scores| &scores.scores);
    let mut figures = Vec::new();
    for (label, split) in [("Validation accuracy", Split::Val), ("Test accuracy", Split::Test)] {
        if let Some(scores) = find(split) {
            let mut subjects = record.subjects.iter().filter(|subject| subject.split == split).peekable();
            let unseen = subjects.peek().is_some() && subjects.all(|subject| !subject.in_training);
            let note = if unseen { "float, subjects never seen" } else { "float network" };
            figures.push((label, percent(scores.accuracy), note));
        }
    }
    for scores in record.regression.iter().filter(|scores| scores.split == Split::Test) {
        figures.push(("R² on the test split", format!("{:.3}", scores.r_squared), scores.target.as_str()));
    }
    if let Some(area) = record.anomalies.as_ref().and_then(|anomalies| anomalies.area_under_curve) {
        figures.push(("Area under the curve", format!("{area:.3}"), "anomalies of the test split"));
    }
    figures.push(("Parameters", grouped(record.parameters), ""));
    figures.push(("Multiply-accumulates", grouped(record.multiply_accumulates), "one inference"));
    figures.push(("Training time", format!("{:.0} s", record.seconds), "on this machine"));
    fragment.figures(&figures);
}

fn curves(fragment: &mut Fragment, history: &[Epoch], best: usize) {
    let curve = |value: fn(&Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
        history.iter().filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?))).collect()
    };
    let loss =
        vec![("training", curve(|epoch| Some(epoch.train_loss))), ("validation", curve(|epoch| Some(epoch.val_loss)))];
    fragment.lines(&format!("Loss; the weights of epoch {best} were kept"), ["epoch", "loss"], loss);
    if history.iter().any(|epoch| epoch.val_accuracy.is_some()) {
        let accuracy =
            vec![("training", curve(|epoch| epoch.train_accuracy)), ("validation", curve(|epoch| epoch.val_accuracy))];
        fragment.lines("Accuracy", ["epoch", "accuracy"], accuracy);
    }
}

fn detection(fragment: &mut Fragment, anomalies: &Anomalies) {
    let (errors, anomalous): (Vec<f64>, Vec<bool>) = anomalies.test.iter().copied().unzip();
    if anomalies.area_under_curve.is_none() {
        return;
    }
    let points = operating_characteristic(&errors, &anomalous);
    let axes = ["share of false alarms", "share of anomalies found"];
    fragment.lines("Operating characteristic on the test split", axes, vec![("", points)]);
    let caught = |wanted: bool| {
        let of_kind = anomalies.test.iter().filter(|(_, anomalous)| *anomalous == wanted);
        let above = of_kind.clone().filter(|(error, _)| *error > anomalies.threshold).count();
        (of_kind.count(), above)
    };
    let row = |name: &str, (all, above): (usize, usize)| {
        vec![name.to_owned(), all.to_string(), above.to_string(), percent(above as f64 / all.max(1) as f64)]
    };
    fragment.table(
        &format!(
            "Alarms on the test split, at the error that 95 % of the normal validation rows stay below ({:.4})",
            anomalies.threshold
        ),
        &["kind", "rows", "alarms", "share"],
        vec![row("normal", caught(false)), row("anomaly", caught(true))],
    );
}

fn regression(fragment: &mut Fragment, record: &Record) {
    if record.regression.is_empty() {
        return;
    }
    let row = |scores: &RegressionScores| {
        let RegressionScores { split, target, root_mean_squared_error, mean_absolute_error, r_squared, .. } = scores;
        let errors = [root_mean_squared_error, mean_absolute_error].map(|error| format!("{error:.4}"));
        let [root_mean_squared, mean_absolute] = errors;
        vec![word(*split).to_owned(), target.clone(), root_mean_squared, mean_absolute, format!("{r_squared:.3}")]
    };
    let columns = ["split", "value", "root mean squared error", "mean absolute error", "R²"];
    fragment.table("Errors with the kept weights", &columns, record.regression.iter().map(row).collect());
    for scores in record.regression.iter().filter(|scores| scores.split == Split::Test) {
        // More than this is no longer readable.
        let shown = scores.pairs.len().min(240);
        let curve = |value: fn(&(f64, f64)) -> f64| -> Vec<(f64, f64)> {
            scores.pairs.iter().take(shown).enumerate().map(|(row, pair)| (row as f64, value(pair))).collect()
        };
        let caption = format!("{} on the first {shown} rows of the test split", scores.target);
        let series = vec![("predicted", curve(|pair| pair.0)), ("measured", curve(|pair| pair.1))];
        fragment.lines(&caption, ["row", &scores.target], series);
    }
}

fn scores(fragment: &mut Fragment, record: &Record) {
    if record.scores.is_empty() {
        return;
    }
    let overall = record.scores.iter().map(|split| {
        let Scores { loss, accuracy, macro_f1, .. } = &split.scores;
        vec![word(split.split).to_owned(), percent(*accuracy), format!("{macro_f1:.3}"), format!("{loss:.4}")]
    });
    let columns = ["split", "accuracy", "macro F1", "cross-entropy"];
    fragment.table("Scores with the kept weights", &columns, overall.collect());
    let recall = record.dataset.classes.iter().enumerate().map(|(class, name)| {
        let shares = record.scores.iter().map(|split| match split.scores.recall.get(class) {
            Some(Some(share)) => percent(*share),
            _ => "–".to_owned(),
        });
        std::iter::once(name.clone()).chain(shares).collect()
    });
    let columns: Vec<&str> =
        std::iter::once("class").chain(record.scores.iter().map(|split| word(split.split))).collect();
    fragment.table("Share of each class that is found (recall)", &columns, recall.collect());
}

fn subjects(fragment: &mut Fragment, record: &Record) {
    let shown: Vec<_> = record.subjects.iter().filter(|subject| subject.split == Split::Test).collect();
    if shown.len() < 2 {
        return;
    }
    let names = shown.iter().map(|subject| subject.subject.clone()).collect();
    let accuracies = shown.iter().map(|subject| subject.eval_accuracy.unwrap_or(subject.accuracy)).collect();
    let caption = match shown.iter().any(|subject| subject.in_training) {
        true => "Test accuracy of each subject",
        false => "Test accuracy of each subject, none of whom was in training",
    };
    fragment.bars(caption, "accuracy", names, vec![("float network", accuracies)]);
}

fn data(fragment: &mut Fragment, facts: &Facts) {
    fragment.paragraph(&format!(
        "Data: {}. {}. One example has {}{} values{}.",
        facts.name,
        facts.origin.trim_end_matches('.'),
        if facts.lengths { "at most " } else { "" },
        facts.example_len(),
        match &facts.side {
            Some((name, width)) => format!(", and {width} more from {name}"),
            None => String::new(),
        }
    ));
    let mut columns = vec!["split", "rows", "subjects"];
    columns.extend(facts.classes.iter().map(String::as_str));
    let rows = facts.splits.iter().map(|split| {
        let subjects = if split.subjects == 0 { "–".to_owned() } else { split.subjects.to_string() };
        let mut row = vec![word(split.split).to_owned(), grouped(split.rows), subjects];
        row.extend(split.counts.iter().map(|&count| grouped(count)));
        row
    });
    let caption = if facts.classes.is_empty() { "Examples" } else { "Examples of each class" };
    fragment.table(caption, &columns, rows.collect());
}

fn layers(fragment: &mut Fragment, run: &Run) {
    let row = |layer: &Layer| {
        vec![
            layer.name.clone(),
            layer.input.to_string(),
            layer.output.to_string(),
            grouped(layer.operation.parameters(layer.input)),
            grouped(layer.operation.multiply_accumulates(layer.input, layer.output)),
        ]
    };
    let architecture = run.architecture();
    let rows = architecture.side_layers().iter().chain(&architecture.layers).map(row).collect();
    let columns = ["layer", "in", "out", "parameters", "multiply-accumulates"];
    fragment.table("The network (time × channels, or height × width × channels)", &columns, rows);
}

/// A count with thin spaces between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}
