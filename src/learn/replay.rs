//! Past samples, kept for rehearsal: a reservoir that stays balanced over the classes.

use super::error::{LearnError, Part, check_length, check_setting};
use super::random::Pcg32;

/// How int8 features become real numbers: `(code - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantization {
    /// Real value of one step, above 0.
    pub scale: f32,
    /// The code of real zero, -128 to 127.
    pub zero_point: i32,
}

impl Quantization {
    /// The real value of a code; the difference is exact, the product is rounded once.
    pub fn dequantize(self, code: i8) -> f32 {
        i32::from(code).saturating_sub(self.zero_point) as f32 * self.scale
    }

    /// `Ok` when the scale is positive and the zero point is an int8 code.
    pub(super) fn check(self) -> Result<(), LearnError> {
        check_setting("scale", self.scale, |v| v > 0.0)?;
        check_setting("zero_point", self.zero_point as f32, |v| (-128.0..=127.0).contains(&v))
    }
}

/// A sample in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sample<'a> {
    /// The encoder's output codes.
    pub features: &'a [i8],
    /// Its class.
    pub label: usize,
}

/// What became of a sample that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admission {
    /// It took a free place.
    Added {
        /// Index of the place.
        index: usize,
    },
    /// It took the place of an older sample.
    Replaced {
        /// Index of the place.
        index: usize,
        /// The class of the sample that left.
        label: usize,
    },
    /// It was not kept: its class has its share already.
    Declined,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct ClassCount {
    /// Samples offered so far.
    seen: u32,
    /// Samples in the buffer.
    stored: u16,
    /// The class was once the largest in a full buffer: it only replaces its own samples since.
    full: bool,
}

/// Up to `CAPACITY` labelled int8 feature vectors of up to `FEATURES` elements, of up to `CLASSES`
/// classes.
///
/// A full buffer is a class-balancing reservoir (Chrysakis and Moens, 2020, "Online Continual
/// Learning from Imbalanced Data"): a sample of a rare class takes the place of one of the largest
/// class, a sample of a class that has its share enters with the chance that keeps every sample
/// ever seen of that class equally likely to be in the buffer. So a flood of one class can't wash
/// out the others.
///
/// `CAPACITY * (FEATURES + 2) + 8 * CLASSES` bytes, and less than 64 more.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReplayBuffer<const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize = 16> {
    features: heapless::Vec<[i8; FEATURES], CAPACITY>,
    labels: heapless::Vec<u16, CAPACITY>,
    counts: [ClassCount; CLASSES],
    feature_count: usize,
    class_count: usize,
    random: Pcg32,
}

impl<const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize> ReplayBuffer<FEATURES, CAPACITY, CLASSES> {
    /// An empty buffer for vectors of `features` elements and labels below `classes`.
    ///
    /// # Errors
    /// [`LearnError::EmptyHead`] if one of them is 0; [`LearnError::TooLarge`] if the type holds
    /// less, has fewer places than classes, or more than 65535 places.
    pub fn new(features: usize, classes: usize, seed: u64) -> Result<Self, LearnError> {
        if classes == 0 || features == 0 {
            return Err(LearnError::EmptyHead { classes, features });
        }
        if features > FEATURES {
            return Err(LearnError::TooLarge { dimension: "features", need: features, have: FEATURES });
        }
        let most = CAPACITY.min(CLASSES);
        if classes > most {
            return Err(LearnError::TooLarge { dimension: "classes", need: classes, have: most });
        }
        if CAPACITY > usize::from(u16::MAX) {
            return Err(LearnError::TooLarge { dimension: "samples", need: CAPACITY, have: usize::from(u16::MAX) });
        }
        Ok(Self {
            features: heapless::Vec::new(),
            labels: heapless::Vec::new(),
            counts: [ClassCount { seen: 0, stored: 0, full: false }; CLASSES],
            feature_count: features,
            class_count: classes,
            random: Pcg32::new(seed),
        })
    }

    /// Offers a sample.
    ///
    /// # Errors
    /// [`LearnError::WrongLength`] of the features, [`LearnError::LabelOutOfRange`].
    pub fn push(&mut self, features: &[i8], label: usize) -> Result<Admission, LearnError> {
        check_length(Part::Features, self.feature_count, features.len())?;
        let out_of_range = LearnError::LabelOutOfRange { label, classes: self.class_count };
        if label >= self.class_count {
            return Err(out_of_range);
        }
        let code = u16::try_from(label).map_err(|_| out_of_range)?;
        let count = self.counts.get_mut(label).ok_or(out_of_range)?;
        count.seen = count.seen.saturating_add(1);

        if self.labels.push(code).is_ok() && self.features.push([0; FEATURES]).is_ok() {
            count.stored = count.stored.saturating_add(1);
            let index = self.labels.len().saturating_sub(1);
            self.write(index, features);
            return Ok(Admission::Added { index });
        }

        let largest = self.counts.iter().map(|count| count.stored).max().unwrap_or(0);
        for count in self.counts.iter_mut().filter(|count| count.stored == largest) {
            count.full = true;
        }
        let own = self.counts.get(label).copied().ok_or(out_of_range)?;
        let (leaver, rank) = if own.full {
            (label, self.random.below(own.seen))
        } else {
            let leaver = self.counts.iter().position(|count| count.stored == largest).unwrap_or(label);
            (leaver, self.random.below(u32::from(largest)))
        };
        // A rank beyond the class's samples finds no place: that is the reservoir's refusal.
        let place = self.labels.iter().enumerate().filter(|(_, stored)| usize::from(**stored) == leaver);
        let Some((index, _)) = usize::try_from(rank).ok().and_then(|rank| { place }.nth(rank)) else {
            return Ok(Admission::Declined);
        };
        if let Some(count) = self.counts.get_mut(leaver) {
            count.stored = count.stored.saturating_sub(1);
        }
        if let Some(count) = self.counts.get_mut(label) {
            count.stored = count.stored.saturating_add(1);
        }
        if let Some(stored) = self.labels.get_mut(index) {
            *stored = code;
        }
        self.write(index, features);
        Ok(Admission::Replaced { index, label: leaver })
    }

    fn write(&mut self, index: usize, features: &[i8]) {
        for (stored, code) in self.features.get_mut(index).into_iter().flatten().zip(features) {
            *stored = *code;
        }
    }

    /// The sample at a place.
    pub fn get(&self, index: usize) -> Option<Sample<'_>> {
        let features = self.features.get(index)?.get(..self.feature_count)?;
        Some(Sample { features, label: usize::from(*self.labels.get(index)?) })
    }

    /// Every sample, by place.
    pub fn iter(&self) -> impl Iterator<Item = Sample<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Samples in the buffer.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Elements of each feature vector.
    pub fn features(&self) -> usize {
        self.feature_count
    }

    /// Labels are below this.
    pub fn classes(&self) -> usize {
        self.class_count
    }

    /// Samples of one class in the buffer.
    pub fn stored(&self, label: usize) -> usize {
        self.counts.get(label).map_or(0, |count| usize::from(count.stored))
    }

    /// Samples of one class offered so far.
    pub fn seen(&self, label: usize) -> u32 {
        self.counts.get(label).map_or(0, |count| count.seen)
    }

    /// Forgets every sample; the random sequence goes on.
    pub fn clear(&mut self) {
        self.features.clear();
        self.labels.clear();
        self.counts.fill(ClassCount { seen: 0, stored: 0, full: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_as_documented() {
        assert!(size_of::<ReplayBuffer<64, 200, 12>>() < 200 * 66 + 8 * 12 + 64);
        assert!(size_of::<ReplayBuffer<7, 5>>() < 5 * 9 + 8 * 16 + 64);
    }

    #[test]
    fn bad_shapes_and_samples_are_named() {
        type Buffer = ReplayBuffer<4, 3>;
        let error = |result: Result<Buffer, LearnError>| result.err().unwrap();
        assert_eq!(error(Buffer::new(0, 2, 0)), LearnError::EmptyHead { classes: 2, features: 0 });
        assert_eq!(error(Buffer::new(5, 2, 0)), LearnError::TooLarge { dimension: "features", need: 5, have: 4 });
        assert_eq!(error(Buffer::new(4, 4, 0)), LearnError::TooLarge { dimension: "classes", need: 4, have: 3 });
        let mut buffer = Buffer::new(4, 2, 0).unwrap();
        assert_eq!(buffer.push(&[0; 4], 2), Err(LearnError::LabelOutOfRange { label: 2, classes: 2 }));
        assert_eq!(buffer.push(&[0; 3], 1), Err(LearnError::WrongLength { part: Part::Features, need: 4, have: 3 }));
        assert!(buffer.is_empty() && buffer.get(0).is_none());
    }

    #[test]
    fn keeps_everything_until_full() {
        let mut buffer = ReplayBuffer::<4, 3>::new(2, 2, 0).unwrap();
        for (index, label) in [0, 1, 0].into_iter().enumerate() {
            let admission = buffer.push(&[index as i8, -5], label).unwrap();
            assert_eq!(admission, Admission::Added { index });
        }
        assert_eq!(buffer.get(1), Some(Sample { features: &[1, -5], label: 1 }));
        assert_eq!(buffer.iter().count(), 3);
        // A rare class takes its place from the largest.
        match buffer.push(&[9, 9], 1).unwrap() {
            Admission::Replaced { index, label: 0 } => {
                assert_eq!(buffer.get(index), Some(Sample { features: &[9, 9], label: 1 }));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((buffer.stored(0), buffer.stored(1), buffer.seen(0)), (1, 2, 2));
        buffer.clear();
        assert_eq!((buffer.len(), buffer.stored(1), buffer.seen(1)), (0, 0, 0));
    }

    #[test]
    fn stays_balanced_under_a_flood_of_one_class() {
        let mut buffer = ReplayBuffer::<1, 30, 3>::new(1, 3, 5).unwrap();
        let mut random = Pcg32::new(9);
        for _ in 0..if cfg!(miri) { 400 } else { 2_000 } {
            // 90 % class 0, 7 % class 1, 3 % class 2.
            let label = match random.below(100) {
                0..90 => 0,
                90..97 => 1,
                _ => 2,
            };
            buffer.push(&[0], label).unwrap();
            for label in 0..3 {
                let counted = buffer.iter().filter(|sample| sample.label == label).count();
                assert_eq!(counted, buffer.stored(label));
            }
        }
        assert_eq!([0, 1, 2].map(|label| buffer.stored(label)), [10, 10, 10]);
    }

    #[test]
    fn every_sample_of_a_class_is_equally_likely_to_stay() {
        // 100 samples of one class into 10 places, many times: each should stay in 10 % of the runs.
        let runs = if cfg!(miri) { 10 } else { 4_000 };
        let mut kept = [0_i32; 100];
        for seed in 0..runs {
            let mut buffer = ReplayBuffer::<1, 10, 1>::new(1, 1, seed).unwrap();
            for sample in 0..100 {
                buffer.push(&[sample], 0).unwrap();
            }
            for sample in buffer.iter() {
                kept[sample.features[0] as usize] += 1;
            }
        }
        assert_eq!(kept.iter().sum::<i32>() as u64, 10 * runs);
        // Standard deviation 19 around 400.
        assert!(cfg!(miri) || kept.iter().all(|count| (count - 400).abs() < 100), "{kept:?}");
    }

    #[test]
    fn dequantize_is_exact_at_the_ends() {
        let quantization = Quantization { scale: 0.5, zero_point: -128 };
        assert_eq!((quantization.dequantize(-128), quantization.dequantize(127)), (0.0, 127.5));
        assert!(Quantization { scale: 0.0, zero_point: 0 }.check().is_err());
        assert!(Quantization { scale: 1.0, zero_point: 128 }.check().is_err());
    }
}
