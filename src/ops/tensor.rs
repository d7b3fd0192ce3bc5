//! Tensors as the model file describes them: fixed-size records that are read by index, in place.

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(DataType::Int8),
            1 => Some(DataType::Int16),
            2 => Some(DataType::Int32),
            3 => Some(DataType::Int64),
            4 => Some(DataType::Float32),
            _ => None,
        }
    }
}

/// A range of bytes, in the arena or among the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// In the file it takes [`Tensor::BYTES`] bytes, all numbers little-endian: data type, rank, place, a zero; offset
/// (u32); scale (f32); zero point (i32); six extents (u32), of which the first `rank` count.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// The type of the elements.
    pub data_type: DataType,
    /// How many of `extents` count.
    pub rank: u8,
    /// The extents of the axes, row-major.
    pub extents: [u32; MAX_RANK],
    /// Where it lies.
    pub place: Place,
    /// The first byte within the place.
    pub offset: u32,
    /// The real value of one step of the code; 0 where the tensor is not quantized.
    pub scale: f32,
    /// The code of the real 0.
    pub zero_point: i32,
}

impl Tensor {
    /// The size of a tensor's record in the file.
    pub const BYTES: usize = 40;

    /// The extents of the axes.
    pub fn shape(&self) -> &[u32] {
        self.extents.get(..usize::from(self.rank)).unwrap_or(&self.extents)
    }

    /// The number of elements; saturates.
    pub fn elements(&self) -> usize {
        self.shape().iter().fold(1_usize, |product, extent| product.saturating_mul(*extent as usize))
    }

    /// The bytes of the tensor.
    pub fn span(&self) -> Span {
        let length = self.elements().saturating_mul(self.data_type.bytes());
        Span { offset: self.offset, length: u32::try_from(length).unwrap_or(u32::MAX) }
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

    /// The record of the file.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.offset, self.scale.to_bits(), self.zero_point as u32].into_iter().chain(self.extents);
        let head = [self.data_type as u8, self.rank, self.place as u8, 0];
        for (target, source) in bytes.iter_mut().zip(head.into_iter().chain(words.flat_map(u32::to_le_bytes))) {
            *target = source;
        }
        bytes
    }

    /// Reads a record; `None` where a number in it has no meaning.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let [[data_type, rank, place, 0], offset, scale, zero_point, extents @ ..] = words else { return None };
        let extents: [[u8; 4]; MAX_RANK] = extents.try_into().ok()?;
        Some(Tensor {
            data_type: DataType::from_number(*data_type)?,
            rank: (usize::from(*rank) <= MAX_RANK).then_some(*rank)?,
            extents: extents.map(u32::from_le_bytes),
            place: match place {
                0 => Place::Arena,
                1 => Place::Constant,
                _ => return None,
            },
            offset: u32::from_le_bytes(*offset),
            scale: f32::from_le_bytes(*scale),
            zero_point: i32::from_le_bytes(*zero_point),
        })
    }
}

/// The tensor table of a file.
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'m>(pub(crate) &'m [u8]);

impl<'m> Tensors<'m> {
    /// The number of tensors.
    pub fn len(self) -> usize {
        self.0.len() / Tensor::BYTES
    }

    /// True without a single tensor.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The tensor with an index.
    pub fn get(self, index: u16) -> Option<Tensor> {
        let (records, _) = self.0.as_chunks::<{ Tensor::BYTES }>();
        Tensor::from_bytes(records.get(usize::from(index))?)
    }

    /// Every tensor, `None` for those that don't decode.
    pub fn iter(self) -> impl Iterator<Item = Option<Tensor>> + 'm {
        let (records, _) = self.0.as_chunks::<{ Tensor::BYTES }>();
        records.iter().map(Tensor::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let tensor = Tensor {
            data_type: DataType::Int16,
            rank: 3,
            extents: [1, 70_000, 3, 0, 0, 0],
            place: Place::Constant,
            offset: 48,
            scale: 0.125,
            zero_point: -7,
        };
        assert_eq!(Tensor::from_bytes(&tensor.to_bytes()), Some(tensor));
        for (byte, value) in [(0, 5), (1, 7), (2, 2), (3, 1)] {
            let mut bytes = tensor.to_bytes();
            bytes[byte] = value;
            assert_eq!(Tensor::from_bytes(&bytes), None, "byte {byte}");
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
