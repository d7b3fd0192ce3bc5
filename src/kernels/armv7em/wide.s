@ Products of int16 inputs with int8 weights, row-major: sums of 32 bits, which hold 512 of them.

@ Four weights become pairs (w0, w1) in r12 and (w2, w3) in r3.
.macro WI_WEIGHTS at
 ldr r12, [\at], #4
 sxtb16 r0, r12
 sxtb16 r3, r12, ror #8
 pkhbt r12, r0, r3, lsl #16
 pkhtb r3, r3, r0, asr #16
.endm

@ nervelet_wide_4(frame): one row of weights over four pixels, which keep their sums.
@ r4-r7 sums, r8-r11 pixels, r1 weights, r2 units of four to go.
.equ WI_REST, 4
.equ WI_SUMS, 8
BEGIN wide_4
 push {r4-r11, lr}
 ldmia r0!, {r1-r4}
 push {r1-r4}
 ldmia.w r0, {r8-r11}
 ldmia.w r3, {r4-r7}
 ldr r2, [sp]
 ldr r1, [sp, #12]
 cbz r2, 2f
1:
 WI_WEIGHTS r1
 ldr r0, [r8], #4
 ldr lr, [r8], #4
 smlad r4, r12, r0, r4
 smlad r4, r3, lr, r4
 ldr r0, [r9], #4
 ldr lr, [r9], #4
 smlad r5, r12, r0, r5
 smlad r5, r3, lr, r5
 ldr r0, [r10], #4
 ldr lr, [r10], #4
 smlad r6, r12, r0, r6
 smlad r6, r3, lr, r6
 ldr r0, [r11], #4
 ldr lr, [r11], #4
 smlad r7, r12, r0, r7
 smlad r7, r3, lr, r7
 subs r2, r2, #1
 bne 1b
2:
 ldr r2, [sp, #4]
 cbz r2, 4f
3:
 ldrsb r12, [r1], #1
 ldrsh r0, [r8], #2
 ldrsh lr, [r9], #2
 smlabb r4, r12, r0, r4
 smlabb r5, r12, lr, r5
 ldrsh r0, [r10], #2
 ldrsh lr, [r11], #2
 smlabb r6, r12, r0, r6
 smlabb r7, r12, lr, r7
 subs r2, r2, #1
 bne 3b
4:
 ldr r0, [sp, #8]
 stmia r0!, {r4-r7}
 add sp, #16
 pop {r4-r11, pc}
END wide_4

@ nervelet_wide_1(weights: *const i8, inputs: *const i16, units: usize, rest: usize) -> i32
@
@ The sum of 4 * units + rest products.
BEGIN wide_1
 push {r4-r9, lr}
 mov r4, r0
 mov r5, r3
 movs r6, #0
 movs r7, #0
 lsrs r2, r2, #1
 bcc 1f
 WI_WEIGHTS r4
 ldr r0, [r1], #4
 ldr lr, [r1], #4
 smlad r6, r12, r0, r6
 smlad r7, r3, lr, r7
1:
 cbz r2, 3f
2:
 .rept 2
 WI_WEIGHTS r4
 ldr r0, [r1], #4
 ldr lr, [r1], #4
 smlad r6, r12, r0, r6
 smlad r7, r3, lr, r7
 .endr
 subs r2, r2, #1
 bne 2b
3:
 cbz r5, 5f
4:
 ldrsb r12, [r4], #1
 ldrsh r0, [r1], #2
 smlabb r6, r12, r0, r6
 subs r5, r5, #1
 bne 4b
5:
 add r0, r6, r7
 pop {r4-r9, pc}
END wide_1

@ nervelet_wide_taps(frame): four channels of one pixel, each with weights of its own, over the taps of a window.
@ r0 inputs, r1 weights, r2 and r3 columns and rows to go, r4-r7 sums, r8, r9 inputs, r10, r11 weights (0 2) and (1 3),
@ r12 and lr from one tap of a row to the next in inputs and weights.
.equ WT_COLUMNS, 0
.equ WT_INPUT_ADVANCE, 4  @ from behind a row to the next one's start
.equ WT_WEIGHT_ADVANCE, 8
.equ WT_SUMS, 12
BEGIN wide_taps
 push {r4-r11, lr}
 ldmia.w r0, {r1-r4, r8-r12}
 push {r1-r4}
 mov r0, r8
 mov r1, r9
 mov r3, r10
 mov lr, r12
 mov r12, r11
 movs r4, #0
 movs r5, #0
 movs r6, #0
 movs r7, #0
1:
 ldr r2, [sp, #WT_COLUMNS]
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
 ldr r2, [sp, #WT_INPUT_ADVANCE]
 add r0, r0, r2
 ldr r2, [sp, #WT_WEIGHT_ADVANCE]
 add r1, r1, r2
 subs r3, r3, #1
 bne 1b
 ldr r0, [sp, #WT_SUMS]
 stmia r0!, {r4-r7}
 add sp, #16
 pop {r4-r11, pc}
END wide_taps
