@ Int16 codes, one after the other: moments and normalisation of a row, tables, changes of scale.

@ The sum of r1 codes from r0 on, and that of their squares, to r2.
MVE_BEGIN nervelet_mve_moments
    push {r4-r7, lr}
    movs r4, #0
    movs r6, #0
    movs r7, #0
    wlstp.16 lr, r1, 2f
1:
    vldrh.u16 q0, [r0], #16
    vaddva.s16 r4, q0
    vmlaldava.s16 r6, r7, q0, q0
    letp lr, 1b
2:
    str r4, [r2]
    strd r6, r7, [r2, #4]
    pop {r4-r7, pc}
MVE_END nervelet_mve_moments

@ A row with its moments known.
@ r0: frame of codes, gamma, beta, output, factor and offset of a code, root, what the high word of their product is shifted
@ by and the shift of the result, both to the left, codes.
MVE_BEGIN nervelet_mve_normalize
    push {r4-r10, lr}
    ldm r0, {r0-r9}
    vdup.32 q1, r4
    vdup.32 q2, r6
    wlstp.32 lr, r9, 2f
1:
    vldrh.s32 q0, [r0], #8
    vmlas.s32 q0, q1, r5
    vmulh.s32 q0, q0, q2
    vrshl.s32 q0, r7
    vqmovnb.s32 q0, q0
    vmovlb.s16 q0, q0
    vldrh.s32 q3, [r1], #8
    vmul.i32 q0, q0, q3
    vldrw.u32 q3, [r2], #16
    vadd.i32 q0, q0, q3
    vrshl.s32 q0, r8
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r3], #8
    letp lr, 1b
2:
    pop {r4-r10, pc}
MVE_END nervelet_mve_normalize

@ A function of r3 codes from r0 on as a table of 513 at r1, to r2.
MVE_BEGIN nervelet_mve_interpolate
    push {r7, lr}
    vpush {d8-d9}
    add r1, #512
    add r12, r1, #2
    vmov.i32 q3, #127
    wlstp.32 lr, r3, 2f
1:
    vldrh.s32 q0, [r0], #8
    vshr.s32 q1, q0, #7
    vand q0, q0, q3
    vldrh.s32 q2, [r1, q1, uxtw #1]
    vldrh.s32 q4, [r12, q1, uxtw #1]
    vsub.i32 q4, q4, q2
    vmul.i32 q4, q4, q0
    vrshr.s32 q4, q4, #7
    vadd.i32 q2, q2, q4
    vstrh.32 q2, [r2], #8
    letp lr, 1b
2:
    vpop {d8-d9}
    pop {r7, pc}
MVE_END nervelet_mve_interpolate

@ Codes of int16 as codes of int8 and the other way round.
@ r0: frame of codes, output, zero point of the input negated, shift before the product, mantissa, shift behind it to the
@ left, 1 if that is one, zero point of the output, codes.
MVE_BEGIN nervelet_mve_narrow
    push {r4-r8, lr}
    ldm r0, {r0-r8}
    wlstp.32 lr, r8, 2f
1:
    vldrh.s32 q0, [r0], #8
    vadd.i32 q0, q0, r2
    vshl.s32 q0, r3
    vqrdmulh.s32 q0, q0, r4
    vqdmlah.s32 q0, q0, r6
    vrshl.s32 q0, r5
    vadd.i32 q0, q0, r7
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r1], #4
    letp lr, 1b
2:
    pop {r4-r8, pc}
MVE_END nervelet_mve_narrow

MVE_BEGIN nervelet_mve_widen
    push {r4-r8, lr}
    ldm r0, {r0-r8}
    wlstp.32 lr, r8, 2f
1:
    vldrb.s32 q0, [r0], #4
    vadd.i32 q0, q0, r2
    vshl.s32 q0, r3
    vqrdmulh.s32 q0, q0, r4
    vqdmlah.s32 q0, q0, r6
    vrshl.s32 q0, r5
    vadd.i32 q0, q0, r7
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r1], #8
    letp lr, 1b
2:
    pop {r4-r8, pc}
MVE_END nervelet_mve_widen
