@ Int16 codes, one after the other: moments and normalisation of a row, functions as tables, changes of scale.

@ nervelet_moments(x: *const i16, count: usize, moments: *mut Moments): the sum of codes, and that of their squares.
BEGIN moments
 push {r4-r6, lr}
 movs r3, #0
 movs r4, #0
 movs r5, #0
1:
 ldrsh r12, [r0], #2
 add r3, r3, r12
 mul r12, r12, r12
 adds r4, r4, r12
 adc r5, r5, #0
 subs r1, r1, #1
 bne 1b
 stmia r2!, {r3-r5}
 pop {r4-r6, pc}
END moments

@ nervelet_normalize(frame): a row with its moments known.
@ r0 x, r1 end, r2 gamma, r3 beta, r4 output, r5 factor and r6 offset of a code, r7 root, r8, r9 shifts.
BEGIN normalize
 push {r4-r11, lr}
 ldmia.w r0, {r0-r9}
1:
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
 cmp r0, r1
 bne 1b
 pop {r4-r11, pc}
END normalize

@ nervelet_interpolate(x: *const i16, end, table: *const i16, output: *mut i16): 513 entries over all of int16.
BEGIN interpolate
 push {r4-r7, lr}
 add r2, r2, #512
1:
 ldrsh r4, [r0], #2
 asrs r5, r4, #7
 add r5, r2, r5, lsl #1
 ldrsh r6, [r5]
 ldrsh r7, [r5, #2]
 and r4, r4, #127
 subs r7, r7, r6
 muls r4, r7, r4
 adds r4, r4, #64
 add r6, r6, r4, asr #7
 strh r6, [r3], #2
 cmp r0, r1
 bne 1b
 pop {r4-r7, pc}
END interpolate

@ nervelet_narrow(frame), nervelet_widen_codes(frame): codes of int16 as codes of int8 and the other way round.
@ r0 x, r1 output, r2 factor and r3 offset before the product, r4 mantissa, r5 right shift, r6 zero point, r7 end.
.macro RESCALE name, load, from, store, to, bits
BEGIN \name
 push {r4-r8, lr}
 ldmia.w r0, {r0-r7}
1:
 \load r8, [r0], #\from
 mla r8, r8, r2, r3
 smull r12, r8, r8, r4
 add r8, r8, r12, lsr #31
 add r8, r8, r8, asr #31
 asrs.w r8, r8, r5
 adc r8, r8, r6
 ssat r8, #\bits, r8
 \store r8, [r1], #\to
 cmp r0, r7
 bne 1b
 pop {r4-r8, pc}
END \name
.endm

RESCALE narrow, ldrsh, 2, strb, 1, 8
RESCALE widen_codes, ldrsb, 1, strh, 2, 16
