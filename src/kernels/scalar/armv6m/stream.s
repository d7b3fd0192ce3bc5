@ Int16 codes, one after the other: moments and normalisation of a row, functions as tables, changes of scale.

@ Brings r0 into the range of int16; r7 has 32767, uses r2.
.macro ST_SATURATE
 sxth r2, r0
 cmp r2, r0
 beq 9f
 asrs r0, r0, #31
 eors r0, r0, r7
9:
.endm

@ nervelet_moments(x: *const i16, count: usize, moments: *mut Moments): the sum of codes, and that of their squares.
BEGIN moments
 push {r4-r7, lr}
 movs r3, #0
 movs r4, #0
 movs r5, #0
 movs r6, #0
1:
 ldrh r7, [r0]
 sxth r7, r7
 adds r0, r0, #2
 adds r3, r3, r7
 muls r7, r7, r7
 adds r4, r4, r7
 adcs r5, r5, r6
 subs r1, r1, #1
 bne 1b
 stm r2!, {r3-r5}
 pop {r4-r7, pc}
END moments

@ nervelet_normalize(frame): a row with its moments known.
@ r1 x up to lr, r8 gamma, r9 beta, r10 output, r11 factor and r12 offset of a code, r4 root, r5 and r6 shifts. The root has
@ 16 bits: halves of the code's factor are multiplied, and half of the high word of the product with 15 bits more is shifted.
.equ NO_GAMMA, 4
.equ NO_BETA, 8
.equ NO_OUTPUT, 12
.equ NO_FACTOR, 16
.equ NO_OFFSET, 20
.equ NO_ROOT, 24
.equ NO_HIGH_SHIFT, 28
.equ NO_SHIFT, 32
BEGIN normalize
 ENTER 10
 ldr r2, [sp]
 mov lr, r2
 ldr r2, [sp, #NO_GAMMA]
 mov r8, r2
 ldr r2, [sp, #NO_BETA]
 mov r9, r2
 ldr r2, [sp, #NO_OUTPUT]
 mov r10, r2
 ldr r2, [sp, #NO_FACTOR]
 mov r11, r2
 ldr r2, [sp, #NO_OFFSET]
 mov r12, r2
 ldr r4, [sp, #NO_ROOT]
 lsrs r4, r4, #15
 ldr r5, [sp, #NO_HIGH_SHIFT]
 adds r5, r5, #1
 ldr r6, [sp, #NO_SHIFT]
 movs r7, #0
 mvns r7, r7
 lsrs r7, r7, #17
2:
 movs r3, #0
 ldrsh r0, [r1, r3]
 mov r2, r11
 muls r0, r2, r0
 add r0, r0, r12
 uxth r2, r0
 asrs r0, r0, #16
 muls r0, r4, r0
 muls r2, r4, r2
 lsrs r2, r2, #16
 adds r0, r0, r2
 asrs r0, r0, r5
 adcs r0, r0, r3
 ST_SATURATE
 mov r2, r8
 ldrsh r3, [r2, r3]
 adds r2, r2, #2
 mov r8, r2
 muls r0, r3, r0
 mov r2, r9
 ldm r2!, {r3}
 mov r9, r2
 adds r0, r0, r3
 movs r3, #0
 asrs r0, r0, r6
 adcs r0, r0, r3
 ST_SATURATE
 mov r2, r10
 strh r0, [r2]
 adds r2, r2, #2
 mov r10, r2
 adds r1, r1, #2
 cmp r1, lr
 bne 2b
 LEAVE 10
END normalize

@ nervelet_interpolate(x: *const i16, end, table: *const i16, output: *mut i16): 513 entries over all of int16.
BEGIN interpolate
 push {r4-r7, lr}
 movs r4, #1
 lsls r4, r4, #9
 adds r2, r2, r4
1:
 ldrh r4, [r0]
 sxth r4, r4
 asrs r5, r4, #7
 lsls r5, r5, #1
 ldrsh r6, [r2, r5]
 adds r5, r5, #2
 ldrsh r7, [r2, r5]
 lsls r4, r4, #25
 lsrs r4, r4, #25
 subs r7, r7, r6
 muls r4, r7, r4
 adds r4, r4, #64
 asrs r4, r4, #7
 adds r6, r6, r4
 strh r6, [r3]
 adds r0, r0, #2
 adds r3, r3, #2
 cmp r0, r1
 bne 1b
 pop {r4-r7, pc}
END interpolate

@ nervelet_narrow(frame), nervelet_widen_codes(frame): codes of int16 as codes of int8 and the other way round.
@
@ The double of the product's high word is (x * mh + floor(x * ml / 65536) + 2^14) / 2^15 of halves of the mantissa, for x of 16
@ bits (or an ml of 0). r1 codes up to r8, r9 factor and r10 offset before the product, r4 mh, r5 ml, r6 right shift,
@ r7 2^14, r11 output, lr zero point.
.macro RE_SATURATE
 sxth r2, r0
 cmp r2, r0
 beq 9f
 asrs r0, r0, #31
 adds r2, r7, r7
 subs r2, r2, #1
 eors r0, r0, r2
9:
.endm

.equ RE_FACTOR, 4
.equ RE_OFFSET, 8
.equ RE_MANTISSA, 12
.equ RE_RIGHT, 16
.equ RE_ZERO_POINT, 20
.equ RE_END, 24
.macro RESCALE name, load, extend, from, saturate, store, to
BEGIN \name
 ENTER 8
 ldr r2, [sp]
 mov r11, r2
 ldr r2, [sp, #RE_FACTOR]
 mov r9, r2
 ldr r2, [sp, #RE_OFFSET]
 mov r10, r2
 ldr r4, [sp, #RE_MANTISSA]
 ldr r6, [sp, #RE_RIGHT]
 ldr r2, [sp, #RE_ZERO_POINT]
 mov lr, r2
 ldr r2, [sp, #RE_END]
 mov r8, r2
 SPLIT
2:
 \load r0, [r1]
 \extend r0, r0
 mov r2, r9
 muls r0, r2, r0
 add r0, r0, r10
 mov r2, r0
 muls r2, r5, r2
 asrs r2, r2, #16
 muls r0, r4, r0
 adds r0, r0, r2
 adds r0, r0, r7
 asrs r0, r0, #15
 asrs r2, r0, #31
 adds r0, r0, r2
 mov r2, lr
 asrs r0, r0, r6
 adcs r0, r0, r2
 \saturate
 mov r2, r11
 \store r0, [r2]
 adds r2, r2, #\to
 mov r11, r2
 adds r1, r1, #\from
 cmp r1, r8
 bne 2b
 LEAVE 8
END \name
.endm

RESCALE narrow, ldrh, sxth, 2, SATURATE, strb, 1
RESCALE widen_codes, ldrb, sxtb, 1, RE_SATURATE, strh, 2
