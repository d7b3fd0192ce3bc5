//! Tensors as the model file describes them: fixed-size records that are read by index, in place.

use bytemuck::{AnyBitPattern, CheckedBitPattern, NoUninit};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, CheckedBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum DataType {
    /// Quantized weights and activations.
    Int8 = 0,
    /// Quantized activations of double width.
    Int16 = 1,
    /// Indices, sums.
    Int32 = 2,
    /// Wide sums.
    Int64 = 3,
    /// Real numbers.
    Float32 = 4,
}

impl DataType {
    /// The size of one element in bytes, which is its alignment too.
    pub const fn bytes(self) -> usize {
        match self {
            DataType::Int8 => 1,
            DataType::Int16 => 2,
            DataType::Int32 | DataType::Float32 => 4,
            DataType::Int64 => 8,
        }
    }
}

/// A range of bytes, in the arena or among the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, AnyBitPattern, NoUninit, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Span {
    /// The first byte.
    pub offset: u32,
    /// The number of bytes.
    pub length: u32,
}

impl Span {
    /// The first byte behind the span.
    pub const fn end(self) -> usize {
        (self.offset as usize).saturating_add(self.length as usize)
    }

    /// The span as a range of bytes; no range where its end wraps around.
    pub const fn range(self) -> core::ops::Range<usize> {
        self.offset as usize..self.offset.wrapping_add(self.length) as usize
    }

    /// Whether two spans share a byte.
    pub const fn overlaps(self, other: Span) -> bool {
        self.length > 0
            && other.length > 0
            && (self.offset as usize) < other.end()
            && (other.offset as usize) < self.end()
    }

    /// The bytes of the span, if it lies within them.
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.offset as usize..self.end())
    }
}

/// Where a tensor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CheckedBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Place {
    /// In the arena, at an offset that the host planned.
    Arena = 0,
    /// Among the constants of the file.
    Constant = 1,
}

/// The largest number of axes.
pub const MAX_RANK: usize = 6;

/// A tensor: element type, shape, place and quantization.
///
/// This is its record in the file: [`Tensor::WORDS`] little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, CheckedBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Tensor {
    /// The type of the elements.
    pub data_type: DataType,
    /// Where it lies.
    pub place: Place,
    /// How many of `extents` count.
    pub rank: u16,
    /// The first byte within the place.
    pub offset: u32,
    /// The number of bytes: that of the elements, which verification checks.
    pub length: u32,
    /// The real value of one step of the code; 0 where the tensor is not quantized.
    pub scale: f32,
    /// The code of the real 0.
    pub zero_point: i32,
    /// The extents of the axes, row-major.
    pub extents: [u32; MAX_RANK],
}

impl Tensor {
    /// The size of a tensor's record in the file.
    pub const WORDS: usize = size_of::<Self>() / 4;

    /// The extents of the axes.
    pub fn shape(&self) -> &[u32] {
        self.extents.get(..usize::from(self.rank)).unwrap_or(&self.extents)
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.length as usize / self.data_type.bytes()
    }

    /// The bytes that elements of the shape take, unless they are too many.
    pub fn bytes(&self) -> Option<u32> {
        let bytes = self.data_type.bytes() as u32;
        self.shape().iter().try_fold(bytes, |product, extent| product.checked_mul(*extent))
    }

    /// Where it lies within its place.
    pub fn span(&self) -> Span {
        Span { offset: self.offset, length: self.length }
    }

    /// The last four extents as `[batch, rows, columns, channels]`; missing leading ones are 1.
    pub fn nhwc(&self) -> Option<[usize; 4]> {
        match *self.shape() {
            [] => Some([1, 1, 1, 1]),
            [c] => Some([1, 1, 1, c as usize]),
            [n, c] => Some([n as usize, 1, 1, c as usize]),
            [n, w, c] => Some([n as usize, 1, w as usize, c as usize]),
            [n, h, w, c] => Some([n as usize, h as usize, w as usize, c as usize]),
            _ => None,
        }
    }
}

/// The tensor table of a file.
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'m>(&'m [Tensor]);

impl<'m> Tensors<'m> {
    /// The table over its records; `None` where a number in one has no meaning.
    pub fn read(words: &'m [u32]) -> Option<Self> {
        bytemuck::checked::try_cast_slice(words).ok().map(Self)
    }

    /// The number of tensors.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// True without a single tensor.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The tensor with an index.
    pub fn get(self, index: u16) -> Option<&'m Tensor> {
        self.0.get(usize::from(index))
    }

    /// Every tensor.
    pub fn iter(self) -> impl Iterator<Item = &'m Tensor> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let tensor = Tensor {
            data_type: DataType::Int16,
            place: Place::Constant,
            rank: 3,
            offset: 48,
            length: 420_000,
            scale: 0.125,
            zero_point: -7,
            extents: [1, 70_000, 3, 0, 0, 0],
        };
        let records = [tensor; 2];
        let words: &[u32] = bytemuck::cast_slice(&records);
        assert_eq!(words.len(), 2 * Tensor::WORDS);
        let tensors = Tensors::read(words).unwrap();
        assert_eq!((tensors.len(), tensors.get(1), tensors.get(2)), (2, Some(&tensor), None));
        assert_eq!((tensor.elements(), tensor.bytes()), (210_000, Some(tensor.length)));
        assert!(Tensors::read(&words[1..]).is_none());
        for (byte, value) in [(0, 5), (1, 2)] {
            let mut records = words.to_vec();
            bytemuck::cast_slice_mut::<u32, u8>(&mut records)[byte] = value;
            assert!(Tensors::read(&records).is_none(), "byte {byte}");
        }
    }

    #[test]
    fn spans_overlap() {
        let span = |offset, length| Span { offset, length };
        assert!(span(0, 4).overlaps(span(3, 1)));
        assert!(!span(0, 4).overlaps(span(4, 1)));
        assert!(!span(2, 0).overlaps(span(0, 8)));
        assert!(span(u32::MAX, u32::MAX).end() > u32::MAX as usize || usize::BITS == 32);
    }
}
