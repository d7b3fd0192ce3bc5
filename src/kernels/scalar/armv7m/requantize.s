@ Requantization of one sum: a macro that every kernel ends with.
@
@ The reference rounds twice: to the nearest in the doubling high product, halves up, then to the nearest in the right
@ shift, halves away from zero. Packed layers keep |sum| < 2^30, so 2 * sum does not wrap; the high word of its product
@ plus the top bit of the low one is the first rounding exactly. asrs by s >= 1 leaves bit s - 1 in the carry: adding
@ it rounds halves up. Subtracting 1 from negative numbers before moves just the negative halves to the other side.

.macro REQUANTIZE sum, mantissa, shift, zero_point, spare, bits=8
 lsl \sum, \sum, #1
 smull \spare, \sum, \sum, \mantissa
 add \sum, \sum, \spare, lsr #31
 add \sum, \sum, \sum, asr #31
 asrs \sum, \sum, \shift
 adc \sum, \sum, \zero_point
 ssat \sum, #\bits, \sum
.endm

@ Stores the codes of four pixels; advances the output to the next channel.
.macro STORE_4 a, b, c, d, output, stride, spare, place
 ldr \output, [sp, #\place]
 add \spare, \output, \stride, lsl #1
 strb \b, [\output, \stride]
 strb \c, [\spare]
 strb \d, [\spare, \stride]
 strb \a, [\output], #1
 str \output, [sp, #\place]
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
