@ Four output channels of one pixel at a time, int16 inputs and int8 weights; arithmetic as in wide.s.
@ r8: frame of input, weights, output, bias and its step, mantissas, exponents, taps of a row, rows, steps from tap to tap in
@ inputs and weights, the same from behind a row to the next, quads left.

@ The codes of q0; leaves the flags of the quads that are left.
.macro MVE_WIDE_FINISH
    ldrd r0, r1, [r8, #8]
    ldr r2, [r8, #16]
    vld20.32 {q1, q2}, [r1]
    vld21.32 {q1, q2}, [r1]
    vadd.i32 q0, q0, q1
    add r1, r1, r2, lsl #2
    ldrd r2, r3, [r8, #20]
    vldrw.u32 q1, [r2], #16
    mov r4, #0x8000
    vadd.i32 q1, q1, r4
    vshr.s32 q1, q1, #16
    vshl.i32 q1, q1, #16
    vmulh.s32 q0, q0, q1
    vldrb.s32 q1, [r3], #4
    movs r4, #1
    vadd.i32 q1, q1, r4
    vrshl.s32 q0, q0, q1
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r0], #8
    strd r0, r1, [r8, #8]
    strd r2, r3, [r8, #20]
    ldr r4, [r8, #52]
    subs r4, #1
    str r4, [r8, #52]
.endm

@ Every channel has inputs and weights of its own. r0: inputs; r1: weights; r2: rows left; r3 to r6: steps.
MVE_BEGIN nervelet_mve_wide_taps
    push {r4-r8, lr}
    mov r8, r0
1:
    ldrd r0, r1, [r8]
    add r3, r0, #8
    adds r4, r1, #4
    strd r3, r4, [r8]
    vmov.i32 q0, #0
    ldrd r7, r2, [r8, #28]
    ldrd r3, r4, [r8, #36]
    ldrd r5, r6, [r8, #44]
2:
    dls lr, r7
3:
    vldrh.s32 q1, [r0]
    vldrb.s32 q2, [r1]
    add r0, r3
    add r1, r4
    vmul.i32 q1, q1, q2
    vadd.i32 q0, q0, q1
    le lr, 3b
    add r0, r5
    add r1, r6
    subs r2, #1
    bne 2b
    MVE_WIDE_FINISH
    bne 1b
    pop {r4-r8, pc}
MVE_END nervelet_mve_wide_taps

@ All channels have one row of inputs. r0, r2, r4, r6: sums; r1, r3, r5, r7: weights; r9: inputs; r10: products.
MVE_BEGIN nervelet_mve_wide_dense
    push {r4-r10, lr}
    mov r8, r0
    ldr r10, [r8, #28]
1:
    ldrd r9, r1, [r8]
    add r3, r1, r10
    add r5, r3, r10
    add r7, r5, r10
    add r0, r7, r10
    str r0, [r8, #4]
    movs r0, #0
    movs r2, #0
    movs r4, #0
    movs r6, #0
    dlstp.16 lr, r10
2:
    vldrh.u16 q0, [r9], #16
    vldrb.s16 q1, [r1], #8
    vmladava.s16 r0, q0, q1
    vldrb.s16 q1, [r3], #8
    vmladava.s16 r2, q0, q1
    vldrb.s16 q1, [r5], #8
    vmladava.s16 r4, q0, q1
    vldrb.s16 q1, [r7], #8
    vmladava.s16 r6, q0, q1
    letp lr, 2b
    vmov d0, r0, r2
    vmov d1, r4, r6
    MVE_WIDE_FINISH
    bne 1b
    pop {r4-r10, pc}
MVE_END nervelet_mve_wide_dense
