//! The numbers that name operators in a model file.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// An operator and the element type it works on; the numbers are part of the file format and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u16)]
        pub enum OpKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl OpKind {
            /// The kind with a number, if this library knows it.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Convolution of int8.
    Conv2dInt8 = 1,
    /// Convolution of f32.
    Conv2dFloat32 = 2,
    /// Depthwise convolution of int8.
    DepthwiseConv2dInt8 = 3,
    /// Depthwise convolution of f32.
    DepthwiseConv2dFloat32 = 4,
    /// Dense layer of int8.
    FullyConnectedInt8 = 5,
    /// Dense layer of f32.
    FullyConnectedFloat32 = 6,
    /// Average pooling of int8.
    AveragePool2dInt8 = 7,
    /// Average pooling of f32.
    AveragePool2dFloat32 = 8,
    /// Max pooling of int8.
    MaxPool2dInt8 = 9,
    /// Max pooling of f32.
    MaxPool2dFloat32 = 10,
    /// Mean over neighbouring axes of int8.
    MeanInt8 = 11,
    /// Mean over neighbouring axes of f32.
    MeanFloat32 = 12,
    /// Sum of two int8 tensors.
    AddInt8 = 13,
    /// Sum of two f32 tensors.
    AddFloat32 = 14,
    /// Product of two int8 tensors.
    MulInt8 = 15,
    /// Product of two f32 tensors.
    MulFloat32 = 16,
    /// Joins tensors of any type along an axis.
    Concatenation = 17,
    /// Surrounds a tensor of any type with a constant.
    Pad = 18,
    /// Copies the elements of any type: a reshape that can't be an alias.
    Copy = 19,
    /// Softmax of int8.
    SoftmaxInt8 = 20,
    /// Softmax of f32.
    SoftmaxFloat32 = 21,
    /// Any function of one int8 code, as a table of 256.
    LookupInt8 = 22,
    /// The logistic function of f32.
    LogisticFloat32 = 23,
    /// The hyperbolic tangent of f32.
    TanhFloat32 = 24,
    /// The relu family of f32.
    ClampFloat32 = 25,
    /// F32 to int8.
    Quantize = 26,
    /// Int8 to f32.
    Dequantize = 27,
    /// Int8 to int8 of another scale, with a clamp: the relu family of int8.
    Requantize = 28,
}
