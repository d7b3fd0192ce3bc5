@ Depthwise windows of any shape, sixteen channels in the lanes of a vector: pixels beside each other that have the same taps
@ in the image. r12: frame, see `assembly.rs`; p0: the lanes that are channels; q0, q1, q2, q3: sums of every fourth channel
@ from the first, third, second and fourth on; q6: where their scales lie; r3: 2^15.

@ Adds products of 16 bits, those of even channels in q5 and those of odd ones in q4.
.macro MVE_LANES_ADD
    @ The upper half of a word: 2 * 2^15 * word >> 32.
    vqdmlah.s32 q1, q5, r3
    vqdmlah.s32 q3, q4, r3
    vmovlb.s16 q5, q5
    vmovlb.s16 q4, q4
    vadd.i32 q0, q0, q5
    vadd.i32 q2, q2, q4
.endm

MVE_BEGIN nervelet_mve_lanes
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #64
    mov r12, r0
    ldr r0, [r12, #64]
    vmsr p0, r0
    mov r3, #0x8000
1:
    @ Biases of a record; taps outside the image have the zero point.
    movs r4, #0
    vidup.u32 q6, r4, #1
    movs r4, #48
    vmul.i32 q6, q6, r4
    ldrd r9, r0, [r12, #8]
    vadd.i32 q6, q6, r0
    vldrw.u32 q0, [q6]
    vldrw.u32 q1, [q6, #24]
    vldrw.u32 q2, [q6, #12]
    vldrw.u32 q3, [q6, #36]
    ldrd r4, r0, [r12, #76]
    cbz r4, 4f
    mov r1, r9
    ldr r5, [r12, #72]
    vdup.8 q7, r5
    ldr r7, [r12, #44]
    lsls r7, #4
2:
    wls lr, r0, 3f
21:
    vldrw.u32 q4, [r1], #16
    vmullb.s8 q5, q7, q4
    vmullt.s8 q4, q7, q4
    MVE_LANES_ADD
    le lr, 21b
3:
    add r1, r7
    ldrd r0, r5, [r12, #84]
    cmp r4, #2
    it eq
    moveq r0, r5
    subs r4, #1
    bne 2b
4:
    vstrw.32 q0, [sp]
    vstrw.32 q1, [sp, #16]
    vstrw.32 q2, [sp, #32]
    vstrw.32 q3, [sp, #48]
    ldrd r5, r2, [r12, #44]
    ldrd r6, r0, [r12, #52]
    add r9, r0
    ldr r7, [r12, #60]
    ldrd r8, r10, [r12]
    ldr r11, [r12, #28]
5:
    mov r0, r8
    mov r1, r9
    vldrw.u32 q0, [sp]
    vldrw.u32 q1, [sp, #16]
    vldrw.u32 q2, [sp, #32]
    vldrw.u32 q3, [sp, #48]
    ldr r4, [r12, #40]
6:
    wls lr, r5, 8f
7:
    vldrw.u32 q7, [r1], #16
    vpst
    vldrbt.u8 q4, [r0]
    add r0, r2
    vmullb.s8 q5, q4, q7
    vmullt.s8 q4, q4, q7
    MVE_LANES_ADD
    le lr, 7b
8:
    add r0, r6
    add r1, r7
    subs r4, #1
    bne 6b
    movs r4, #1
.irp quarter, 0, 1, 2, 3
.set place, (\quarter % 2) * 24 + (\quarter / 2) * 12
    vldrw.u32 q4, [q6, #place + 4]
    vqrdmulh.s32 q\quarter, q\quarter, q4
    @ One less for negative numbers: y + (2 * y >> 32).
    vqdmlah.s32 q\quarter, q\quarter, r4
    vldrw.u32 q4, [q6, #place + 8]
    vrshl.s32 q\quarter, q\quarter, q4
.endr
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqmovnb.s32 q2, q2
    vqmovnt.s32 q2, q3
    ldr r4, [r12, #68]
    vqadd.s16 q0, q0, r4
    vqadd.s16 q2, q2, r4
    vqmovnb.s16 q0, q0
    vqmovnt.s16 q0, q2
    vpst
    vstrbt.8 q0, [r10]
    ldrd r0, r1, [r12, #32]
    add r8, r0
    add r10, r1
    subs r11, #1
    bne 5b
    @ The last record ends with the last channel.
    ldrd r4, r5, [r12, #16]
    subs r4, #1
    bmi 9f
    str r4, [r12, #16]
    it ne
    movne r5, #16
    ldrd r0, r1, [r12]
    add r0, r5
    add r1, r5
    strd r0, r1, [r12]
    ldrd r0, r1, [r12, #8]
    ldr r5, [r12, #24]
    add r0, r5
    add r1, r5
    strd r0, r1, [r12, #8]
    b 1b
9:
    add sp, #64
    vpop {d8-d15}
    pop {r4-r11, pc}
MVE_END nervelet_mve_lanes
