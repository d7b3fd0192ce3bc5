//! Sizes along rows and columns.

use serde::{Deserialize, Serialize};

/// `[height, width]`, or one number.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Extent {
    /// The same along both.
    Both(usize),
    /// Height, then width.
    Each([usize; 2]),
}

/// What a convolution or pool does at the borders.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The output is the input's size divided by the stride, rounded up; the odd sample of padding goes to the end.
    #[default]
    Same,
    /// Only where the kernel lies wholly inside.
    Valid,
    /// So many elements on both sides, as PyTorch has it: `[height, width]`, or one number for both.
    #[serde(untagged)]
    Each(Extent),
}

impl Default for Extent {
    fn default() -> Self {
        Self::Both(1)
    }
}

impl Extent {
    /// `[height, width]` over a map of the given height: along a sequence one number means its width.
    pub fn over(self, height: usize) -> [usize; 2] {
        match self {
            Self::Both(size) if height == 1 => [1, size],
            Self::Both(size) => [size, size],
            Self::Each(sizes) => sizes,
        }
    }

    pub(super) fn has_zero(self) -> bool {
        self.over(2).contains(&0)
    }
}
