//! The reference kernels: plain Rust, any core, the oracle of every faster one.

mod convolution;
mod elementwise;
mod float;
mod pooling;
mod softmax;

pub use convolution::{conv_2d, depthwise_conv_2d, dot, fully_connected};
pub use elementwise::{AddParameters, Broadcast, MulParameters, add, dequantize, mul, quantize, requantize};
pub use float::{conv_2d_f32, depthwise_conv_2d_f32, fully_connected_f32, softmax_f32};
pub use pooling::{average_pool_2d, average_pool_2d_f32, max_pool_2d, max_pool_2d_f32, mean, mean_f32};
pub use softmax::{SoftmaxParameters, softmax};
