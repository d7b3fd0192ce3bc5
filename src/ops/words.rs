//! How a step's parameters lie in the file: every number in a little-endian 32-bit word of its own, in the order of
//! the fields; 64-bit numbers in two, the low one first. An option is a word, 0 or 1, with the value behind it if it is
//! there; a unit takes none. There is no other structure, so that reading a parameter is loading a word.
//!
//! A serde format, for numbers, arrays, tuples, structs and options of them.

use core::fmt::{self, Display};

use serde::de::{self, Deserialize, DeserializeSeed, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Serialize};

/// The words are too many or too few, or a value is of a kind that the format does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mismatch;

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters are no words of their type")
    }
}

impl core::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl ser::Error for Mismatch {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// Reads a value that takes all of the words.
#[inline]
pub fn decode<'de, T: Deserialize<'de>>(words: &'de [u32]) -> Result<T, Mismatch> {
    let mut reader = Reader(words);
    let value = T::deserialize(&mut reader)?;
    if reader.0.is_empty() { Ok(value) } else { Err(Mismatch) }
}

/// Gives the words of a value to `put`, one by one.
pub fn encode(value: &(impl Serialize + ?Sized), put: &mut impl FnMut(u32)) -> Result<(), Mismatch> {
    value.serialize(&mut Writer(put))
}

/// The words that are still to be read.
struct Reader<'de>(&'de [u32]);

impl Reader<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u32, Mismatch> {
        let (word, rest) = self.0.split_first().ok_or(Mismatch)?;
        self.0 = rest;
        Ok(*word)
    }

    #[inline(always)]
    fn two_words(&mut self) -> Result<u64, Mismatch> {
        Ok(u64::from(self.word()?) | u64::from(self.word()?) << 32)
    }
}

macro_rules! read {
    ($($method:ident => $visit:ident($reader:ident: $value:expr);)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            let $reader = self;
            visitor.$visit($value)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Mismatch;

    read! {
        deserialize_bool => visit_bool(reader: reader.word()? != 0);
        deserialize_i8 => visit_i8(reader: reader.word()? as i8);
        deserialize_i16 => visit_i16(reader: reader.word()? as i16);
        deserialize_i32 => visit_i32(reader: reader.word()? as i32);
        deserialize_i64 => visit_i64(reader: reader.two_words()? as i64);
        deserialize_u8 => visit_u8(reader: reader.word()? as u8);
        deserialize_u16 => visit_u16(reader: reader.word()? as u16);
        deserialize_u32 => visit_u32(reader: reader.word()?);
        deserialize_u64 => visit_u64(reader: reader.two_words()?);
        deserialize_f32 => visit_f32(reader: f32::from_bits(reader.word()?));
        deserialize_f64 => visit_f64(reader: f64::from_bits(reader.two_words()?));
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.word()? == 0 { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(Elements(self))
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(Elements(self))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit_struct seq tuple_struct map enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of an array or the fields of a struct: their type knows how many there are.
struct Elements<'r, 'de>(&'r mut Reader<'de>);

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Mismatch;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        seed.deserialize(&mut *self.0).map(Some)
    }
}

/// Where words go.
struct Writer<'p, P>(&'p mut P);

macro_rules! write {
    ($($method:ident($type:ty) $value:ident => [$($word:expr),*];)*) => {$(
        fn $method(self, $value: $type) -> Result<(), Mismatch> {
            $((self.0)($word as u32);)*
            Ok(())
        }
    )*};
}

impl<P: FnMut(u32)> ser::Serializer for &mut Writer<'_, P> {
    type Ok = ();
    type Error = Mismatch;
    type SerializeSeq = ser::Impossible<(), Mismatch>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = ser::Impossible<(), Mismatch>;
    type SerializeTupleVariant = ser::Impossible<(), Mismatch>;
    type SerializeMap = ser::Impossible<(), Mismatch>;
    type SerializeStruct = Self;
    type SerializeStructVariant = ser::Impossible<(), Mismatch>;

    write! {
        serialize_bool(bool) value => [value];
        serialize_i8(i8) value => [value];
        serialize_i16(i16) value => [value];
        serialize_i32(i32) value => [value];
        serialize_i64(i64) value => [value, value >> 32];
        serialize_u8(u8) value => [value];
        serialize_u16(u16) value => [value];
        serialize_u32(u32) value => [value];
        serialize_u64(u64) value => [value, value >> 32];
        serialize_f32(f32) value => [value.to_bits()];
        serialize_f64(f64) value => [value.to_bits(), value.to_bits() >> 32];
    }

    fn serialize_none(self) -> Result<(), Mismatch> {
        self.serialize_bool(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Mismatch> {
        (self.0)(1);
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Mismatch> {
        value.serialize(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Mismatch> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Mismatch> {
        Ok(self)
    }

    fn serialize_char(self, _: char) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_str(self, _: &str) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_unit(self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Mismatch> {
        Err(Mismatch)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Mismatch> {
        Err(Mismatch)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Mismatch> {
        Err(Mismatch)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Mismatch> {
        Err(Mismatch)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Mismatch> {
        Err(Mismatch)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Mismatch> {
        Err(Mismatch)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<P: FnMut(u32)> ser::SerializeTuple for &mut Writer<'_, P> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Mismatch> {
        Ok(())
    }
}

impl<P: FnMut(u32)> ser::SerializeStruct for &mut Writer<'_, P> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Mismatch> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Mismatch> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Span;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Everything {
        flags: [bool; 2],
        small: (i8, u8, i16, u16),
        span: Span,
        wide: (i64, u64),
        real: f32,
        absent: Option<i32>,
        present: Option<[i8; 2]>,
    }

    #[test]
    fn values_round_trip() {
        let value = Everything {
            flags: [true, false],
            small: (-1, 255, i16::MIN, 65_535),
            span: Span { offset: 1, length: u32::MAX },
            wide: (-3, 1 << 40),
            real: -0.5,
            absent: None,
            present: Some([-128, 127]),
        };
        let mut words = std::vec::Vec::new();
        encode(&value, &mut |word| words.push(word)).unwrap();
        assert_eq!(words.len(), 2 + 4 + 2 + 4 + 1 + 1 + 3);
        assert_eq!((words[2], words[8], words[9]), (u32::MAX, -3_i32 as u32, u32::MAX));
        assert_eq!(decode(&words), Ok(value));
        for length in 0..words.len() {
            assert_eq!(decode::<Everything>(&words[..length]), Err(Mismatch));
        }
        words.push(0);
        assert_eq!(decode::<Everything>(&words), Err(Mismatch));
    }

    #[test]
    fn only_numbers_have_words() {
        assert_eq!(encode(&"text", &mut |_| ()), Err(Mismatch));
        assert_eq!(encode(&[1_u8][..], &mut |_| ()), Err(Mismatch));
        assert_eq!(decode::<&str>(&[0; 4]), Err(Mismatch));
    }
}
