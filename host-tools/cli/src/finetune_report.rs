//! The report's section on fine-tuning, user by user.

use anyhow::Result;
use nervelet_trainer::Run;
use nervelet_trainer::dataset::Dataset;
use nervelet_trainer::report::{self, Fragment};

use crate::finetune::{Results, UserResult};

/// Adds the section to a run's report.
pub fn add(run: &Run, dataset: &Dataset, results: &Results) -> Result<()> {
    report::add(run.folder(), "finetune", results, &fragment(dataset, results))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn fragment(dataset: &Dataset, results: &Results) -> Fragment {
    let mut fragment = Fragment::new("Fine-tuning on the device");
    let [before, after] = results.mean_accuracy;
    let [f1_before, f1_after] = results.macro_f1;
    let users = format!("mean of {} users never seen in training", results.users.len());
    let mut figures = vec![
        ("Before", percent(before), users.as_str()),
        ("After", percent(after), "last layer retrained on the device"),
        ("Macro F1", format!("{f1_before:.3} → {f1_after:.3}"), "over all users"),
    ];
    if let Some(survived) = results.survived_power_cut {
        figures.push((
            "Power cut",
            if survived { "survived".into() } else { "head lost".into() },
            "in the middle of a commit",
        ));
    }
    fragment.figures(&figures);
    fragment.paragraph(&format!(
        "Each user of {} gave a few labelled samples; the frozen int8 encoder turned them into features, and the device ({}) retrained \
         its last layer on them. It is judged on other samples of the same user.",
        dataset.name, results.place
    ));
    let groups = results.users.iter().map(|user| user.subject.clone()).collect();
    let series = |figure: fn(&UserResult) -> f64| results.users.iter().map(figure).collect::<Vec<_>>();
    fragment.bars(
        "Accuracy user by user",
        "accuracy",
        groups,
        vec![("before", series(|user| user.accuracy_before)), ("after", series(|user| user.accuracy_after))],
    );
    let columns = [
        "user",
        "learned from",
        "judged on",
        "before",
        "after",
        "after reboot",
        "epochs",
        "steps",
        "loss",
        "device = host",
    ];
    fragment.table("User by user", &columns, results.users.iter().map(row).collect());
    if let Some(bytes) = results.users.iter().find_map(|user| user.learner_bytes) {
        fragment.paragraph(&format!("The learner has {bytes} bytes of RAM in this firmware, which takes any model; one for a single model needs less."));
    }
    fragment
}

fn row(user: &UserResult) -> Vec<String> {
    vec![
        user.subject.clone(),
        user.adapt_samples.to_string(),
        user.eval_samples.to_string(),
        percent(user.accuracy_before),
        percent(user.accuracy_after),
        user.accuracy_after_reboot.map_or_else(|| "–".into(), percent),
        user.epochs.to_string(),
        user.steps.to_string(),
        format!("{:.3} → {:.3}", user.loss[0], user.loss[1]),
        match user.same_bits {
            Some(true) => "yes".into(),
            Some(false) => "NO".into(),
            None => "–".into(),
        },
    ]
}
