@ Int16 codes, one after the other: moments and normalisation of a row, and functions as tables.

@ nervelet_moments(x: *const i16, count: usize, moments: *mut Moments): the sum of codes, and that of their squares.
@ r4 the sum, r7:r6 squares, r5 ones, r8-r11 codes.
BEGIN moments
 push {r4-r11, lr}
 mov r12, r2
 movs r4, #0
 mov r5, #0x00010001
 movs r6, #0
 movs r7, #0
 lsrs lr, r1, #3
 beq 2f
1:
 ldr r8, [r0], #4
 ldr r9, [r0], #4
 ldr r10, [r0], #4
 ldr r11, [r0], #4
 smlad r4, r8, r5, r4
 smlald r6, r7, r8, r8
 smlad r4, r9, r5, r4
 smlald r6, r7, r9, r9
 smlad r4, r10, r5, r4
 smlald r6, r7, r10, r10
 smlad r4, r11, r5, r4
 smlald r6, r7, r11, r11
 subs lr, lr, #1
 bne 1b
2:
 ands r1, r1, #7
 beq 4f
3:
 ldrsh r8, [r0], #2
 add r4, r4, r8
 smlalbb r6, r7, r8, r8
 subs r1, r1, #1
 bne 3b
4:
 stmia.w r12, {r4, r6, r7}
 pop {r4-r11, pc}
END moments

@ nervelet_normalize(frame): a row with its moments known.
@ r0 x, r1 end, r2 gamma, r3 beta, r4 output, r5 factor and r6 offset of a code, r7 root, r8, r9 shifts.
.macro NO_ELEMENT
 ldrsh r10, [r0], #2
 ldrsh r11, [r2], #2
 mla r10, r10, r5, r6
 ldr r12, [r3], #4
 smull lr, r10, r10, r7
 asrs.w r10, r10, r8
 adc r10, r10, #0
 ssat r10, #16, r10
 mla r10, r10, r11, r12
 asrs.w r10, r10, r9
 adc r10, r10, #0
 ssat r10, #16, r10
 strh r10, [r4], #2
.endm

BEGIN normalize
 push {r4-r11, lr}
 ldmia.w r0, {r0-r9}
 sub r10, r1, r0
 lsls r10, r10, #30
 bpl 2f
 NO_ELEMENT
 cmp r0, r1
 beq 3f
2:
 NO_ELEMENT
 NO_ELEMENT
 cmp r0, r1
 bne 2b
3:
 pop {r4-r11, pc}
END normalize

@ nervelet_interpolate(x: *const i16, end, table: *const i16, output: *mut i16): 513 entries over all of int16.
@
@ The entry and the next one are one word; a dual product with 128 - f and f interpolates.
.macro IN_ELEMENT
 ldrsh r6, [r0], #2
 asr r7, r6, #7
 and r6, r6, #127
 ldr.w r7, [r2, r7, lsl #1]
 rsb r8, r6, #128
 pkhbt r8, r8, r6, lsl #16
 smlad r7, r7, r8, r5
 asr r7, r7, #7
 strh r7, [r3], #2
.endm

BEGIN interpolate
 push {r4-r8, lr}
 add r2, r2, #512
 movs r5, #64
 sub r4, r1, r0
 ubfx r4, r4, #1, #2
 cmp r4, #0
 beq 2f
1:
 IN_ELEMENT
 subs r4, r4, #1
 bne 1b
 cmp r0, r1
 beq 3f
2:
 .rept 4
 IN_ELEMENT
 .endr
 cmp r0, r1
 bne 2b
3:
 pop {r4-r8, pc}
END interpolate

@ nervelet_narrow(frame), nervelet_widen_codes(frame): codes of int16 as codes of int8 and the other way round.
@ r0 x, r1 output, r2 factor and r3 offset before the product, r4 mantissa, r5 right shift, r6 zero point, r7 end.
.macro RE_ELEMENT load, from, store, to, bits
 \load r8, [r0], #\from
 mla r8, r8, r2, r3
 smmulr r8, r8, r4
 add r8, r8, r8, asr #31
 asrs.w r8, r8, r5
 adc r8, r8, r6
 ssat r8, #\bits, r8
 \store r8, [r1], #\to
.endm

.macro RESCALE name, load, from, store, to, bits
BEGIN \name
 push {r4-r8, lr}
 ldmia.w r0, {r0-r7}
 sub lr, r7, r0
 ubfx lr, lr, #(\from - 1), #2
 cmp lr, #0
 beq 2f
1:
 RE_ELEMENT \load, \from, \store, \to, \bits
 subs lr, lr, #1
 bne 1b
 cmp r0, r7
 beq 3f
2:
 .rept 4
 RE_ELEMENT \load, \from, \store, \to, \bits
 .endr
 cmp r0, r7
 bne 2b
3:
 pop {r4-r8, pc}
END \name
.endm

RESCALE narrow, ldrsh, 2, strb, 1, 8
RESCALE widen_codes, ldrsb, 1, strh, 2, 16
