//! The reference kernels: plain Rust, any core, the oracle of every faster one.

mod attention;
mod convolution;
mod elementwise;
mod float;
mod in_place;
mod layer_norm;
mod lstm;
mod matmul;
mod movement;
mod nonlinear;
mod normalize;
mod packed;
mod pooling;
mod recurrent;
mod recurrent_i16;
mod resize;
mod rows;
mod softmax;
mod transposed;
mod wide;

pub use attention::{Attention, Factor, attention};
pub use convolution::{conv_2d, depthwise_conv_2d, dot, fully_connected};
pub use elementwise::{
    AddParameters, Broadcast, MulParameters, add, dequantize, leaky_relu, mul, prelu, quantize, requantize,
    squared_difference, sub,
};
pub use float::{conv_2d_f32, depthwise_conv_2d_f32, fully_connected_f32, masked_softmax_f32, softmax_f32};
pub use in_place::{depthwise_in_place, pointwise_in_place};
pub use layer_norm::{LayerNorm, MAX_ROW, fraction_bits, layer_norm_i16, root_of_variance};
pub use lstm::{FloatGate, FloatLstm, Gate, Lstm, lstm, lstm_f32};
pub use matmul::{MatmulParameters, Matrices, batch_matmul, batch_matmul_i16};
pub use movement::{IndexMap, Shift, embedding, gather, rearrange, shift};
pub use nonlinear::{Argument, WideSoftmax, logistic_i16, lookup_i16, softmax_i16, tanh_i16};
pub use normalize::{
    LogSoftmaxParameters, l2_normalize, l2_normalize_f32, layer_norm_f32, log_softmax, log_softmax_f32, rms_norm_f32,
};
pub use packed::{conv_2d_packed, depthwise_conv_2d_packed};
pub use pooling::{
    Rows, average_pool_2d, average_pool_2d_f32, fold_rows, max_pool_2d, max_pool_2d_f32, mean, mean_f32, sum_f32,
};
pub use recurrent::{RecurrentWeights, Sequence, gru_f32, lstm_sequence_f32, rnn_f32};
pub use recurrent_i16::{
    CELL_FRACTION, FRACTION, RELU_FRACTION, RowProduct, RowWeights, WideSequence, gru_i16, lstm_i16, rnn_i16,
};
pub use resize::{Extents, Sampling, resize_bilinear, resize_bilinear_f32};
pub use rows::{dense_rows, row_product};
pub use softmax::{SoftmaxParameters, softmax};
pub use transposed::{transpose_conv_2d, transpose_conv_2d_f32, transpose_conv_2d_i16};
pub use wide::{conv_2d_i16, depthwise_conv_2d_i16, fully_connected_i16};
