@ Four output channels of one pixel at a time, int16 inputs and int8 weights; arithmetic as in wide.s.

.equ WC_INPUT, 0
.equ WC_WEIGHTS, 4
.equ WC_OUTPUT, 8
.equ WC_BIAS, 12
.equ WC_BIAS_STEP, 16
.equ WC_MANTISSAS, 20
.equ WC_EXPONENTS, 24
.equ WC_COLUMNS, 28      @ taps of a row
.equ WC_ROWS, 32
.equ WC_STEP, 36         @ bytes from tap to tap, in inputs and weights
.equ WC_WEIGHT_STEP, 40
.equ WC_ADVANCE, 44      @ the same from behind a row to the next one's start
.equ WC_WEIGHT_ADVANCE, 48
.equ WC_QUADS, 52

@ The code of a sum; r2 the frame, r3 0, r7 32767.
.macro WC_FINISH sum
 ldr r4, [r2, #WC_BIAS]
 ldr r0, [r4]
 ldr r5, [r2, #WC_BIAS_STEP]
 adds r4, r4, r5
 str r4, [r2, #WC_BIAS]
 add r0, r0, \sum
 ldr r4, [r2, #WC_MANTISSAS]
 ldm r4!, {r5}
 str r4, [r2, #WC_MANTISSAS]
 adds r5, r5, r7
 adds r5, r5, #1
 asrs r5, r5, #16
 ldr r4, [r2, #WC_EXPONENTS]
 ldrsb r6, [r4, r3]
 adds r4, r4, #1
 str r4, [r2, #WC_EXPONENTS]
 mvns r6, r6
 uxth r1, r0
 asrs r0, r0, #16
 muls r0, r5, r0
 muls r1, r5, r1
 lsrs r1, r1, #16
 adds r0, r0, r1
 asrs r0, r0, r6
 adcs r0, r0, r3
 sxth r1, r0
 cmp r1, r0
 beq 9f
 asrs r0, r0, #31
 eors r0, r0, r7
9:
 ldr r1, [r2, #WC_OUTPUT]
 strh r0, [r1]
 adds r1, r1, #2
 str r1, [r2, #WC_OUTPUT]
.endm

@ Four codes of the sums in r8-r11; then leaves, or goes on with the next quad.
.macro WC_FINISH_4 next
 mov r2, lr
 movs r3, #1
 lsls r3, r3, #15
 subs r7, r3, #1
 movs r3, #0
 WC_FINISH r8
 WC_FINISH r9
 WC_FINISH r10
 WC_FINISH r11
 ldr r0, [r2, #WC_QUADS]
 subs r0, r0, #1
 str r0, [r2, #WC_QUADS]
 beq 8f
 b \next
8:
 pop {r4-r7}
 mov r8, r4
 mov r9, r5
 mov r10, r6
 mov r11, r7
 pop {r4-r7, pc}
.endm

@ Saves what callers own; the frame goes to lr.
.macro WC_ENTER
 push {r4-r7, lr}
 mov r4, r8
 mov r5, r9
 mov r6, r10
 mov r7, r11
 push {r4-r7}
 mov lr, r0
.endm

.macro WC_CLEAR
 movs r3, #0
 mov r8, r3
 mov r9, r3
 mov r10, r3
 mov r11, r3
.endm

@ nervelet_wide_taps(frame): every channel has inputs and weights of its own.
@ r0 inputs, r1 weights, r4 and r5 steps, r6 and r7 taps and rows left.
.macro WC_TAP sum, channel
 ldrh r2, [r0, #2 * \channel]
 sxth r2, r2
 ldrb r3, [r1, #\channel]
 sxtb r3, r3
 muls r2, r3, r2
 add \sum, \sum, r2
.endm

BEGIN wide_taps
 WC_ENTER
1:
 mov r2, lr
 WC_CLEAR
 ldr r0, [r2, #WC_INPUT]
 movs r3, r0
 adds r3, r3, #8
 str r3, [r2, #WC_INPUT]
 ldr r1, [r2, #WC_WEIGHTS]
 adds r3, r1, #4
 str r3, [r2, #WC_WEIGHTS]
 ldr r4, [r2, #WC_STEP]
 ldr r5, [r2, #WC_WEIGHT_STEP]
 ldr r7, [r2, #WC_ROWS]
2:
 mov r2, lr
 ldr r6, [r2, #WC_COLUMNS]
3:
 WC_TAP r8, 0
 WC_TAP r9, 1
 WC_TAP r10, 2
 WC_TAP r11, 3
 adds r0, r0, r4
 adds r1, r1, r5
 subs r6, r6, #1
 bne 3b
 mov r2, lr
 ldr r3, [r2, #WC_ADVANCE]
 adds r0, r0, r3
 ldr r3, [r2, #WC_WEIGHT_ADVANCE]
 adds r1, r1, r3
 subs r7, r7, #1
 bne 2b
 WC_FINISH_4 1b
END wide_taps

@ nervelet_wide_dense(frame): all channels have one row of inputs.
@ r0 inputs, r1 counts from the weights in r4-r7 up to r12. Per input of four sums: 18 instructions.
.macro WC_WEIGHT weights, sum
 ldrsb r2, [\weights, r1]
 muls r2, r3, r2
 add \sum, \sum, r2
.endm

BEGIN wide_dense
 WC_ENTER
 ldr r1, [r0, #WC_COLUMNS]
 mov r12, r1
1:
 WC_CLEAR
 mov r2, lr
 ldr r0, [r2, #WC_INPUT]
 ldr r4, [r2, #WC_WEIGHTS]
 mov r1, r12
 adds r5, r4, r1
 adds r6, r5, r1
 adds r7, r6, r1
 adds r1, r7, r1
 str r1, [r2, #WC_WEIGHTS]
 movs r1, #0
2:
 ldrh r3, [r0]
 sxth r3, r3
 WC_WEIGHT r4, r8
 WC_WEIGHT r5, r9
 WC_WEIGHT r6, r10
 WC_WEIGHT r7, r11
 adds r0, r0, #2
 adds r1, r1, #1
 cmp r1, r12
 bne 2b
 WC_FINISH_4 1b
END wide_dense
