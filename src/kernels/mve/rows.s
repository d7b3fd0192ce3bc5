@ Four rows of int8 weights over int16 inputs at a time, for any number of groups. Two weights of an input share a
@ halfword, 256 * odd + even: its low byte is the even row's weight, a rounding shift leaves the odd row's.
@ r0, r2, r4, r6: sums; r1: inputs; r3: weights, up to r5; r7: results; r9: the first input; r11: vectors of eight inputs,
@ behind which p0 has four more where r12 is not 0.
.macro MVE_ROWS_PRODUCTS step
    vld20.32 {q0, q1}, [r3]
    vld21.32 {q0, q1}, [r3]\step
    vmovlb.s8 q3, q0
    vmladava.s16 r0, q3, q2
    vrshr.s16 q0, q0, #8
    vmladava.s16 r2, q0, q2
    vmovlb.s8 q3, q1
    vmladava.s16 r4, q3, q2
    vrshr.s16 q1, q1, #8
    vmladava.s16 r6, q1, q2
.endm

MVE_BEGIN nervelet_mve_rows
    push {r4-r11, lr}
    ldm r0, {r3, r5, r7, r9, r11, r12}
    mov r0, #0xFF
    vmsr p0, r0
1:
    mov r1, r9
    movs r0, #0
    movs r2, #0
    movs r4, #0
    movs r6, #0
    wls lr, r11, 3f
2:
    vldrh.u16 q2, [r1], #16
    MVE_ROWS_PRODUCTS !
    le lr, 2b
3:
    cmp r12, #0
    beq 4f
    @ What is beside the last weights are biases and mantissas, times inputs of 0.
    vpst
    vldrht.u16 q2, [r1]
    MVE_ROWS_PRODUCTS
    adds r3, #16
4:
    vmov d0, r0, r2
    vmov d1, r4, r6
    vld20.32 {q2, q3}, [r3]
    vld21.32 {q2, q3}, [r3]!
    vadd.i32 q0, q0, q2
    vrmulh.s32 q0, q0, q3
    vstrw.32 q0, [r7], #16
    cmp r3, r5
    bne 1b
    pop {r4-r11, pc}
MVE_END nervelet_mve_rows
