@ nervelet_add(frame): the sum of two tensors of codes, element by element.
@
@ The operand with the larger scale has the factor one half: its term is (code - zero point) * 2^19. The other is scaled
@ as in the reference; the carry of its rounding goes into the addition of both. r1 counts the elements up to r11; r10
@ is the scaled operand, lr the zero point of the output.

.equ AD_EXACT, 0
.equ AD_OUTPUT, 4
.equ AD_SCALED_FACTOR, 8
.equ AD_SCALED_OFFSET, 12
.equ AD_SCALED_MANTISSA, 16
.equ AD_SCALED_RIGHT, 20
.equ AD_EXACT_FACTOR, 24
.equ AD_EXACT_OFFSET, 28
.equ AD_MANTISSA, 32
.equ AD_RIGHT, 36
.equ AD_ZERO_POINT, 40
.equ AD_OUTPUT_END, 44

@ Mantissa and shift of the next rounding.
.macro AD_FACTOR mantissa, right
 ldr r4, [sp, #\mantissa]
 uxth r5, r4
 asrs r4, r4, #16
 ldr r6, [sp, #\right]
.endm

BEGIN add
 ENTER 13
 mov r10, r1
 ldr r0, [sp, #AD_OUTPUT_END]
 ldr r1, [sp, #AD_OUTPUT]
 subs r0, r0, r1
 mov r11, r0
 ldr r0, [sp, #AD_ZERO_POINT]
 mov lr, r0
 movs r7, #1
 lsls r7, r7, #14
 movs r1, #0
1:
 ldr r0, [sp, #AD_EXACT]
 ldrsb r0, [r0, r1]
 ldr r2, [sp, #AD_EXACT_FACTOR]
 muls r0, r2, r0
 ldr r2, [sp, #AD_EXACT_OFFSET]
 adds r0, r0, r2
 mov r9, r0
 mov r0, r10
 ldrsb r0, [r0, r1]
 ldr r2, [sp, #AD_SCALED_FACTOR]
 muls r0, r2, r0
 ldr r2, [sp, #AD_SCALED_OFFSET]
 adds r0, r0, r2
 mov r8, r0
 AD_FACTOR AD_SCALED_MANTISSA, AD_SCALED_RIGHT
 ROUND r8, r9
 mov r8, r0
 AD_FACTOR AD_MANTISSA, AD_RIGHT
 ROUND r8, lr
 SATURATE
 ldr r2, [sp, #AD_OUTPUT]
 strb r0, [r2, r1]
 adds r1, r1, #1
 cmp r1, r11
 beq 2f
 b 1b
2:
 LEAVE 13
END add

@ nervelet_mul(frame): the product of two tensors of codes, element by element.
@ r1 elements left, from the end, r8 product, r9-r11 ends of operands and output, r12 the first operand's zero point.
.equ ML_B, 0
.equ ML_OUTPUT, 4
.equ ML_ELEMENTS, 8
.equ ML_ZERO_POINT_A, 12
.equ ML_ZERO_POINT_B, 16
.equ ML_MANTISSA, 20
.equ ML_RIGHT, 24
.equ ML_ZERO_POINT, 28
BEGIN mul
 ENTER 9
 ldr r2, [sp, #ML_ELEMENTS]
 adds r1, r1, r2
 mov r9, r1
 ldr r3, [sp, #ML_B]
 adds r3, r3, r2
 mov r10, r3
 ldr r3, [sp, #ML_OUTPUT]
 adds r3, r3, r2
 mov r11, r3
 rsbs r1, r2, #0
 ldr r3, [sp, #ML_ZERO_POINT_A]
 mov r12, r3
 ldr r3, [sp, #ML_ZERO_POINT]
 mov lr, r3
 ldr r4, [sp, #ML_MANTISSA]
 ldr r6, [sp, #ML_RIGHT]
 SPLIT
2:
 mov r2, r9
 ldrsb r0, [r2, r1]
 mov r2, r12
 subs r0, r0, r2
 mov r2, r10
 ldrsb r3, [r2, r1]
 ldr r2, [sp, #ML_ZERO_POINT_B]
 subs r3, r3, r2
 muls r0, r3, r0
 mov r8, r0
 REQUANTIZE r8
 mov r2, r11
 strb r0, [r2, r1]
 adds r1, r1, #1
 bne 2b
 LEAVE 9
END mul
