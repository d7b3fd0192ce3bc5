@ Requantization of one sum without long multiplications: a macro that every kernel ends with.
@
@ With sum = 65536 * h + l, |l| <= 2^15, and mantissa = 65536 * mh + ml, the first rounding of the reference,
@     floor((sum * mantissa + 2^30) / 2^31) = 2 * h * mh + floor((h * ml + l * mh + floor(l * ml / 2^16) + 2^14) / 2^15)
@ is exact and stays in 32 bits where |sum| < 2^29, which packed layers keep. The second rounding is the right shift: asrs
@ by s >= 1 leaves bit s - 1 in the carry, and adding it rounds halves up; subtracting 1 from negative numbers before
@ moves just the negative halves to the other side.

@ Rounds twice and adds, into r0. `sum` and `addend` are high registers; r4 has mh, r5 ml, r6 the shift, r7 2^14; uses r2
@ and r3.
.macro ROUND sum, addend
 mov r0, \sum
 sxth r2, r0
 subs r0, r0, r2
 asrs r0, r0, #16
 mov r3, r0
 muls r3, r4, r3
 mov \sum, r3
 muls r0, r5, r0
 mov r3, r2
 muls r3, r4, r3
 muls r2, r5, r2
 asrs r2, r2, #16
 adds r0, r0, r3
 adds r0, r0, r2
 adds r0, r0, r7
 asrs r0, r0, #15
 add r0, r0, \sum
 add r0, r0, \sum
 asrs r2, r0, #31
 adds r0, r0, r2
 mov r2, \addend
 asrs r0, r0, r6
 adcs r0, r0, r2
.endm

@ Brings r0 into the range of codes; uses r2.
.macro SATURATE
 sxtb r2, r0
 cmp r2, r0
 beq 9f
 asrs r0, r0, #31
 movs r2, #127
 eors r0, r0, r2
9:
.endm

@ From a sum to a code; lr has the zero point.
.macro REQUANTIZE sum
 ROUND \sum, lr
 SATURATE
 mov \sum, r0
.endm

@ Splits the mantissa in r4 and makes the constant.
.macro SPLIT
 uxth r5, r4
 asrs r4, r4, #16
 movs r7, #1
 lsls r7, r7, #14
.endm

@ Stores the codes of four pixels in r8-r11; advances the output to the next channel.
.macro STORE_4 place, stride
 ldr r2, [sp, #\place]
 adds r0, r2, #1
 str r0, [sp, #\place]
 ldr r3, [sp, #\stride]
 mov r0, r8
 strb r0, [r2]
 mov r0, r9
 strb r0, [r2, r3]
 lsls r4, r3, #1
 mov r0, r10
 strb r0, [r2, r4]
 adds r4, r4, r3
 mov r0, r11
 strb r0, [r2, r4]
.endm

@ Entry and exit: saves all registers that callers own; a frame of `words` words comes from r0, of which the first
@ goes to r1.
.macro ENTER words
 push {r4-r7, lr}
 mov r4, r8
 mov r5, r9
 mov r6, r10
 mov r7, r11
 push {r4-r7}
 sub sp, #4 * (\words - 1)
 ldm r0!, {r1}
 mov r2, sp
 .rept (\words - 1) / 4
 ldm r0!, {r4-r7}
 stm r2!, {r4-r7}
 .endr
 .rept (\words - 1) % 4
 ldm r0!, {r4}
 stm r2!, {r4}
 .endr
.endm

.macro LEAVE words
 add sp, #4 * (\words - 1)
 pop {r4-r7}
 mov r8, r4
 mov r9, r5
 mov r10, r6
 mov r11, r7
 pop {r4-r7, pc}
.endm

@ The address for a jump over `index` units of `bytes` bytes, in r0; uses r2.
.macro TARGET loop, index, bytes
 adr r0, \loop
 ldr r2, [sp, #\index]
 movs r3, #\bytes
 muls r2, r3, r2
 adds r0, r0, r2
 str r0, [sp, #\index]
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
