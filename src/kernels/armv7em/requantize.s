@ Requantization of one sum: macros that every kernel ends with.
@
@ The reference rounds twice: to the nearest in the doubling high product, halves up, then to the nearest in the right
@ shift, halves away from zero. Packed layers keep |sum| < 2^30, so 2 * sum does not wrap, and
@     smmulr(2 * sum, mantissa) = floor((2 * sum * mantissa + 2^31) / 2^32) = floor((sum * mantissa + 2^30) / 2^31)
@ is the first rounding exactly. asrs by s >= 1 leaves bit s - 1 in the carry: adding the carry rounds halves up.
@ That differs from the reference for negative halves only; subtracting 1 from negative numbers before the shift moves
@ just those to the other side (floor((x - 1 + 2^(s-1)) / 2^s) differs from floor((x + 2^(s-1)) / 2^s) only where
@ x + 2^(s-1) is a multiple of 2^s, which is the half).

@ Sums that come 256 times as large (dense.s) are doubled by a shift of 7 to the right, which loses nothing.

@ For a range of [-128, 127] and a zero point of -128, a fused relu: a negative half becomes 0 or -1, and both are
@ clamped to -128, so nothing has to be subtracted. x - 127 - (1 - carry) is x + carry - 128.
.macro REQUANTIZE_RELU sum, mantissa, shift, double=lsl, by=1
 \double \sum, \sum, #\by
 smmulr \sum, \sum, \mantissa
 asrs \sum, \sum, \shift
 sbc \sum, \sum, #127
 ssat \sum, #8, \sum
.endm

@ For a range of [-128, 127] and any zero point.
.macro REQUANTIZE sum, mantissa, shift, zero_point, double=lsl, by=1
 \double \sum, \sum, #\by
 smmulr \sum, \sum, \mantissa
 add \sum, \sum, \sum, asr #31
 asrs \sum, \sum, \shift
 adc \sum, \sum, \zero_point
 ssat \sum, #8, \sum
.endm

@ For any multiplier: splits the right shift into a left one (with the doubling), a right one, and a mask that is 0 for
@ no right shift.
.macro SPLIT_SHIFT shift, left, mask
 rsbs \left, \shift, #0
 it mi
 movmi \left, #0
 add \left, \left, #1
 cmp \shift, #0
 ite gt
 mvngt \mask, #0
 movle \mask, #0
 it le
 movle \shift, #0
.endm

@ Without a right shift the mask keeps 1 from being subtracted, and adds of 0 leaves the carry clear.
.macro REQUANTIZE_ANY sum, mantissa, left, right, mask, zero_point, spare
 lsl \sum, \sum, \left
 smmulr \sum, \sum, \mantissa
 and \spare, \mask, \sum, asr #31
 adds \sum, \sum, \spare
 asrs \sum, \sum, \right
 adc \sum, \sum, \zero_point
 ssat \sum, #8, \sum
.endm

@ Brings four codes into [low, high], both given four times in a word.
.macro CLAMP codes, low, high, spare
 ssub8 \spare, \codes, \low
 sel \codes, \codes, \low
 ssub8 \spare, \high, \codes
 sel \codes, \codes, \high
.endm

.macro BEGIN name
 .section .text.nervelet_\name, "ax", %progbits
 .balign 4
 .global nervelet_\name
 .type nervelet_\name, %function
 .thumb_func
nervelet_\name:
.endm

.macro END name
 .size nervelet_\name, . - nervelet_\name
.endm
