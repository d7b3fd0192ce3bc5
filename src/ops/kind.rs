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
    /// Difference of two int8 tensors.
    SubInt8 = 29,
    /// Difference of two int16 tensors.
    SubInt16 = 30,
    /// Difference of two f32 tensors.
    SubFloat32 = 31,
    /// Quotient of two f32 tensors.
    DivFloat32 = 32,
    /// The larger of two int8 tensors.
    MaximumInt8 = 33,
    /// The larger of two f32 tensors.
    MaximumFloat32 = 34,
    /// The smaller of two int8 tensors.
    MinimumInt8 = 35,
    /// The smaller of two f32 tensors.
    MinimumFloat32 = 36,
    /// Squared difference of two int8 tensors.
    SquaredDifferenceInt8 = 37,
    /// Squared difference of two f32 tensors.
    SquaredDifferenceFloat32 = 38,
    /// Relu of int8 with learned slopes.
    PreluInt8 = 39,
    /// Relu of f32 with learned slopes.
    PreluFloat32 = 40,
    /// Sum of two int16 tensors.
    AddInt16 = 41,
    /// Product of two int16 tensors.
    MulInt16 = 42,
    /// Moves elements of any type by an affine map of their index.
    Rearrange = 43,
    /// Picks rows along an axis by a table, any type.
    Gather = 44,
    /// Bilinear resize of int8.
    ResizeBilinearInt8 = 45,
    /// Bilinear resize of int16.
    ResizeBilinearInt16 = 46,
    /// Bilinear resize of f32.
    ResizeBilinearFloat32 = 47,
    /// Transposed convolution of int8.
    TransposeConv2dInt8 = 48,
    /// Transposed convolution of int16 with int8 weights.
    TransposeConv2dInt16 = 49,
    /// Transposed convolution of f32.
    TransposeConv2dFloat32 = 50,
    /// Convolution of int16 with int8 weights.
    Conv2dInt16 = 51,
    /// Depthwise convolution of int16 with int8 weights.
    DepthwiseConv2dInt16 = 52,
    /// Dense layer of int16 with int8 weights.
    FullyConnectedInt16 = 53,
    /// Average pooling of int16.
    AveragePool2dInt16 = 54,
    /// Max pooling of int16.
    MaxPool2dInt16 = 55,
    /// Mean over neighbouring axes of int16.
    MeanInt16 = 56,
    /// Sum over neighbouring axes of f32.
    SumFloat32 = 57,
    /// Maximum over neighbouring axes of int8.
    ReduceMaxInt8 = 58,
    /// Maximum over neighbouring axes of f32.
    ReduceMaxFloat32 = 59,
    /// Minimum over neighbouring axes of int8.
    ReduceMinInt8 = 60,
    /// Minimum over neighbouring axes of f32.
    ReduceMinFloat32 = 61,
    /// Position of the maximum of int8.
    ArgMaxInt8 = 62,
    /// Position of the maximum of f32.
    ArgMaxFloat32 = 63,
    /// Products of int8 matrices.
    BatchMatmulInt8 = 64,
    /// Products of int16 matrices.
    BatchMatmulInt16 = 65,
    /// Products of f32 matrices.
    BatchMatmulFloat32 = 66,
    /// The logistic function of int16.
    LogisticInt16 = 67,
    /// The hyperbolic tangent of int16.
    TanhInt16 = 68,
    /// Leaky relu of int16.
    LeakyReluInt16 = 69,
    /// Softmax of int16.
    SoftmaxInt16 = 70,
    /// F32 to int16.
    QuantizeInt16 = 71,
    /// Int16 to f32.
    DequantizeInt16 = 72,
    /// Int16 to int16 of another scale, with a clamp.
    RequantizeInt16 = 73,
    /// Int8 to int16.
    Widen = 74,
    /// Int16 to int8.
    Narrow = 75,
    /// Int32 to int16.
    NarrowInt32 = 76,
    /// LSTM of int8 with an int16 cell.
    LstmInt8 = 77,
    /// LSTM of f32.
    LstmFloat32 = 78,
    /// Log softmax of f32.
    LogSoftmaxFloat32 = 79,
    /// Division by the Euclidean norm of f32.
    L2NormalizationFloat32 = 80,
    /// `exp` of f32.
    ExpFloat32 = 81,
    /// The natural logarithm of f32.
    LogFloat32 = 82,
    /// `|x|` of f32.
    AbsFloat32 = 83,
    /// `-x` of f32.
    NegFloat32 = 84,
    /// `x * x` of f32.
    SquareFloat32 = 85,
    /// The square root of f32.
    SqrtFloat32 = 86,
    /// `1 / sqrt(x)` of f32.
    RsqrtFloat32 = 87,
    /// The sine of f32.
    SinFloat32 = 88,
    /// The cosine of f32.
    CosFloat32 = 89,
    /// The next integer below of f32.
    FloorFloat32 = 90,
    /// The next integer above of f32.
    CeilFloat32 = 91,
    /// The nearest integer of f32.
    RoundFloat32 = 92,
    /// Elu of f32.
    EluFloat32 = 93,
    /// Hard swish of f32.
    HardSwishFloat32 = 94,
    /// Gelu of f32.
    GeluFloat32 = 95,
    /// The tanh form of gelu of f32.
    GeluTanhFloat32 = 96,
    /// Leaky relu of f32.
    LeakyReluFloat32 = 97,
    /// Log softmax of int8.
    LogSoftmaxInt8 = 98,
    /// Division by the Euclidean norm of int8.
    L2NormalizationInt8 = 99,
    /// The error function of f32.
    ErfFloat32 = 100,
    /// Layer normalisation of f32.
    LayerNormFloat32 = 101,
    /// RNN of f32; its state starts anew with each run.
    RnnFloat32 = 102,
    /// GRU of f32; its state starts anew with each run.
    GruFloat32 = 103,
    /// LSTM of f32; its state starts anew with each run.
    LstmSequenceFloat32 = 104,
    /// RNN of int16 with int8 weights.
    RnnInt16 = 105,
    /// GRU of int16 with int8 weights.
    GruInt16 = 106,
    /// LSTM of int16 with int8 weights and an int32 cell.
    LstmInt16 = 107,
    /// Layer normalisation of int16.
    LayerNormInt16 = 108,
    /// Any function of one int16 code, interpolated in a table.
    LookupInt16 = 109,
    /// Scaled dot-product attention of int8.
    AttentionInt8 = 110,
    /// Scaled dot-product attention of int16.
    AttentionInt16 = 111,
    /// Dense layer of int16 with int8 weights, rounded once.
    DenseRowsInt16 = 112,
    /// Root-mean-square normalisation of f32.
    RmsNormFloat32 = 113,
    /// Rows of a table of any type by int32 indices.
    Embedding = 114,
    /// Scaled dot-product attention of int8 to some of the keys.
    MaskedAttentionInt8 = 115,
    /// Scaled dot-product attention of int16 to some of the keys.
    MaskedAttentionInt16 = 116,
    /// Softmax of f32 over the start of each row.
    MaskedSoftmaxFloat32 = 117,
    /// Takes the newest columns of a stream into a history of any type.
    Shift = 119,
    /// Convolution of int8 with weights packed for a core.
    Conv2dPacked = 120,
    /// Depthwise convolution of int8 with weights packed for a core.
    DepthwiseConv2dPacked = 121,
    /// Dense layer of int8 with weights packed for a core.
    FullyConnectedPacked = 122,
    /// Mean over the first of neighbouring rows of int8.
    MaskedMeanInt8 = 123,
    /// Mean over the first of neighbouring rows of int16.
    MaskedMeanInt16 = 124,
    /// Mean over the first of neighbouring rows of f32.
    MaskedMeanFloat32 = 125,
    /// Convolution of int8 with weights packed for a core, whose sums are as large as they may be.
    Conv2dPlainPacked = 126,
    /// Depthwise convolution of int8 with weights packed for a core, down the columns of an image.
    DepthwiseColumnsPacked = 127,
    /// Dense layer of int8 with weights packed for a core, on the inputs as they are.
    FullyConnectedDirectPacked = 128,
    /// Convolution of single pixels of int8 with weights packed for a core, in place.
    PointwiseInPlacePacked = 129,
    /// Depthwise convolution of int8 with weights packed for a core, in place.
    DepthwiseInPlacePacked = 130,
    /// Convolution of int8 to fewer than four pixels with weights packed for a core.
    Conv2dPixelsPacked = 131,
}
