@ Two output channels by four pixels: eight sums in r0, r2, .. lr, the only registers that vector products can add to.
@ r1, r3, r5, r7: pixels; r9: weights; r11: output; q6: the zero point; q7: where eight codes go.
.set MVE_MATRIX_STREAM, 0
.set MVE_MATRIX_END, 4
.set MVE_MATRIX_ENTRY, 8
.set MVE_MATRIX_TAIL, 12
.set MVE_MATRIX_BLOCKS, 16
.set MVE_MATRIX_STEP, 20
.set MVE_MATRIX_OUTPUT_STEP, 24
.set MVE_MATRIX_ADVANCE, 28
.set MVE_MATRIX_BACK, 32
.set MVE_MATRIX_WEIGHTS, 36
.set MVE_MATRIX_WEIGHTS_END, 40
.set MVE_MATRIX_OUTPUT, 44

.macro MVE_PRODUCTS multiply
    vldrw.u32 q4, [r9], #16
    vldrw.u32 q5, [r9], #16
    \multiply r0, q0, q4
    \multiply r2, q1, q4
    \multiply r4, q2, q4
    \multiply r6, q3, q4
    \multiply r8, q0, q5
    \multiply r10, q1, q5
    \multiply r12, q2, q5
    \multiply lr, q3, q5
.endm

@ A vector at a fixed distance from all pixels.
.macro MVE_AT distance, multiply
    vldrb.u8 q0, [r1, #\distance]
    vldrb.u8 q1, [r3, #\distance]
    vldrb.u8 q2, [r5, #\distance]
    vldrb.u8 q3, [r7, #\distance]
    MVE_PRODUCTS \multiply
.endm

@ The next vector of all pixels.
.macro MVE_NEXT
    vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r3], #16
    vldrb.u8 q2, [r5], #16
    vldrb.u8 q3, [r7], #16
    MVE_PRODUCTS vmladava.s8
.endm

@ From r0, the frame, to the stack. Of the code before `end`, it runs as many vectors as the frame says.
.macro MVE_MATRIX_ENTER end
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #48
    ldr r2, [r0, #44]
    vdup.16 q6, r2
    vldrh.u16 q7, [r0, #64]
    ldr r2, [r0, #28]
    adr.w r4, \end
    @ The bytes of a vector's code.
    mov r5, #56
    mls r4, r2, r5, r4
    orr r4, #1
    str r4, [sp, #MVE_MATRIX_ENTRY]
    ldr r2, [r0, #40]
    adr.w r4, 6f
    cmp r2, #0
    beq 1f
    adr.w r4, 5f
1:
    orr r4, #1
    str r4, [sp, #MVE_MATRIX_TAIL]
    ldrd r2, r4, [r0, #16]
    strd r2, r4, [sp, #MVE_MATRIX_STREAM]
    ldrd r2, r4, [r0, #48]
    strd r2, r4, [sp, #MVE_MATRIX_BLOCKS]
    ldrd r2, r4, [r0, #56]
    str r2, [sp, #MVE_MATRIX_OUTPUT_STEP]
    str r4, [sp, #MVE_MATRIX_WEIGHTS]
    ldrd r2, r4, [r0, #32]
    strd r2, r4, [sp, #MVE_MATRIX_ADVANCE]
    ldr r11, [r0, #24]
    ldrd r1, r3, [r0]
    ldrd r5, r7, [r0, #8]
.endm

@ Sums become codes: scaled without or with left shifts, rounded twice, narrowed, scattered.
.macro MVE_MATRIX_FINISH
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmov d2, r8, r10
    vmov d3, r12, lr
    @ Bias, mantissa and exponent of both channels.
    ldm r9!, {r0, r2, r4, r6, r8, r10}
    vadd.i32 q0, q0, r0
    vadd.i32 q1, q1, r6
    ldr pc, [sp, #MVE_MATRIX_TAIL]
5:
    bic r0, r4, r4, asr #31
    bic r6, r10, r10, asr #31
    vshl.s32 q0, r0
    vshl.s32 q1, r6
    vqrdmulh.s32 q0, q0, r2
    vqrdmulh.s32 q1, q1, r8
    lsr r12, r4, #31
    lsr lr, r10, #31
    vqdmlah.s32 q0, q0, r12
    vqdmlah.s32 q1, q1, lr
    and r4, r4, r4, asr #31
    and r10, r10, r10, asr #31
    b 7f
    .balign 4
6:
    vqrdmulh.s32 q0, q0, r2
    vqrdmulh.s32 q1, q1, r8
    @ One less for negative numbers: y + (2 * y >> 32).
    mov lr, #1
    vqdmlah.s32 q0, q0, lr
    vqdmlah.s32 q1, q1, lr
7:
    vrshl.s32 q0, r4
    vrshl.s32 q1, r10
    vqmovnb.s32 q2, q0
    vqmovnt.s32 q2, q1
    vqadd.s16 q2, q2, q6
    vqmovnb.s16 q2, q2
    vstrb.16 q2, [r11, q7]
    add r11, #2
    ldr r0, [sp, #MVE_MATRIX_END]
    cmp r9, r0
.endm

@ On to the next four pixels; `start` is where all channels begin.
.macro MVE_MATRIX_LEAVE start
    ldr r0, [sp, #MVE_MATRIX_BLOCKS]
    subs r0, #1
    str r0, [sp, #MVE_MATRIX_BLOCKS]
    beq 8f
    ldrd r2, r4, [sp, #MVE_MATRIX_STEP]
    add r1, r2
    add r3, r2
    add r5, r2
    add r7, r2
    add r11, r4
    b \start
8:
    add sp, #48
    vpop {d8-d15}
    pop {r4-r11, pc}
.endm

@ Up to eight vectors a filter, the first and then the others from the last to the second.
MVE_BEGIN nervelet_mve_matrix_short
    MVE_MATRIX_ENTER 4f
2:
    ldr r9, [sp, #MVE_MATRIX_STREAM]
3:
    MVE_AT 0, vmladav.s8
    ldr pc, [sp, #MVE_MATRIX_ENTRY]
    .balign 4
.irp distance, 112, 96, 80, 64, 48, 32, 16
    MVE_AT \distance, vmladava.s8
.endr
4:
    MVE_MATRIX_FINISH
    bne 3b
    MVE_MATRIX_LEAVE 2b
MVE_END nervelet_mve_matrix_short

@ Any number of vectors, in passes of up to 16 with a distance between them.
MVE_BEGIN nervelet_mve_matrix_long
    MVE_MATRIX_ENTER 4f
2:
    str r11, [sp, #MVE_MATRIX_OUTPUT]
    ldr r9, [sp, #MVE_MATRIX_STREAM]
3:
    ldr r11, [sp, #MVE_MATRIX_WEIGHTS]
    add r11, r9
    str r11, [sp, #MVE_MATRIX_WEIGHTS_END]
.irp sum, r0, r2, r4, r6, r8, r10, r12, lr
    mov \sum, #0
.endr
    ldr pc, [sp, #MVE_MATRIX_ENTRY]
    .balign 4
.rept 16
    MVE_NEXT
.endr
4:
    ldr r11, [sp, #MVE_MATRIX_WEIGHTS_END]
    cmp r9, r11
    beq 9f
    ldr r11, [sp, #MVE_MATRIX_ADVANCE]
    add r1, r11
    add r3, r11
    add r5, r11
    add r7, r11
    ldr pc, [sp, #MVE_MATRIX_ENTRY]
9:
    ldr r11, [sp, #MVE_MATRIX_BACK]
    sub r1, r11
    sub r3, r11
    sub r5, r11
    sub r7, r11
    ldr r11, [sp, #MVE_MATRIX_OUTPUT]
    MVE_MATRIX_FINISH
    str r11, [sp, #MVE_MATRIX_OUTPUT]
    bne 3b
    MVE_MATRIX_LEAVE 2b
MVE_END nervelet_mve_matrix_long
