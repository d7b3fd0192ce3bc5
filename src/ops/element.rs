//! The Rust types of tensor elements.

use bytemuck::{AnyBitPattern, NoUninit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DataType;
use crate::kernels::Code;

/// A type that tensors hold.
pub trait Element: AnyBitPattern + NoUninit {
    /// Its name in the model file.
    const DATA_TYPE: DataType;
}

impl Element for i8 {
    const DATA_TYPE: DataType = DataType::Int8;
}

impl Element for i16 {
    const DATA_TYPE: DataType = DataType::Int16;
}

impl Element for i32 {
    const DATA_TYPE: DataType = DataType::Int32;
}

impl Element for i64 {
    const DATA_TYPE: DataType = DataType::Int64;
}

impl Element for f32 {
    const DATA_TYPE: DataType = DataType::Float32;
}

/// A quantized element, which parameters may hold too.
pub trait QuantizedElement: Element + Code + Serialize + DeserializeOwned {}

impl QuantizedElement for i8 {}
impl QuantizedElement for i16 {}
