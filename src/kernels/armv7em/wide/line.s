@ nervelet_wide_line(frame): four channels, each with weights of its own, of a line of pixels with the same taps.
@ r0 inputs, r1 weights, r2 and r3 columns and rows to go, r4-r7 sums of 32 bits, r8 and r9 inputs, r10 and r11 weights
@ (0 2) and (1 3), r12 and lr from one tap of a row to the next in inputs and weights. 13 instructions a tap.
.equ WL_START, 0         @ four biases, or zeros
.equ WL_FACTORS, 16      @ 2^32 times the scales
.equ WL_EXACT, 32        @ 0: biases and factors are these
.equ WL_BIAS, 36
.equ WL_MANTISSAS, 40
.equ WL_EXPONENTS, 44
.equ WL_INPUTS, 48
.equ WL_WEIGHTS, 52
.equ WL_COLUMNS, 56
.equ WL_ROWS, 60
.equ WL_INPUT_STEP, 64
.equ WL_WEIGHT_STEP, 68
.equ WL_INPUT_ADVANCE, 72 @ from behind a row to the next one's start
.equ WL_WEIGHT_ADVANCE, 76
.equ WL_PIXEL_STEP, 80
.equ WL_PIXELS, 84
.equ WL_OUTPUT, 88
.equ WL_OUTPUT_STEP, 92
.equ WL_LOW, 96
.equ WL_HIGH, 100
.equ WL_RANGED, 104      @ 0: all of int16

BEGIN wide_line
 push {r4-r11, lr}
 sub sp, #108
 mov r12, sp
 .rept 3
 ldmia r0!, {r1-r9}
 stmia r12!, {r1-r9}
 .endr
wide_line_pixel:
 ldmia.w sp, {r4-r7}
 ldrd r0, r1, [sp, #WL_INPUTS]
 ldr r3, [sp, #WL_ROWS]
 ldrd r12, lr, [sp, #WL_INPUT_STEP]
1:
 ldr r2, [sp, #WL_COLUMNS]
2:
 ldr.w r8, [r0]
 ldr.w r9, [r0, #4]
 ldr.w r11, [r1]
 add r0, r0, r12
 add r1, r1, lr
 sxtb16 r10, r11
 sxtb16 r11, r11, ror #8
 smlabb r4, r8, r10, r4
 smlatb r5, r8, r11, r5
 smlabt r6, r9, r10, r6
 smlatt r7, r9, r11, r7
 subs r2, r2, #1
 bne 2b
 ldrd r8, r9, [sp, #WL_INPUT_ADVANCE]
 add r0, r0, r8
 add r1, r1, r9
 subs r3, r3, #1
 bne 1b
 ldr r2, [sp, #WL_EXACT]
 cmp r2, #0
 bne 5f
 add r2, sp, #WL_FACTORS
 ldmia.w r2, {r8-r11}
 smmulr r4, r4, r8
 smmulr r5, r5, r9
 smmulr r6, r6, r10
 smmulr r7, r7, r11
 .irp code, r4, r5, r6, r7
 ssat \code, #16, \code
 .endr
3:
 ldr r2, [sp, #WL_RANGED]
 cbnz r2, 6f
4:
 ldrd r0, r1, [sp, #WL_OUTPUT]
 pkhbt r4, r4, r5, lsl #16
 pkhbt r6, r6, r7, lsl #16
 str r4, [r0]
 str r6, [r0, #4]
 add r0, r0, r1
 str r0, [sp, #WL_OUTPUT]
 ldrd r0, r1, [sp, #WL_PIXEL_STEP]
 subs r1, r1, #1
 beq 7f
 str r1, [sp, #WL_PIXELS]
 ldr r1, [sp, #WL_INPUTS]
 add r1, r1, r0
 str r1, [sp, #WL_INPUTS]
 b wide_line_pixel
7:
 add sp, #108
 pop {r4-r11, pc}
6:
 ldrd r8, r9, [sp, #WL_LOW]
 .irp code, r4, r5, r6, r7
 CLAMP_WIDE \code, r8, r9, r10
 .endr
 b 4b
5:
 ldrd r8, r9, [sp, #WL_BIAS]
 ldr.w r10, [sp, #WL_EXPONENTS]
 .irp sum, r4, r5, r6, r7
 ldrd r0, r1, [r8], #8
 adds r0, r0, \sum
 adc r1, r1, \sum, asr #31
 ldr r2, [r9], #4
 ldrsb r3, [r10], #1
 ldr r12, [sp, #WL_EXACT]
 blx r12
 ssat \sum, #16, r0
 .endr
 b 3b
END wide_line
