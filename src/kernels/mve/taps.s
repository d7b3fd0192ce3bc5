@ Row-major weights: depthwise windows that planes don't hold, and products of rows.

@ Sums of four channels in q0 become codes, of those in p0. r4: biases, r5: mantissas, r6: exponents, r7: output, q3: 0.
.macro MVE_TAPS_FINISH
    vpstt
    vldrwt.u32 q1, [r4], #16
    vldrbt.s32 q2, [r6], #4
    vadd.i32 q0, q0, q1
    vmax.s32 q1, q2, q3
    vshl.s32 q0, q0, q1
    vpst
    vldrwt.u32 q1, [r5], #16
    vqrdmulh.s32 q0, q0, q1
    vmin.s32 q2, q2, q3
    @ One less for negative numbers where something is shifted out.
    vand q1, q0, q2
    vshr.s32 q1, q1, #31
    vadd.i32 q0, q0, q1
    vrshl.s32 q0, q0, q2
    vadd.i32 q0, q0, r12
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vpst
    vstrbt.32 q0, [r7], #4
.endm

@ One pixel, eight channels at a time. r0: inputs; r1: weights; r2, r3: steps from tap to tap; r8: frame of inputs, weights,
@ rows, columns, steps, the same from behind a row to the next, input offset, channels, biases, mantissas, exponents, output,
@ zero point; r9: rows left; r10: channels left; r11: input offset; q0, q1: sums of even and odd channels.
MVE_BEGIN nervelet_mve_taps
    push {r4-r11, lr}
    vpush {d8-d11}
    sub sp, #36
    mov r8, r0
    ldr r11, [r8, #32]
    ldr r10, [r8, #36]
    add r12, r8, #40
    ldm r12, {r4-r7}
    vmov.i32 q3, #0
1:
    vctp.16 r10
    ldrd r0, r1, [r8]
    add r2, r0, #8
    add r3, r1, #8
    strd r2, r3, [r8]
    ldrd r2, r3, [r8, #16]
    ldr r9, [r8, #8]
    vmov.i32 q0, #0
    vmov.i32 q1, #0
2:
    ldr r12, [r8, #12]
    dls lr, r12
3:
    vpstt
    vldrbt.s16 q4, [r0]
    vldrbt.s16 q5, [r1]
    add r0, r2
    add r1, r3
    vadd.i16 q4, q4, r11
    vmullb.s16 q2, q4, q5
    vadd.i32 q0, q0, q2
    vmullt.s16 q2, q4, q5
    vadd.i32 q1, q1, q2
    le lr, 3b
    ldrd r12, lr, [r8, #24]
    add r0, r12
    add r1, lr
    subs r9, #1
    bne 2b
    vst20.32 {q0, q1}, [sp]
    vst21.32 {q0, q1}, [sp]
    ldr r12, [r8, #56]
    vldrw.u32 q0, [sp]
    vctp.32 r10
    MVE_TAPS_FINISH
    subs r10, #4
    ble 4f
    vldrw.u32 q0, [sp, #16]
    vctp.32 r10
    MVE_TAPS_FINISH
    subs r10, #4
    bgt 1b
4:
    add sp, #36
    vpop {d8-d11}
    pop {r4-r11, pc}
MVE_END nervelet_mve_taps

@ The products of r2 codes from r0 on, each with r3 added, and weights from r1 on, added up.
MVE_BEGIN nervelet_mve_dot
    push {r4-r6, lr}
    movs r4, #0
    movs r6, #0
    wlstp.8 lr, r2, 2f
1:
    vldrb.u8 q0, [r0], #16
    vldrb.u8 q1, [r1], #16
    vmladava.s8 r4, q0, q1
    vaddva.s8 r6, q1
    letp lr, 1b
2:
    mla r0, r6, r3, r4
    pop {r4-r6, pc}
MVE_END nervelet_mve_dot
