@ nervelet_add(frame), nervelet_add_wide(frame): the sum of two tensors of int8 or int16 codes, element by element.
@
@ The operand with the larger scale has the factor one half: its term is (code - zero point) * 2^19 (int16: 2^14), one
@ instruction.
@ The other is scaled as in the reference; the carry of its rounding goes into the addition of both.
@ r0 scaled operand, r1 exact operand, r2 output, r3-r6 what makes the scaled term (factor, offset, mantissa, right
@ shift), r7, r8 the exact one's factor and offset, r9-r11 mantissa, right shift and zero point of the output.
.macro ADD name, load, store, size, bits
BEGIN \name
 push {r4-r11, lr}
 sub sp, #8
 ldr r12, [r0, #48]
 str r12, [sp]
 ldmia.w r0, {r0-r11}
1:
 \load r12, [r1], #\size
 mla r12, r12, r7, r8
 str r12, [sp, #4]
 \load r12, [r0], #\size
 mla r12, r12, r3, r4
 smull lr, r12, r12, r5
 add r12, r12, lr, lsr #31
 add r12, r12, r12, asr #31
 ldr lr, [sp, #4]
 asrs r12, r12, r6
 adc r12, r12, lr
 REQUANTIZE r12, r9, r10, r11, lr, \bits
 \store r12, [r2], #\size
 ldr r12, [sp]
 cmp r2, r12
 bne 1b
 add sp, #8
 pop {r4-r11, pc}
END \name
.endm

ADD add, ldrsb, strb, 1, 8
ADD add_wide, ldrsh, strh, 2, 16

@ nervelet_mul(frame): the product of two tensors of codes, element by element.
@ r0, r1 operands, r2 output, r3 elements left, r4, r5 zero points, r6-r8 mantissa, right shift and zero point of the output.
BEGIN mul
 push {r4-r9, lr}
 ldmia.w r0, {r0-r8}
1:
 ldrsb r9, [r0], #1
 ldrsb r12, [r1], #1
 sub r9, r9, r4
 sub r12, r12, r5
 mul r9, r9, r12
 REQUANTIZE r9, r6, r7, r8, r12
 strb r9, [r2], #1
 subs r3, r3, #1
 bne 1b
 pop {r4-r9, pc}
END mul
