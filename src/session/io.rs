//! Inputs and outputs of a session: as codes, or as real values.

use super::{Error, Session};
use crate::frontend::normalize;
use crate::kernels::reference::{dequantize, quantize};
use crate::model::schema::Port;
use crate::ops::{DataType, Element, Tensor};

/// The class with the highest score.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prediction<'m> {
    /// Its index.
    pub class: usize,
    /// Its name, empty where the model has none.
    pub name: &'m str,
    /// Its real value: a probability behind a softmax.
    pub score: f32,
}

impl<'m> Session<'m, '_> {
    /// The elements of an input, to fill before a run; fails for another type than the tensor's.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let tensor = self.port(self.model.inputs(), index)?;
        expect::<T>(&tensor)?;
        bytemuck::try_cast_slice_mut(self.input_bytes_mut(index)?).map_err(|_| Error::NotVerified)
    }

    /// The bytes of an input of any type, to fill before a run: little-endian elements, row-major.
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8], Error> {
        let tensor = self.port(self.model.inputs(), index)?;
        let span = tensor.span();
        self.arena.get_mut(span.offset as usize..span.end()).ok_or(Error::NotVerified)
    }

    /// The bytes of an output of any type after a run.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8], Error> {
        let tensor = self.port(self.model.outputs(), index)?;
        tensor.span().of(self.arena).ok_or(Error::NotVerified)
    }

    /// Fills an input from raw readings: brings them to the trained range and quantizes them.
    ///
    /// One value for each element of the tensor, row-major. Fails, with the input unspecified, where a value is not
    /// finite.
    pub fn set_input(&mut self, index: usize, values: &[f32]) -> Result<(), Error> {
        let port = self.model.inputs().get(index).ok_or(Error::NoSuchPort { index })?;
        let tensor = self.port(self.model.inputs(), index)?;
        let (need, have) = (tensor.elements(), values.len());
        if need != have {
            return Err(Error::Length { need, have });
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { position });
        }
        let (mean, scale) = self.model.normalization(port).unwrap_or((&[], &[]));
        let normalized = normalize(values, mean, scale);
        match tensor.data_type {
            DataType::Int8 => {
                for (code, value) in self.input_mut::<i8>(index)?.iter_mut().zip(normalized) {
                    *code = quantize(value, tensor.scale, tensor.zero_point);
                }
            }
            DataType::Int16 => {
                for (code, value) in self.input_mut::<i16>(index)?.iter_mut().zip(normalized) {
                    *code = quantize(value, tensor.scale, tensor.zero_point);
                }
            }
            DataType::Int32 => {
                // Integers such as indices have no scale and stand for themselves.
                let step = if tensor.scale > 0.0 { tensor.scale } else { 1.0 };
                for (code, value) in self.input_mut::<i32>(index)?.iter_mut().zip(normalized) {
                    // `as` saturates.
                    *code = libm::roundf(value / step) as i32;
                }
            }
            DataType::Float32 => {
                for (target, value) in self.input_mut::<f32>(index)?.iter_mut().zip(normalized) {
                    *target = value;
                }
            }
            found => return Err(Error::DataType { found }),
        }
        Ok(())
    }

    /// The elements of an output after a run; fails for another type than the tensor's.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let tensor = self.port(self.model.outputs(), index)?;
        self.read(&tensor)
    }

    /// The real values of an output after a run.
    pub fn output_values(&self, index: usize) -> Result<impl Iterator<Item = f32> + '_, Error> {
        let tensor = self.port(self.model.outputs(), index)?;
        let (mut codes, mut wide, mut sums, mut values): (&[i8], &[i16], &[i32], &[f32]) = (&[], &[], &[], &[]);
        match tensor.data_type {
            DataType::Int8 => codes = self.read(&tensor)?,
            DataType::Int16 => wide = self.read(&tensor)?,
            DataType::Int32 if tensor.scale > 0.0 => sums = self.read(&tensor)?,
            _ => values = self.read(&tensor)?,
        }
        let codes = codes.iter().map(move |code| dequantize(*code, tensor.scale, tensor.zero_point));
        let wide = wide.iter().map(move |code| dequantize(*code, tensor.scale, tensor.zero_point));
        let sums = sums.iter().map(move |code| tensor.scale * *code as f32);
        Ok(codes.chain(wide).chain(sums).chain(values.iter().copied()))
    }

    /// The class with the highest score in the first output; the first of equals.
    pub fn prediction(&self) -> Option<Prediction<'m>> {
        let values = self.output_values(0).ok()?.enumerate();
        let (class, score) = values.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        Some(Prediction { class, name: self.model.classes().nth(class).unwrap_or(""), score })
    }

    /// The elements of a tensor in the arena.
    pub(super) fn read<T: Element>(&self, tensor: &Tensor) -> Result<&[T], Error> {
        expect::<T>(tensor)?;
        let bytes = tensor.span().of(self.arena).ok_or(Error::NotVerified)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| Error::NotVerified)
    }

    fn port(&self, ports: &[Port], index: usize) -> Result<Tensor, Error> {
        let port = ports.get(index).ok_or(Error::NoSuchPort { index })?;
        self.model.tensor(port.tensor).ok_or(Error::NotVerified)
    }
}

fn expect<T: Element>(tensor: &Tensor) -> Result<(), Error> {
    if tensor.data_type == T::DATA_TYPE { Ok(()) } else { Err(Error::DataType { found: tensor.data_type }) }
}
