@ nervelet_dense_triples(frame), nervelet_dense_singles(frame): three output channels of one pixel at a time, or one, a
@ weight and an input a multiplication.

.equ DT_INPUTS, 4
.equ DT_COUNT, 8
.equ DT_LAST, 12         @ where the last record's codes go
.equ DT_BEHIND, 16       @ bytes behind a channel's weights
.equ DT_ZERO_POINT, 20
.equ DT_ROW, 24          @ bytes of a channel's weights with these
.equ DT_OUTPUT, 28

@ The code of a sum, with its multiplier at r1, to the output.
.macro DT_CODE sum, place
 ldm r1!, {r4, r6}
 SPLIT
 ROUND \sum, r11
 SATURATE
 mov r2, r12
 strb r0, [r2, #\place]
.endm

@ r8-r10 sums, r2 counts the inputs up to 0; r0 is behind the inputs, r1, r5 and r6 behind the weights of the channels;
@ r11 has the zero point, r12 the output, lr the frame. Per input: 12 instructions for 3 multiply-accumulates.
BEGIN dense_triples
 push {r4-r7, lr}
 mov r4, r8
 mov r5, r9
 mov r6, r10
 mov r7, r11
 push {r4-r7}
 mov lr, r0
 ldr r1, [r0]
 ldr r2, [r0, #DT_ZERO_POINT]
 mov r11, r2
 ldr r2, [r0, #DT_OUTPUT]
1:
 mov r12, r2
 ldm r1!, {r3, r4, r5}
 mov r8, r3
 mov r9, r4
 mov r10, r5
 mov r4, lr
 ldr r0, [r4, #DT_INPUTS]
 ldr r2, [r4, #DT_COUNT]
 ldr r3, [r4, #DT_ROW]
 adds r0, r0, r2
 adds r1, r1, r2
 adds r5, r1, r3
 adds r6, r5, r3
 negs r2, r2
2:
 ldrsb r3, [r0, r2]
 ldrsb r4, [r1, r2]
 muls r4, r3, r4
 add r8, r8, r4
 ldrsb r4, [r5, r2]
 muls r4, r3, r4
 add r9, r9, r4
 ldrsb r4, [r6, r2]
 muls r4, r3, r4
 add r10, r10, r4
 adds r2, r2, #1
 bne 2b
 mov r4, lr
 ldr r1, [r4, #DT_BEHIND]
 adds r1, r1, r6
 DT_CODE r8, 0
 DT_CODE r9, 1
 DT_CODE r10, 2
 adds r2, r2, #3
 mov r0, lr
 ldr r0, [r0, #DT_LAST]
 cmp r2, r0
 bls 3f
 @ What is left are channels that end with the last one.
 subs r3, r2, r0
 mov r2, r0
 cmp r3, #3
 beq 4f
3:
 b 1b
4:
 pop {r4-r7}
 mov r8, r4
 mov r9, r5
 mov r10, r6
 mov r11, r7
 pop {r4-r7, pc}
END dense_triples

@ r4 and r12 the sum, r2 counts the inputs up to 0; r0 is behind the inputs, r1 behind the weights; r7 and the stack have
@ the frame, lr the zero point. Per input: 6 instructions.
BEGIN dense_singles
 push {r0, r4-r7, lr}
 ldr r1, [r0, #DT_ZERO_POINT]
 mov lr, r1
 ldr r1, [r0]
1:
 ldr r7, [sp]
 ldm r1!, {r4}
 ldr r0, [r7, #DT_INPUTS]
 ldr r2, [r7, #DT_COUNT]
 adds r0, r0, r2
 adds r1, r1, r2
 negs r2, r2
2:
 ldrsb r3, [r0, r2]
 ldrsb r5, [r1, r2]
 muls r3, r5, r3
 adds r4, r4, r3
 adds r2, r2, #1
 bne 2b
 mov r12, r4
 ldr r0, [r7, #DT_BEHIND]
 adds r1, r1, r0
 ldm r1!, {r4, r6}
 SPLIT
 ROUND r12, lr
 SATURATE
 ldr r7, [sp]
 ldr r2, [r7, #DT_OUTPUT]
 strb r0, [r2]
 adds r2, r2, #1
 str r2, [r7, #DT_OUTPUT]
 ldr r0, [r7, #DT_LAST]
 cmp r2, r0
 bls 1b
 pop {r0, r4-r7, pc}
END dense_singles
