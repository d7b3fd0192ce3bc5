@ Four output channels of one pixel at a time, int16 inputs and int8 weights; arithmetic as in wide.s.

.equ WC_INPUT, 0
.equ WC_WEIGHTS, 4
.equ WC_OUTPUT, 8
.equ WC_COLUMNS, 28      @ taps of a row
.equ WC_ROWS, 32
.equ WC_STEP, 36         @ bytes from tap to tap, in inputs and weights
.equ WC_ADVANCE, 44      @ the same from behind a row to the next one's start
.equ WC_QUADS, 52
.equ WC_ENTRY, 56        @ where the first round of taps begins

@ The code of a sum: r7 output, r8 and r9 bias and its step, r10 mantissas, r11 exponents.
.macro WC_FINISH sum
 ldr r1, [r8]
 add r8, r8, r9
 add \sum, \sum, r1
 ldr r1, [r10], #4
 add r1, r1, #32768
 bfc r1, #0, #16
 ldrsb r2, [r11], #1
 mvn r2, r2
 smull r12, \sum, \sum, r1
 asrs.w \sum, \sum, r2
 adc \sum, \sum, #0
 ssat \sum, #16, \sum
 strh \sum, [r7], #2
.endm

@ Four codes; leaves the flags of the quads that are left.
.macro WC_FINISH_4
 add r12, r0, #WC_OUTPUT
 ldmia.w r12, {r7-r11}
 WC_FINISH r3
 WC_FINISH r4
 WC_FINISH r5
 WC_FINISH r6
 add r12, r0, #WC_OUTPUT
 stmia.w r12, {r7-r11}
 ldr r1, [r0, #WC_QUADS]
 subs r1, r1, #1
 str r1, [r0, #WC_QUADS]
.endm

@ nervelet_wide_taps(frame): every channel has inputs and weights of its own.
@ r0 the frame, r1 inputs, r2 weights, r3-r6 sums, r7 and r8 taps and rows left, r11 and lr steps.
.macro WC_TAP sum, channel
 ldrsh r9, [r1, #2 * \channel]
 ldrsb r10, [r2, #\channel]
 mla \sum, r9, r10, \sum
.endm

BEGIN wide_taps
 push {r4-r11, lr}
1:
 ldrd r1, r2, [r0, #WC_INPUT]
 add r3, r1, #8
 add r4, r2, #4
 strd r3, r4, [r0, #WC_INPUT]
 movs r3, #0
 movs r4, #0
 movs r5, #0
 movs r6, #0
 ldrd r11, lr, [r0, #WC_STEP]
 ldr r8, [r0, #WC_ROWS]
2:
 ldr r7, [r0, #WC_COLUMNS]
3:
 WC_TAP r3, 0
 WC_TAP r4, 1
 WC_TAP r5, 2
 WC_TAP r6, 3
 add r1, r1, r11
 add r2, r2, lr
 subs r7, r7, #1
 bne 3b
 ldrd r9, r10, [r0, #WC_ADVANCE]
 add r1, r1, r9
 add r2, r2, r10
 subs r8, r8, #1
 bne 2b
 WC_FINISH_4
 bne.w 1b
 pop {r4-r11, pc}
END wide_taps

@ nervelet_wide_dense(frame): all channels have one row of inputs.
@ r0 the frame, r1 inputs, r3-r6 sums, r7-r10 weights, lr rounds of four products left. Per input of four sums: 9
@ instructions.
BEGIN wide_dense
 push {r4-r11, lr}
 ldr r1, [r0, #WC_COLUMNS]
 rsbs r2, r1, #0
 and r2, r2, #3
 adr.w r3, dense_loop
 movs r4, #36
 mla r3, r2, r4, r3
 orr r3, r3, #1
 str r3, [r0, #WC_ENTRY]
1:
 ldrd r1, r7, [r0, #WC_INPUT]
 ldr lr, [r0, #WC_COLUMNS]
 add r8, r7, lr
 add r9, r8, lr
 add r10, r9, lr
 add r3, r10, lr
 str r3, [r0, #WC_WEIGHTS]
 add lr, lr, #3
 lsr lr, lr, #2
 movs r3, #0
 movs r4, #0
 movs r5, #0
 movs r6, #0
 ldr.w pc, [r0, #WC_ENTRY]
 .balign 4
dense_loop:
 .rept 4
 ldrsh r11, [r1], #2
 ldrsb r12, [r7], #1
 ldrsb r2, [r8], #1
 mla r3, r11, r12, r3
 mla r4, r11, r2, r4
 ldrsb r12, [r9], #1
 ldrsb r2, [r10], #1
 mla r5, r11, r12, r5
 mla r6, r11, r2, r6
 .endr
 subs lr, lr, #1
 bne.w dense_loop
 WC_FINISH_4
 bne.w 1b
 pop {r4-r11, pc}
END wide_dense
