@ Attention over operands that are laid out in pairs; see blocked_attention.rs.

@ Scores of two queries with all pairs of keys, eight places of the depth a vector.
@ r0 to r7: four sums of 64 bits; r8: queries; r9: keys; r10: scores; r11: frame of keys, their end, queries, vectors of a
@ query, scores, shift, the largest of both; q4: the largest.
MVE_BEGIN nervelet_mve_scores
    push {r4-r11, lr}
    vpush {d8-d9}
    mov r11, r0
    ldr r9, [r11]
    ldr r10, [r11, #16]
    mov r1, #0x80000000
    vdup.32 q4, r1
1:
.irp sum, r0, r1, r2, r3, r4, r5, r6, r7
    movs \sum, #0
.endr
    ldrd r8, r12, [r11, #8]
    dls lr, r12
2:
    vld20.32 {q0, q1}, [r8]
    vld21.32 {q0, q1}, [r8]!
    vld20.32 {q2, q3}, [r9]
    vld21.32 {q2, q3}, [r9]!
    vmlaldava.s16 r0, r1, q0, q2
    vmlaldava.s16 r2, r3, q1, q2
    vmlaldava.s16 r4, r5, q0, q3
    vmlaldava.s16 r6, r7, q1, q3
    le lr, 2b
    ldr r12, [r11, #20]
    sqrshrl r0, r1, #64, r12
    sqrshrl r2, r3, #64, r12
    sqrshrl r4, r5, #64, r12
    sqrshrl r6, r7, #64, r12
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmax.s32 q4, q4, q0
    vstrw.32 q0, [r10], #16
    ldr r0, [r11, #4]
    cmp r9, r0
    bne 1b
    vmov r0, r1, d8
    vmov r2, r3, d9
    cmp r0, r2
    it lt
    movlt r0, r2
    cmp r1, r3
    it lt
    movlt r1, r3
    strd r0, r1, [r11, #24]
    vpop {d8-d9}
    pop {r4-r11, pc}
MVE_END nervelet_mve_scores

@ Powers of one query's scores, every second word, in place, and their sum.
@ r0: frame of scores, the table, the largest score, the shift to the left, scores, four times the mantissa; then r0: sum; r1:
@ scores; q4: their distances; q5: 63; q7: the largest.
MVE_BEGIN nervelet_mve_powers
    push {r4-r8, lr}
    vpush {d8-d15}
    ldm r0!, {r1-r5}
    mov r6, r0
    add r7, r2, #2
    movs r0, #0
    vidup.u32 q4, r0, #8
    movs r0, #0
    vmov.i32 q5, #63
    vdup.32 q7, r3
    wlstp.32 lr, r5, 2f
1:
    vldrw.u32 q0, [r1, q4]
    vsub.i32 q0, q7, q0
    vldrw.u32 q1, [r6]
    vmulh.u32 q0, q0, q1
    vrshl.u32 q0, r4
    vand q2, q0, q5
    vshr.u32 q1, q0, #6
    vand q1, q1, q5
    vldrh.s32 q3, [r2, q1, uxtw #1]
    vldrh.s32 q6, [r7, q1, uxtw #1]
    vsub.i32 q6, q6, q3
    vmul.i32 q6, q6, q2
    vrshr.s32 q6, q6, #6
    vadd.i32 q3, q3, q6
    @ From a shift of 16 on there is nothing left.
    vshr.u32 q0, q0, #12
    vmin.u32 q0, q0, q5
    vneg.s32 q0, q0
    vrshl.s32 q3, q3, q0
    vstrw.32 q3, [r1, q4]
    vaddva.u32 r0, q3
    adds r1, #32
    letp lr, 1b
2:
    vpop {d8-d15}
    pop {r4-r8, pc}
MVE_END nervelet_mve_powers

@ Four columns of two queries. r0: frame of probabilities, pairs of keys, values, mantissa, shift to the left, zero point,
@ results.
MVE_BEGIN nervelet_mve_context
    push {r4-r9, lr}
    vpush {d8-d9}
    ldm r0, {r0-r6}
    vmov.i32 q0, #0
    vmov.i32 q1, #0
    dls lr, r1
1:
    vldrw.u32 q2, [r2], #16
    ldrd r8, r9, [r0], #8
    vdup.32 q3, r8
    vmullb.s16 q4, q2, q3
    vadd.i32 q0, q0, q4
    vmullt.s16 q4, q2, q3
    vadd.i32 q0, q0, q4
    vdup.32 q3, r9
    vmullb.s16 q4, q2, q3
    vadd.i32 q1, q1, q4
    vmullt.s16 q4, q2, q3
    vadd.i32 q1, q1, q4
    le lr, 1b
    vdup.32 q2, r3
    vmulh.s32 q0, q0, q2
    vmulh.s32 q1, q1, q2
    vrshl.s32 q0, r4
    vrshl.s32 q1, r4
    vadd.i32 q0, q0, r5
    vadd.i32 q1, q1, r5
    vstrw.32 q0, [r6]
    vstrw.32 q1, [r6, #16]
    vpop {d8-d9}
    pop {r4-r9, pc}
MVE_END nervelet_mve_context
