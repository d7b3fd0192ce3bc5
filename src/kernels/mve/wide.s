@ One output channel of four pixels at a time, int16 inputs and int8 weights, eight products a vector.
@ r0, r2, r4, r6: sums; r1, r3, r5, r9: pixels; r8: frame of pixels, outputs, weights, rows, row, steps, next channel, bias and
@ its step, mantissas, exponents, channels; r7: weights; r10: rows left; r11: products of a row; q3: where codes go.
@ A mantissa keeps 16 bits, rounded; of sums times these the high word is shifted by one less than the exponent negated,
@ rounded once.
MVE_BEGIN nervelet_mve_wide_pixels
    push {r4-r11, lr}
    mov r8, r0
    vldrw.u32 q3, [r8, #16]
    ldr r7, [r8, #32]
    ldr r11, [r8, #40]
1:
    ldrd r1, r3, [r8]
    ldrd r5, r9, [r8, #8]
    movs r0, #0
    movs r2, #0
    movs r4, #0
    movs r6, #0
    ldr r10, [r8, #36]
2:
    dlstp.16 lr, r11
3:
    vldrb.s16 q0, [r7], #8
    vldrh.u16 q1, [r1], #16
    vmladava.s16 r0, q0, q1
    vldrh.u16 q1, [r3], #16
    vmladava.s16 r2, q0, q1
    vldrh.u16 q1, [r5], #16
    vmladava.s16 r4, q0, q1
    vldrh.u16 q1, [r9], #16
    vmladava.s16 r6, q0, q1
    letp lr, 3b
    subs r10, #1
    beq 4f
    ldr r12, [r8, #44]
    add r1, r12
    add r3, r12
    add r5, r12
    add r9, r12
    ldr r12, [r8, #48]
    add r7, r12
    b 2b
4:
    ldr r12, [r8, #52]
    add r7, r12
    vmov d0, r0, r2
    vmov d1, r4, r6
    ldrd r0, r1, [r8, #56]
    ldr r2, [r0]
    add r0, r1
    str r0, [r8, #56]
    vadd.i32 q0, q0, r2
    ldrd r0, r1, [r8, #64]
    ldr r2, [r0], #4
    ldrsb r3, [r1], #1
    strd r0, r1, [r8, #64]
    add r2, #0x8000
    bfc r2, #0, #16
    vdup.32 q1, r2
    vmulh.s32 q0, q0, q1
    adds r3, #1
    vrshl.s32 q0, r3
    vqmovnb.s32 q0, q0
    movs r0, #0
    vstrh.32 q0, [r0, q3]
    movs r1, #2
    vadd.i32 q3, q3, r1
    ldr r0, [r8, #72]
    subs r0, #1
    str r0, [r8, #72]
    bne 1b
    pop {r4-r11, pc}
MVE_END nervelet_mve_wide_pixels
