@ nervelet_add(frame), nervelet_add_wide(frame): the sum of two tensors of int8 or int16 codes, element by element.
@
@ The operand with the larger scale has the factor one half: its term is (code - zero point) * 2^19 (int16: 2^14), one
@ instruction.
@ The other is scaled as in the reference; the carry of its rounding goes into the addition of both.
@ r0 scaled operand, r1 exact operand, r2 output, r3-r6 what makes the scaled term (1 << shift, offset, mantissa, right
@ shift), r7, r8 the exact one's factor and offset, r9-r11 mantissa, right shift and zero point of the output.
.macro AD_ELEMENT load, store, size, bits
 \load r12, [r0], #\size
 \load lr, [r1], #\size
 mla r12, r12, r3, r4
 mla lr, lr, r7, r8
 smmulr r12, r12, r5
 add r12, r12, r12, asr #31
 asrs r12, r12, r6
 adc r12, r12, lr
 REQUANTIZE r12, r9, r10, r11, \bits
 \store r12, [r2], #\size
.endm

.macro ADD name, load, store, size, bits
BEGIN \name
 push {r4-r11, lr}
 sub sp, #4
 ldr r12, [r0, #48]
 str r12, [sp]
 ldmia.w r0, {r0-r11}
 sub r12, r12, r2
 @ The elements that don't fill a round of four come first.
 ubfx r12, r12, #(\size - 1), #2
 cmp r12, #0
 beq 2f
 rsb r12, r12, #4
 movs lr, #60
 mul r12, r12, lr
 adr.w lr, 2f
 add r12, r12, lr
 orr r12, r12, #1
 bx r12
 .balign 4
2:
 .rept 4
 AD_ELEMENT \load, \store, \size, \bits
 .endr
 ldr r12, [sp]
 cmp r2, r12
 bne.w 2b
 add sp, #4
 pop {r4-r11, pc}
END \name
.endm

ADD add, ldrsb, strb, 1, 8
ADD add_wide, ldrsh, strh, 2, 16

@ nervelet_mul(frame): the product of two tensors of codes, element by element, as shifted sums (see requantize.s).
@ r0, r1 operands, r2 output, r3, r4 zero points, the first one 256 times, r5-r7 scale, r8 end of the output.
BEGIN mul
 push {r4-r8, lr}
 ldmia.w r0, {r0-r8}
1:
 ldrsb r12, [r0], #1
 ldrsb lr, [r1], #1
 rsb r12, r3, r12, lsl #8
 sub lr, lr, r4
 mul r12, r12, lr
 SCALE r12, r5, r6, r7, lr
 strb r12, [r2], #1
 cmp r2, r8
 bne 1b
 pop {r4-r8, pc}
END mul
