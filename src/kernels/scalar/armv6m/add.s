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

@ nervelet_add_wide(frame): the same for codes of int16 without zero points, whose terms are raised by 15 bits: the exact one
@ is code * 2^14, the other the product of code and mantissa over 2^16. Their sum needs the last factor's full product, as
@ in rows.s. r7 has 32768.
BEGIN add_wide
 ENTER 13
 mov r10, r1
 ldr r0, [sp, #AD_OUTPUT_END]
 ldr r1, [sp, #AD_OUTPUT]
 subs r0, r0, r1
 mov r11, r0
 movs r7, #1
 lsls r7, r7, #15
 movs r1, #0
2:
 ldr r0, [sp, #AD_EXACT]
 ldrsh r3, [r0, r1]
 lsls r3, r3, #14
 mov r0, r10
 ldrsh r0, [r0, r1]
 AD_FACTOR AD_SCALED_MANTISSA, AD_SCALED_RIGHT
 muls r5, r0, r5
 adds r5, r5, r7
 asrs r5, r5, #16
 muls r0, r4, r0
 adds r0, r0, r5
 asrs r2, r0, #31
 adds r0, r0, r2
 asrs r0, r0, r6
 adcs r0, r0, r3
 AD_FACTOR AD_MANTISSA, AD_RIGHT
 adds r0, r0, r0
 uxth r2, r0
 asrs r0, r0, #16
 movs r3, r2
 muls r3, r5, r3
 lsrs r3, r3, #16
 adds r3, r3, r7
 muls r5, r0, r5
 adds r5, r5, r3
 muls r2, r4, r2
 muls r0, r4, r0
 asrs r3, r5, #16
 adds r0, r0, r3
 lsrs r3, r2, #16
 lsls r5, r5, #16
 lsls r2, r2, #16
 adds r2, r2, r5
 adcs r0, r0, r3
 asrs r2, r0, #31
 adds r0, r0, r2
 movs r2, #0
 asrs r0, r0, r6
 adcs r0, r0, r2
 sxth r2, r0
 cmp r2, r0
 beq 9f
 asrs r0, r0, #31
 subs r2, r7, #1
 eors r0, r0, r2
9:
 ldr r2, [sp, #AD_OUTPUT]
 strh r0, [r2, r1]
 adds r1, r1, #2
 cmp r1, r11
 bne 2b
 LEAVE 13
END add_wide

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
