//! What operators are told beside their operands: windows, activations, functions, cells.

/// Zeros around the two spatial axes, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns after.
    pub right: usize,
}

impl Padding {
    /// The padding that makes `output = ceil(input / stride)`, the odd element after (TensorFlow's SAME).
    pub fn same(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let total = |axis: usize| {
            let output = input[axis].div_ceil(stride[axis]);
            (output.saturating_sub(1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1)
                .saturating_sub(input[axis])
        };
        let (rows, columns) = (total(0), total(1));
        Self { top: rows / 2, bottom: rows - rows / 2, left: columns / 2, right: columns - columns / 2 }
    }

    /// The same number of zeros on both sides of an axis (PyTorch's `padding=(rows, columns)`).
    pub fn symmetric(rows: usize, columns: usize) -> Self {
        Self { top: rows, bottom: rows, left: columns, right: columns }
    }
}

/// The function applied to a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// The range that the activation clamps reals to.
    pub fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        }
    }
}

/// Attributes of a 2-D window: convolutions and pools; `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Extent of the kernel.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Step between two taps.
    pub dilation: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
}

impl Window {
    /// A window with stride 1, dilation 1 and no padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default() }
    }

    /// The output extent for an input extent, or `None` where the kernel does not fit.
    pub fn output(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let axis = |i: usize, before: usize, after: usize| {
            let reach = self.kernel[i].checked_sub(1)?.checked_mul(self.dilation[i])?.checked_add(1)?;
            let padded = input[i].checked_add(before)?.checked_add(after)?;
            Some(padded.checked_sub(reach)?.checked_div(self.stride[i])? + 1)
        };
        let p = self.padding;
        Some([axis(0, p.top, p.bottom)?, axis(1, p.left, p.right)?])
    }
}

/// A function of each element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `exp(x)`.
    Exp,
    /// The natural logarithm.
    Log,
    /// `|x|`.
    Abs,
    /// `-x`.
    Neg,
    /// `x * x`.
    Square,
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The next integer below.
    Floor,
    /// The next integer above.
    Ceil,
    /// The nearest integer, halves to even.
    Round,
    /// `x` where it is positive, `exp(x) - 1` elsewhere.
    Elu,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish,
    /// The error function.
    Erf,
    /// `x` times the normal distribution function.
    Gelu,
    /// The tanh form of the same.
    GeluTanh,
    /// `x` where it is positive, `slope * x` elsewhere.
    LeakyRelu {
        /// The slope.
        slope: f32,
    },
}

impl Function {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Abs => "abs",
            Function::Neg => "neg",
            Function::Square => "square",
            Function::Sqrt => "sqrt",
            Function::Rsqrt => "rsqrt",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Floor => "floor",
            Function::Ceil => "ceil",
            Function::Round => "round",
            Function::Elu => "elu",
            Function::HardSwish => "hard_swish",
            Function::Erf => "erf",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu_tanh",
            Function::LeakyRelu { .. } => "leaky_relu",
        }
    }
}

/// What a reduction makes of many elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl Reduction {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Max => "reduce_max",
            Reduction::Min => "reduce_min",
        }
    }
}

/// A recurrent layer's cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h' = f(W x + b + R h + c)`.
    Rnn {
        /// The relu; tanh where it is none.
        activation: Activation,
    },
    /// Gates in the order reset, update, new.
    Gru {
        /// Whether the reset gate acts on the product with the state (PyTorch) and not on the state.
        reset_after: bool,
    },
    /// Gates in the order input, forget, cell, output.
    Lstm,
}

impl Cell {
    /// The number of gates.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn { .. } => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm => 4,
        }
    }

    /// The number of states.
    pub fn states(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }
}
