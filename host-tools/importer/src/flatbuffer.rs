//! Reads flatbuffers with every offset checked: tables, vectors, strings and scalars, by field number.
//!
//! The wire format is that of the FlatBuffers documentation ("FlatBuffer Internals"): little-endian; a table starts
//! with a signed offset back to its vtable, which holds the position of each field within the table; vectors, strings
//! and tables are reached through unsigned offsets. All of them point forward, so no reader can run in circles.

use anyhow::{Context, Result, ensure};

/// A number of fixed size.
pub(crate) trait Scalar: Copy {
    /// Its size in bytes.
    const BYTES: usize;
    /// The value of exactly [`Scalar::BYTES`] bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($number:ty),*) => {$(
        impl Scalar for $number {
            const BYTES: usize = size_of::<$number>();

            fn read(bytes: &[u8]) -> Option<Self> {
                Some(<$number>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

scalars!(u8, i8, u16, i32, u32, i64, u64, f32);

/// Reads a scalar at a position of the file.
fn scalar<T: Scalar>(bytes: &[u8], position: usize) -> Result<T> {
    let end = position.checked_add(T::BYTES);
    end.and_then(|end| bytes.get(position..end)).and_then(T::read).with_context(|| {
        format!(
            "{} bytes at position {position} lie outside the file of {} bytes: it is damaged or cut short",
            T::BYTES,
            bytes.len()
        )
    })
}

/// Follows the unsigned offset at a position.
fn follow(bytes: &[u8], position: usize) -> Result<usize> {
    let offset: u32 = scalar(bytes, position)?;
    position.checked_add(offset as usize).context("an offset overflows: the file is damaged")
}

/// A table: optional fields by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'b> {
    bytes: &'b [u8],
    position: usize,
    /// The positions of the fields within the table, two bytes each.
    vtable: &'b [u8],
    /// The size of the table's own part.
    size: usize,
}

impl<'b> Table<'b> {
    /// The root table of a file, which carries `identifier` in bytes 4 to 7.
    pub(crate) fn root(bytes: &'b [u8], identifier: &[u8; 4]) -> Result<Self> {
        let found = bytes.get(4..8).with_context(|| format!("a file of {} bytes holds no model", bytes.len()))?;
        ensure!(
            found == identifier,
            "bytes 4 to 7 are not \"{}\": this is another kind of file",
            String::from_utf8_lossy(identifier)
        );
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'b [u8], position: usize) -> Result<Self> {
        let back: i32 = scalar(bytes, position)?;
        let start = i64::try_from(position).ok().and_then(|position| position.checked_sub(i64::from(back)));
        let start = start.and_then(|start| usize::try_from(start).ok()).context("a vtable lies before the file")?;
        let [length, size] = [scalar::<u16>(bytes, start)?, scalar::<u16>(bytes, start + 2)?].map(usize::from);
        let vtable = bytes.get(start + 4..start + length.max(4)).context("a vtable reaches behind the file")?;
        ensure!(
            size >= 4 && position.checked_add(size).is_some_and(|end| end <= bytes.len()),
            "the table at position {position} reaches behind the file"
        );
        Ok(Self { bytes, position, vtable, size })
    }

    /// Where a field lies, if the table has it.
    fn field(&self, number: usize, size: usize) -> Result<Option<usize>> {
        let entry = self.vtable.chunks_exact(2).nth(number).and_then(u16::read).map_or(0, usize::from);
        if entry == 0 {
            return Ok(None);
        }
        ensure!(
            entry >= 4 && entry + size <= self.size,
            "field {number} of the table at position {} lies outside it: the file is damaged",
            self.position
        );
        Ok(Some(self.position + entry))
    }

    /// A scalar field, or its default.
    pub(crate) fn scalar<T: Scalar>(&self, number: usize, default: T) -> Result<T> {
        match self.field(number, T::BYTES)? {
            Some(position) => scalar(self.bytes, position),
            None => Ok(default),
        }
    }

    /// A boolean field; absent is false.
    pub(crate) fn flag(&self, number: usize) -> Result<bool> {
        Ok(self.scalar::<u8>(number, 0)? != 0)
    }

    /// A table field.
    pub(crate) fn table(&self, number: usize) -> Result<Option<Table<'b>>> {
        let position = self.field(number, 4)?;
        position.map(|position| Self::at(self.bytes, follow(self.bytes, position)?)).transpose()
    }

    /// A vector of scalars; absent is empty.
    pub(crate) fn vector<T: Scalar>(&self, number: usize) -> Result<Vector<'b, T>> {
        Ok(Vector { elements: self.elements(number, T::BYTES)?.1, scalar: std::marker::PhantomData })
    }

    /// A string field, with what is not UTF-8 replaced; absent is empty.
    pub(crate) fn string(&self, number: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(self.elements(number, 1)?.1).into_owned())
    }

    /// A field of raw bytes; absent is empty.
    pub(crate) fn blob(&self, number: usize) -> Result<&'b [u8]> {
        Ok(self.elements(number, 1)?.1)
    }

    /// The tables of a vector of tables; absent is empty. The caller bounds how many it reads.
    pub(crate) fn tables(&self, number: usize) -> Result<impl ExactSizeIterator<Item = Result<Table<'b>>> + use<'b>> {
        let (first, offsets) = self.elements(number, 4)?;
        let bytes = self.bytes;
        Ok((0..offsets.len() / 4).map(move |index| Self::at(bytes, follow(bytes, first + 4 * index)?)))
    }

    /// Position and bytes of the elements of a vector.
    fn elements(&self, number: usize, size: usize) -> Result<(usize, &'b [u8])> {
        let Some(position) = self.field(number, 4)? else { return Ok((0, &[])) };
        let start = follow(self.bytes, position)?;
        let length: u32 = scalar(self.bytes, start)?;
        let first = start + 4;
        let end = (length as usize).checked_mul(size).and_then(|bytes| bytes.checked_add(first));
        let elements = end.and_then(|end| self.bytes.get(first..end));
        let elements = elements.with_context(|| {
            format!(
                "a vector of {length} elements at position {start} reaches behind the file of {} bytes",
                self.bytes.len()
            )
        })?;
        Ok((first, elements))
    }
}

/// A vector of scalars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector<'b, T> {
    elements: &'b [u8],
    scalar: std::marker::PhantomData<T>,
}

impl<'b, T: Scalar> Vector<'b, T> {
    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.elements.len() / T::BYTES
    }

    /// The elements in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + use<'b, T> {
        self.elements.chunks_exact(T::BYTES).filter_map(T::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a root table of two fields: a u32 of 7, and a vector of the u8 values 1, 2 and 3.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![20, 0, 0, 0];
        bytes.extend(b"TEST");
        bytes.extend([8, 0, 12, 0, 4, 0, 8, 0, 0, 0, 0, 0]);
        bytes.extend([12, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0]);
        bytes.extend([3, 0, 0, 0, 1, 2, 3]);
        bytes
    }

    #[test]
    fn reads_fields_and_defaults() {
        let bytes = sample();
        let table = Table::root(&bytes, b"TEST").unwrap();
        assert_eq!(table.scalar::<u32>(0, 0).unwrap(), 7);
        assert_eq!(table.vector::<u8>(1).unwrap().iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(table.scalar::<i32>(2, -1).unwrap(), -1);
        assert!(table.table(5).unwrap().is_none());
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_an_error_or_a_value() {
        let bytes = sample();
        let read = |bytes: &[u8]| -> Result<usize> {
            let table = Table::root(bytes, b"TEST")?;
            let tables = table.tables(1)?.filter(Result::is_ok).count();
            Ok(table.scalar::<u32>(0, 0)? as usize + table.vector::<u8>(1)?.len() + table.string(1)?.len() + tables)
        };
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        for position in 0..bytes.len() {
            for value in [0, 1, 2, 127, 128, 255] {
                let mut changed = bytes.clone();
                changed[position] = value;
                let _ = read(&changed);
            }
        }
    }
}
