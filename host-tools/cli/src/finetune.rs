//! `nervelet finetune`: what a device does with each new user's samples, replayed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nervelet::Model;
use nervelet::model::schema::Port;
use nervelet::ops::DataType;
use nervelet_qemu::{Board, FineTuneReport, Learning, Optimizer, Outcome, Samples, Settings};
use nervelet_trainer::Run;
use nervelet_trainer::dataset::{Dataset, Role, Split};
use nervelet_trainer::metrics::Scores;
use serde::Serialize;

use crate::execute::{self, Place};
use crate::learner::{self, Learned};
use crate::{finetune_report, model_file};

#[derive(clap::Args)]
pub struct Arguments {
    /// The model file, exported from a classifier.
    model: PathBuf,
    /// The run it was exported from: names the dataset and takes the results into its report.
    #[arg(long, required_unless_present = "data")]
    run: Option<PathBuf>,
    /// The folder of the dataset; without --run an array folder with x.npy, manifest.csv and meta.json.
    #[arg(long)]
    data: Option<PathBuf>,
    /// host, qemu-m4 or another board.
    #[arg(long, default_value = "host", value_name = "BOARD")]
    on: Place,
    /// Only these users.
    #[arg(long)]
    subject: Vec<String>,
    /// Passes over the samples at most.
    #[arg(long, default_value_t = 60)]
    epochs: u32,
    /// Stops after this many epochs in a row without improvement.
    #[arg(long, default_value_t = 10)]
    patience: u32,
    /// Samples in one step.
    #[arg(long, default_value_t = 8)]
    batch: u32,
    /// Step size.
    #[arg(long, default_value_t = 0.02)]
    learning_rate: f32,
    /// Momentum of SGD.
    #[arg(long, default_value_t = 0.9)]
    momentum: f32,
    /// Adam instead of SGD.
    #[arg(long)]
    adam: bool,
    /// Pull towards the head before learning: keeps what it knew of classes that the new user has not shown yet.
    #[arg(long, default_value_t = 0.03)]
    anchor: f32,
    /// Seed of the order of samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also cuts the power in the middle of a flash write, on a board, and boots again.
    #[arg(long)]
    power_cut: bool,
    /// Shows what the board's firmware logs.
    #[arg(long)]
    log: bool,
    /// Writes the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One user's results.
#[derive(Debug, Clone, Serialize)]
pub struct UserResult {
    /// Who.
    pub subject: String,
    /// Samples learned from.
    pub adapt_samples: usize,
    /// Samples judged by, never learned from.
    pub eval_samples: usize,
    /// Share of them that was right before.
    pub accuracy_before: f64,
    /// And after.
    pub accuracy_after: f64,
    /// And after the board was switched off and booted again; absent on the host.
    pub accuracy_after_reboot: Option<f64>,
    /// Passes over the samples.
    pub epochs: u32,
    /// Optimizer steps.
    pub steps: u32,
    /// Mean loss over the samples, before and after.
    pub loss: [f32; 2],
    /// RAM of the learner on the board; absent on the host.
    pub learner_bytes: Option<u32>,
    /// Whether the board's head and predictions are those of the host, bit for bit; absent on the host.
    pub same_bits: Option<bool>,
}

/// The results of all users.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// Where it ran.
    pub place: String,
    /// User by user.
    pub users: Vec<UserResult>,
    /// Mean of the users' accuracies before and after.
    pub mean_accuracy: [f64; 2],
    /// Macro F1 over all users' evaluation samples, before and after.
    pub macro_f1: [f64; 2],
    /// Whether a power cut in the middle of a write left a whole head.
    pub survived_power_cut: Option<bool>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes = model_file::read(&arguments.model)?;
    let model = model_file::open(&bytes, &arguments.model)?;
    ensure!(model.head().is_some(), "{} has no trainable head: export it from a classifier", arguments.model.display());
    let run = arguments.run.as_deref().map(Run::open).transpose()?;
    let dataset = load(run.as_ref(), arguments.data.as_deref(), &model)?;
    let users = users(&dataset, &arguments.subject)?;
    let settings = settings(arguments);

    println!("{} on {}: {} users never seen in training", model.name(), arguments.on, users.len());
    println!(
        "{:>12} {:>7} {:>6} {:>8} {:>8} {:>8} {:>7}",
        "user", "adapt", "eval", "before", "after", "reboot", "epochs"
    );
    let mut results = Vec::new();
    let mut pooled = Pooled::default();
    let mut survived_power_cut = None;
    for (subject, rows) in &users {
        let adapt = samples(&model, &dataset, &rows.adapt).with_context(|| format!("user {subject}"))?;
        let eval = samples(&model, &dataset, &rows.eval).with_context(|| format!("user {subject}"))?;
        let host = learner::learn(&bytes, &adapt, &eval, &settings).with_context(|| format!("user {subject}"))?;
        let mut result = judge(subject, &host, &adapt, &eval);
        if let Place::Board(name) = &arguments.on {
            let mut board = Board::from_name(name)?;
            if arguments.log {
                board = board.with_log(|line| println!("    {line}"));
            }
            let device = Device { board, model: &bytes, settings, flash: Flash::new()? };
            let cut = arguments.power_cut && survived_power_cut.is_none();
            let story = device.learn(&adapt, &eval, &host, cut).with_context(|| format!("user {subject} on {name}"))?;
            result.accuracy_after_reboot = Some(share(story.correct_after_reboot, eval.labels.len()));
            result.learner_bytes = Some(story.report.learner_bytes);
            result.same_bits = Some(story.same_bits);
            survived_power_cut = survived_power_cut.or(story.survived_power_cut);
        }
        print_user(&result);
        pooled.add(&eval.labels, &host);
        results.push(result);
    }
    let results = Results {
        place: arguments.on.to_string(),
        mean_accuracy: [mean(&results, |user| user.accuracy_before), mean(&results, |user| user.accuracy_after)],
        macro_f1: pooled.macro_f1(dataset.classes.len()),
        users: results,
        survived_power_cut,
    };
    finish(arguments, run.as_ref(), &dataset, &results)
}

fn finish(arguments: &Arguments, run: Option<&Run>, dataset: &Dataset, results: &Results) -> Result<()> {
    let [before, after] = results.mean_accuracy;
    println!(
        "mean accuracy {before:.4} -> {after:.4}; macro F1 {:.4} -> {:.4}",
        results.macro_f1[0], results.macro_f1[1]
    );
    if results.users.iter().any(|user| user.same_bits.is_some()) {
        let same = results.users.iter().filter(|user| user.same_bits == Some(true)).count();
        println!("board = host, bit for bit, in head and predictions: {same} of {} users", results.users.len());
    }
    if let Some(survived) = results.survived_power_cut {
        println!(
            "power cut in the middle of a commit: {}",
            if survived { "the old head is whole, the next commit works" } else { "HEAD LOST" }
        );
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(results)?)
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    if let Some(run) = run {
        finetune_report::add(run, dataset, results)?;
        println!("report: {}", run.folder().join("report.html").display());
    }
    ensure!(
        results.users.iter().all(|user| user.same_bits != Some(false)),
        "the board learned other bits than the host"
    );
    ensure!(
        results.users.iter().all(|user| user.accuracy_after_reboot.is_none_or(|reboot| reboot == user.accuracy_after)),
        "a head was lost in the reboot"
    );
    ensure!(results.survived_power_cut != Some(false), "a head was lost in the power cut");
    Ok(())
}

fn settings(arguments: &Arguments) -> Settings {
    let Arguments { learning_rate, momentum, .. } = *arguments;
    Settings {
        max_epochs: arguments.epochs,
        patience: arguments.patience,
        batch: arguments.batch,
        optimizer: if arguments.adam {
            Optimizer::Adam { learning_rate }
        } else {
            Optimizer::Sgd { learning_rate, momentum }
        },
        anchor: arguments.anchor,
        seed: arguments.seed,
    }
}

fn load(run: Option<&Run>, data: Option<&Path>, model: &Model<'_>) -> Result<Dataset> {
    match (run, data) {
        (Some(run), data) => run.dataset(data),
        (None, Some(data)) => {
            // A length is an integer, a side input is not.
            let is_length = |port: &Port| model.tensor(port.tensor).is_some_and(|x| x.data_type == DataType::Int32);
            let further = model.named_inputs().skip(1);
            let (lengths, side): (Vec<_>, Vec<_>) = further.partition(|(_, port)| is_length(port));
            let file = |ports: &[(&str, &Port)]| ports.first().map(|(name, _)| format!("{name}.npy"));
            Dataset::array_folder(data, file(&side).as_deref(), file(&lengths).as_deref())
        }
        (None, None) => bail!("give --run or --data"),
    }
}

/// A user's rows by their role.
#[derive(Debug, Default)]
struct Rows {
    adapt: Vec<usize>,
    eval: Vec<usize>,
}

/// The users of the test split with rows of both roles.
fn users(dataset: &Dataset, wanted: &[String]) -> Result<BTreeMap<String, Rows>> {
    let mut users: BTreeMap<String, Rows> = BTreeMap::new();
    for (index, row) in dataset.rows.iter().enumerate().filter(|(_, row)| row.split == Split::Test) {
        let rows = users.entry(row.subject.clone()).or_default();
        match row.role {
            Role::Adapt => rows.adapt.push(index),
            Role::Eval => rows.eval.push(index),
            Role::Unspecified => {}
        }
    }
    users.retain(|subject, rows| {
        !rows.adapt.is_empty() && !rows.eval.is_empty() && (wanted.is_empty() || wanted.contains(subject))
    });
    ensure!(
        !users.is_empty(),
        "no user of the test split of {} has rows of the roles adapt and eval{}",
        dataset.name,
        if wanted.is_empty() { "" } else { " among those named" }
    );
    Ok(users)
}

/// The rows as the model's inputs hold them, with their labels.
fn samples(model: &Model<'_>, dataset: &Dataset, rows: &[usize]) -> Result<Samples> {
    let labels = rows.iter().map(|row| u8::try_from(dataset.rows[*row].label).context("more than 256 classes"));
    Ok(Samples { inputs: execute::encode_rows(model, dataset, rows)?, labels: labels.collect::<Result<_>>()? })
}

fn correct(predictions: &[u8], labels: &[u8]) -> usize {
    predictions.iter().zip(labels).filter(|(prediction, label)| prediction == label).count()
}

fn share(correct: usize, count: usize) -> f64 {
    correct as f64 / count.max(1) as f64
}

fn judge(subject: &str, host: &Learned, adapt: &Samples, eval: &Samples) -> UserResult {
    UserResult {
        subject: subject.into(),
        adapt_samples: adapt.labels.len(),
        eval_samples: eval.labels.len(),
        accuracy_before: share(correct(&host.predictions_before, &eval.labels), eval.labels.len()),
        accuracy_after: share(correct(&host.predictions_after, &eval.labels), eval.labels.len()),
        accuracy_after_reboot: None,
        epochs: host.report.epochs,
        steps: host.report.steps,
        loss: [host.report.first_loss, host.report.last_loss],
        learner_bytes: None,
        same_bits: None,
    }
}

fn print_user(user: &UserResult) {
    let reboot = user.accuracy_after_reboot.map_or_else(|| "-".into(), |accuracy| format!("{accuracy:.4}"));
    println!(
        "{:>12} {:>7} {:>6} {:>8.4} {:>8.4} {reboot:>8} {:>7}",
        user.subject, user.adapt_samples, user.eval_samples, user.accuracy_before, user.accuracy_after, user.epochs
    );
}

fn mean(users: &[UserResult], figure: impl Fn(&UserResult) -> f64) -> f64 {
    users.iter().map(figure).sum::<f64>() / users.len().max(1) as f64
}

/// Labels and predictions of all users.
#[derive(Debug, Default)]
struct Pooled {
    labels: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Pooled {
    fn add(&mut self, labels: &[u8], host: &Learned) {
        self.labels.extend(labels.iter().map(|label| usize::from(*label)));
        self.before.extend(host.predictions_before.iter().map(|class| usize::from(*class)));
        self.after.extend(host.predictions_after.iter().map(|class| usize::from(*class)));
    }

    fn macro_f1(&self, classes: usize) -> [f64; 2] {
        [&self.before, &self.after].map(|predictions| Scores::new(classes, &self.labels, predictions, 0.0).macro_f1)
    }
}

/// The flash image of one board, removed at the end.
struct Flash(PathBuf);

impl Flash {
    fn new() -> Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nervelet-flash-{}-{number}.bin", std::process::id()));
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
        }
        Ok(Self(path))
    }
}

impl Drop for Flash {
    fn drop(&mut self) {
        // Nothing is lost where the system cleans its temporary folder instead.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A board that learns one user.
struct Device<'m> {
    board: Board,
    model: &'m [u8],
    settings: Settings,
    flash: Flash,
}

/// What the board did.
struct Story {
    report: FineTuneReport,
    same_bits: bool,
    correct_after_reboot: usize,
    survived_power_cut: Option<bool>,
}

impl Device<'_> {
    fn boot(&self, adapt: &Samples, eval: &Samples, cut_after: Option<u32>) -> Result<Outcome> {
        Ok(self.board.finetune(self.model, adapt, eval, self.settings, &self.flash.0, cut_after)?.outcome)
    }

    fn boot_whole(&self, adapt: &Samples, eval: &Samples) -> Result<Learning> {
        match self.boot(adapt, eval, None)? {
            Outcome::Done(learning) => Ok(*learning),
            Outcome::PowerCut => bail!("the power failed without being told to"),
        }
    }

    /// Learns, reboots, and, if `cut`, learns once more with the power failing in the middle of the commit.
    fn learn(&self, adapt: &Samples, eval: &Samples, host: &Learned, cut: bool) -> Result<Story> {
        let first = self.boot_whole(adapt, eval)?;
        let same_bits = first.predictions_before == host.predictions_before
            && first.predictions_after == host.predictions_after
            && first.head.len() == host.head.len()
            && first.head.iter().zip(&host.head).all(|(board, host)| board.to_bits() == host.to_bits());
        let nothing = Samples::default();
        let reboot = self.boot_whole(&nothing, eval)?;
        let survived_power_cut = if cut { Some(self.cut_power(adapt, eval, &first)?) } else { None };
        Ok(Story {
            report: first.report,
            same_bits,
            correct_after_reboot: correct(&reboot.predictions_after, &eval.labels),
            survived_power_cut,
        })
    }

    /// Cuts the power in the middle of the next commit: the head committed before has to be whole, and learnable on.
    fn cut_power(&self, adapt: &Samples, eval: &Samples, committed: &Learning) -> Result<bool> {
        let middle = committed.report.flash_steps / 2;
        ensure!(
            matches!(self.boot(adapt, eval, Some(middle.max(1)))?, Outcome::PowerCut),
            "the power did not fail at flash step {middle}"
        );
        let after_cut = self.boot_whole(&Samples::default(), eval)?;
        let whole =
            after_cut.head.iter().map(|value| value.to_bits()).eq(committed.head.iter().map(|value| value.to_bits()));
        let next = self.boot_whole(adapt, eval)?;
        Ok(whole && next.report.learned.is_some())
    }
}
