//! Quantized elements: int8 and int16 codes under one arithmetic.

/// A quantized element.
pub trait Code: Copy + Ord {
    /// The smallest and the largest code.
    const RANGE: [i32; 2];
    /// Fractional bits that sums of two tensors are formed with.
    const SUM_BITS: u32;

    /// The code as a number.
    fn widen(self) -> i32;

    /// The code nearest to a number.
    fn saturate(value: i32) -> Self;
}

impl Code for i8 {
    const RANGE: [i32; 2] = [-128, 127];
    const SUM_BITS: u32 = 20;

    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn saturate(value: i32) -> Self {
        value.clamp(-128, 127) as i8
    }
}

impl Code for i16 {
    const RANGE: [i32; 2] = [-32_768, 32_767];
    const SUM_BITS: u32 = 15;

    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn saturate(value: i32) -> Self {
        value.clamp(-32_768, 32_767) as i16
    }
}
