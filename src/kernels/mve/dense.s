@ Eight output channels of one pixel. r1: inputs; r9: weights; r5: output; r7: records left; r3: rounds of eight vectors
@ left; r11: where the last channels' codes go.
MVE_BEGIN nervelet_mve_dense
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #24
    ldr r2, [r0, #20]
    adr.w r4, 3f
    @ The bytes of a vector's code.
    mov r5, #68
    mla r4, r2, r5, r4
    orr r4, #1
    ldr r2, [r0]
    strd r4, r2, [sp]
    ldr r2, [r0, #24]
    str r2, [sp, #8]
    ldr r2, [r0, #28]
    str r2, [sp, #12]
    mov r2, #0
    vdup.32 q7, r2
    ldr r9, [r0, #4]
    ldr r5, [r0, #8]
    ldr r11, [r0, #12]
    ldr r7, [r0, #16]
1:
    ldrd r1, r3, [sp, #4]
.irp sum, r0, r2, r4, r6, r8, r10, r12, lr
    mov \sum, #0
.endr
    ldr pc, [sp]
    .balign 4
3:
.rept 8
    vldrb.u8 q0, [r1], #16
.irp sum, r0, r2, r4, r6, r8, r10, r12, lr
    vldrw.u32 q1, [r9], #16
    vmladava.s8 \sum, q0, q1
.endr
.endr
    subs r3, #1
    bne 3b
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmov d2, r8, r10
    vmov d3, r12, lr
    ldr r0, [sp, #12]
.irp sums, q0, q1
    @ Biases, mantissas and exponents of four channels.
    vld40.32 {q2, q3, q4, q5}, [r9]
    vld41.32 {q2, q3, q4, q5}, [r9]
    vld42.32 {q2, q3, q4, q5}, [r9]
    vld43.32 {q2, q3, q4, q5}, [r9]!
    vadd.i32 \sums, \sums, q2
    vmax.s32 q5, q4, q7
    vshl.s32 \sums, \sums, q5
    vqrdmulh.s32 \sums, \sums, q3
    vmin.s32 q4, q4, q7
    @ One less for negative numbers where something is shifted out.
    vand q5, \sums, q4
    vshr.s32 q5, q5, #31
    vadd.i32 \sums, \sums, q5
    vrshl.s32 \sums, \sums, q4
    vadd.i32 \sums, \sums, r0
    vqmovnb.s32 \sums, \sums
    vqmovnb.s16 \sums, \sums
.endr
    vstrb.32 q0, [r5]
    vstrb.32 q1, [r5, #4]
    add r5, #8
    subs r7, #1
    bgt 1b
    bmi 2f
    @ The last record ends with the last channel.
    mov r5, r11
    b 1b
2:
    add sp, #24
    vpop {d8-d15}
    pop {r4-r11, pc}
MVE_END nervelet_mve_dense

@ One output channel of one pixel. r1: inputs; r2: weights; r4: output; r5: inputs' number; r6: the zero point; r9: bytes
@ behind a channel's weights.
MVE_BEGIN nervelet_mve_dense_rows
    push {r4-r10, lr}
    ldm r0, {r1-r6}
    rsb r9, r5, #0
    and r9, r9, #3
1:
    mov r0, r1
    add r7, r2, r5
    mov r8, #0
    dlstp.8 lr, r5
2:
    vldrb.u8 q0, [r0], #16
    vldrb.u8 q1, [r2], #16
    vmladava.s8 r8, q0, q1
    letp lr, 2b
    add r2, r7, r9
    @ Bias, mantissa and exponent, which is negative.
    ldm r2!, {r7, r10, r12}
    add r8, r7
    lsl r8, #1
    smull r7, r8, r8, r10
    add r8, r8, r7, lsr #31
    add r8, r8, r8, asr #31
    rsb r12, #0
    asrs r8, r12
    adc r8, r6
    ssat r8, #8, r8
    strb r8, [r4], #1
    cmp r2, r3
    bne 1b
    pop {r4-r10, pc}
MVE_END nervelet_mve_dense_rows
