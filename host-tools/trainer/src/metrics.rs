//! How good predictions are.

use serde::{Deserialize, Serialize};

/// Counts and figures of a classifier on some rows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Scores {
    /// Mean cross-entropy, each example with the weight of its class.
    pub loss: f64,
    /// Share that is right.
    pub accuracy: f64,
    /// Mean F1 over the classes that occur or are predicted.
    pub macro_f1: f64,
    /// Share of each class that is found; absent where the class does not occur.
    pub recall: Vec<Option<f64>>,
    /// `confusion[truth][prediction]` counts rows.
    pub confusion: Vec<Vec<usize>>,
}

impl Scores {
    /// Scores predictions against labels; `loss` is handed through.
    pub fn new(classes: usize, labels: &[usize], predictions: &[usize], loss: f64) -> Self {
        let mut confusion = vec![vec![0usize; classes]; classes];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            confusion[label][prediction] += 1;
        }
        let total = labels.len().max(1) as f64;
        let right: usize = (0..classes).map(|class| confusion[class][class]).sum();
        let truths = |class: usize| confusion[class].iter().sum::<usize>();
        let predicted = |class: usize| confusion.iter().map(|row| row[class]).sum::<usize>();
        let recall = (0..classes).map(|class| match truths(class) {
            0 => None,
            count => Some(confusion[class][class] as f64 / count as f64),
        });
        // F1 = 2 TP / (truths + predictions).
        let f1: Vec<f64> = (0..classes)
            .filter(|&class| truths(class) + predicted(class) > 0)
            .map(|class| 2.0 * confusion[class][class] as f64 / (truths(class) + predicted(class)) as f64)
            .collect();
        Self {
            loss,
            accuracy: right as f64 / total,
            macro_f1: f1.iter().sum::<f64>() / f1.len().max(1) as f64,
            recall: recall.collect(),
            confusion,
        }
    }
}

/// The place of the largest value; the first of equal ones.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// Softmax of logits.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Minus the logarithm of the softmax at `label`.
pub fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    sum.ln() - f64::from(logits[label] - largest)
}

/// Area under the receiver operating characteristic: how likely a positive scores above a negative, ties counting half.
/// Absent when either kind is missing.
pub fn area_under_curve(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|&&positive| positive).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // The rank sum of Mann and Whitney (1947), equal scores sharing the mean of their ranks.
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        rank_sum += rank * order[start..end].iter().filter(|&&row| positive[row]).count() as f64;
        start = end;
    }
    let (p, n) = (positives as f64, negatives as f64);
    Some((rank_sum - p * (p + 1.0) / 2.0) / (p * n))
}

/// Points `(false positive rate, true positive rate)` of the receiver operating characteristic, from (0, 0) to (1, 1).
pub fn operating_characteristic(scores: &[f64], positive: &[bool]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let positives = positive.iter().filter(|&&positive| positive).count().max(1) as f64;
    let negatives = positive.iter().filter(|&&positive| !positive).count().max(1) as f64;
    let (mut hits, mut alarms) = (0.0, 0.0);
    let mut points = vec![(0.0, 0.0)];
    for (place, &row) in order.iter().enumerate() {
        if positive[row] {
            hits += 1.0;
        } else {
            alarms += 1.0;
        }
        let tied = order.get(place + 1).is_some_and(|&next| scores[next] == scores[row]);
        if !tied {
            points.push((alarms / negatives, hits / positives));
        }
    }
    points
}

/// How far predictions of a value are off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionErrors {
    /// Square root of the mean squared error.
    pub root_mean_squared: f64,
    /// Mean of the error's magnitude.
    pub mean_absolute: f64,
    /// Share of the variance that the prediction explains; 0 where there is none.
    pub r_squared: f64,
}

impl RegressionErrors {
    /// Compares each prediction with the value that was wanted.
    pub fn new(predicted: &[f64], wanted: &[f64]) -> Self {
        let count = wanted.len().max(1) as f64;
        let errors = || predicted.iter().zip(wanted).map(|(predicted, wanted)| predicted - wanted);
        let mean = wanted.iter().sum::<f64>() / count;
        let squared = errors().map(|error| error * error).sum::<f64>() / count;
        let variance = wanted.iter().map(|wanted| (wanted - mean).powi(2)).sum::<f64>() / count;
        Self {
            root_mean_squared: squared.sqrt(),
            mean_absolute: errors().map(f64::abs).sum::<f64>() / count,
            r_squared: if variance > 0.0 { 1.0 - squared / variance } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_known_confusion() {
        let labels = [0, 0, 0, 1, 1, 2];
        let predictions = [0, 0, 1, 1, 0, 2];
        let scores = Scores::new(4, &labels, &predictions, 0.5);
        assert!((scores.accuracy - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(scores.confusion[0], [2, 1, 0, 0]);
        assert_eq!(scores.recall, [Some(2.0 / 3.0), Some(0.5), Some(1.0), None]);
        // F1: 2*2/(3+3), 2*1/(2+2), 1; the fourth class neither occurs nor is predicted.
        assert!((scores.macro_f1 - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn area_counts_pairs_in_the_right_order() {
        let scores = [0.1, 0.4, 0.35, 0.8];
        let positive = [false, false, true, true];
        assert_eq!(area_under_curve(&scores, &positive), Some(0.75));
        assert_eq!(area_under_curve(&[1.0, 1.0], &[true, false]), Some(0.5));
        assert_eq!(area_under_curve(&[1.0], &[true]), None);
        let points = operating_characteristic(&scores, &positive);
        assert_eq!(points, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
    }

    #[test]
    fn cross_entropy_is_minus_log_softmax() {
        let logits = [1.0, 2.0, -1.0];
        let expected = -f64::from(softmax(&logits)[1]).ln();
        assert!((cross_entropy(&logits, 1) - expected).abs() < 1e-6);
    }

    #[test]
    fn errors_of_a_regression_by_hand() {
        let errors = RegressionErrors::new(&[1.0, 2.0, 5.0, 4.0], &[1.0, 3.0, 3.0, 5.0]);
        // Squares 0, 1, 4, 1 around a variance of 2.
        assert_eq!(errors, RegressionErrors { root_mean_squared: 1.5_f64.sqrt(), mean_absolute: 1.0, r_squared: 0.25 });
        assert_eq!(RegressionErrors::new(&[2.0], &[2.0]).r_squared, 0.0);
    }
}
