@ Sums of two tensors of which one has the factor one half, four at a time; codes are raised by some bits first.
@ r0: frame of scaled, exact, output, exact offset, scaled offset, mantissa, exponent, 1 if it shifts right, the same of
@ the sum, zero point, elements. q2, q3: what codes are multiplied with; q4: the zero point.
.macro MVE_ADD name, load, store, size, bits
MVE_BEGIN \name
    push {r4-r11, lr}
    vpush {d8-d9}
    mov r12, r0
    mov r0, #(1 << \bits)
    vdup.32 q2, r0
    mov r0, #(1 << (\bits - 1))
    vdup.32 q3, r0
    ldr lr, [r12, #48]
    ldr r11, [r12, #44]
    vdup.32 q4, r11
    ldm r12, {r0-r10}
    wlstp.32 lr, lr, 2f
1:
    \load q0, [r0], #4 * \size
    \load q1, [r1], #4 * \size
    vmlas.s32 q0, q2, r4
    vmlas.s32 q1, q3, r3
    vqrdmulh.s32 q0, q0, r5
    @ One less for negative numbers: y + (2 * y >> 32).
    vqdmlah.s32 q0, q0, r7
    vrshl.s32 q0, r6
    vadd.i32 q0, q0, q1
    vqrdmulh.s32 q0, q0, r8
    vqdmlah.s32 q0, q0, r10
    vrshl.s32 q0, r9
    vadd.i32 q0, q0, q4
    vqmovnb.s32 q0, q0
.if \size == 1
    vqmovnb.s16 q0, q0
.endif
    \store q0, [r2], #4 * \size
    letp lr, 1b
2:
    vpop {d8-d9}
    pop {r4-r11, pc}
MVE_END \name
.endm

MVE_ADD nervelet_mve_add, vldrb.s32, vstrb.32, 1, 20
MVE_ADD nervelet_mve_add_wide, vldrh.s32, vstrh.32, 2, 15

@ Products of two tensors, four at a time.
@ r0: frame of both, output, their zero points negated, mantissa, exponent, 1 if it shifts right, zero point, elements.
MVE_BEGIN nervelet_mve_mul
    push {r4-r10, lr}
    ldm r0, {r0-r9}
    wlstp.32 lr, r9, 2f
1:
    vldrb.s32 q0, [r0], #4
    vldrb.s32 q1, [r1], #4
    vadd.i32 q0, q0, r3
    vadd.i32 q1, q1, r4
    vmul.i32 q0, q0, q1
    vqrdmulh.s32 q0, q0, r5
    vqdmlah.s32 q0, q0, r7
    vrshl.s32 q0, r6
    vadd.i32 q0, q0, r8
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r2], #4
    letp lr, 1b
2:
    pop {r4-r10, pc}
MVE_END nervelet_mve_mul
