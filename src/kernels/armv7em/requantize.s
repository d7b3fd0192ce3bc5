@ From one sum to a code: macros that every kernel ends with. `scaling.rs` says why this is the reference's arithmetic.
@
@ Shifted sums come 256 times as large: the high word of their product with the mantissa has the seven bits that the
@ reference's first rounding looks at. Plain sums are doubled, and the multiplication rounds.
.macro MULTIPLY_HIGH sum, mantissa, addend, plain
 .if \plain
 lsl \sum, \sum, #1
 smmlar \sum, \sum, \mantissa, \addend
 .else
 smmla \sum, \sum, \mantissa, \addend
 .endif
.endm

@ For a range of [-128, 127] and a zero point of -128, a fused relu: nobody sees the nudge.
.macro SCALE_RELU sum, mantissa, addend, shift, plain=0
 MULTIPLY_HIGH \sum, \mantissa, \addend, \plain
 asr \sum, \sum, \shift
 ssat \sum, #8, \sum
.endm

@ For any zero point. The shift's word has the nudge above the low byte, which is all that a shift reads.
.macro SCALE sum, mantissa, addend, shift, spare, plain=0
 and \spare, \shift, \sum, asr #31
 sub \spare, \addend, \spare, lsr #8
 MULTIPLY_HIGH \sum, \mantissa, \spare, \plain
 asr \sum, \sum, \shift
 ssat \sum, #8, \sum
.endm

@ For the sums of add.s, which are doubled and rounded twice one after the other: asrs leaves the last bit shifted out
@ in the carry, and adding it rounds halves up.
.macro REQUANTIZE sum, mantissa, shift, zero_point, bits
 lsl \sum, \sum, #1
 smmulr \sum, \sum, \mantissa
 add \sum, \sum, \sum, asr #31
 asrs \sum, \sum, \shift
 adc \sum, \sum, \zero_point
 ssat \sum, #\bits, \sum
.endm

@ Brings four codes into [low, high], both given four times in a word.
.macro CLAMP codes, low, high, spare
 ssub8 \spare, \codes, \low
 sel \codes, \codes, \low
 ssub8 \spare, \high, \codes
 sel \codes, \codes, \high
.endm

@ Brings a code of int16 into [low, high], both given twice in a word.
.macro CLAMP_WIDE code, low, high, spare
 ssub16 \spare, \code, \low
 sel \code, \code, \low
 ssub16 \spare, \high, \code
 sel \code, \code, \high
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
