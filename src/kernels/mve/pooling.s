@ Pooling of pixels in a row. r0: frame of codes, output, channels, columns, rows, bytes from column to column and from behind a
@ row to the next, half the number of taps, 2^24 by it, least and largest code, pixels, bytes from pixel to pixel.
@ r1: codes; r2: output; r3: channels left; r4, r5: columns, rows; r6, r7: steps; r10: pixels left; r11: from pixel to pixel;
@ q2, q3: range.
.macro MVE_POOL_ENTER
    push {r4-r11, lr}
    ldm r0!, {r1-r11}
    vdup.8 q2, r10
    vdup.8 q3, r11
    ldm r0, {r10, r11}
    vpush {d8-d9}
    push {r1, r3}
.endm

@ On to the next pixel; the last of its channels went where the next one's begin.
.macro MVE_POOL_LEAVE start
    ldrd r1, r3, [sp]
    add r1, r11
    str r1, [sp]
    subs r10, #1
    bne \start
    add sp, #8
    vpop {d8-d9}
    pop {r4-r11, pc}
.endm

@ The largest of sixteen channels.
MVE_BEGIN nervelet_mve_max_pool
    MVE_POOL_ENTER
1:
    vctp.8 r3
    vmov.i8 q0, #0x80
    mov r0, r1
    mov r12, r5
2:
    dls lr, r4
3:
    vpst
    vldrbt.u8 q1, [r0]
    vmax.s8 q0, q0, q1
    add r0, r6
    le lr, 3b
    add r0, r7
    subs r12, #1
    bne 2b
    vmax.s8 q0, q0, q2
    vmin.s8 q0, q0, q3
    vpst
    vstrbt.8 q0, [r2], #16
    adds r1, #16
    subs r3, #16
    bgt 1b
    add r2, r3
    MVE_POOL_LEAVE 1b
MVE_END nervelet_mve_max_pool

@ The rounded means of eight channels from their sums of 16 bits. Halves go away from zero; a product with 2^24 by the number
@ of taps, rounded up, has the quotient in its upper bits (see the caller).
MVE_BEGIN nervelet_mve_average_pool
    MVE_POOL_ENTER
    vmovlb.s8 q2, q2
    vmovlb.s8 q3, q3
1:
    vmov.i16 q0, #0
    mov r0, r1
    mov r12, r5
2:
    dls lr, r4
3:
    vldrb.s16 q1, [r0]
    vadd.i16 q0, q0, q1
    add r0, r6
    le lr, 3b
    add r0, r7
    subs r12, #1
    bne 2b
    vabs.s16 q1, q0
    vadd.i16 q1, q1, r8
    vmovlt.u16 q4, q1
    vmul.i32 q4, q4, r9
    vmovlb.u16 q1, q1
    vmul.i32 q1, q1, r9
    vshr.u32 q4, q4, #24
    vshr.u32 q1, q1, #24
    vmovnt.i32 q1, q4
    @ As negative as the sum.
    vshr.s16 q0, q0, #15
    veor q1, q1, q0
    vsub.i16 q0, q1, q0
    vmax.s16 q0, q0, q2
    vmin.s16 q0, q0, q3
    vstrb.16 q0, [r2], #8
    subs r3, #8
    ble 4f
    @ The last eight channels may overlap the ones before.
    rsb r0, r3, #8
    bic r0, r0, r0, asr #31
    add r3, r0
    subs r2, r2, r0
    rsb r0, r0, #8
    add r1, r0
    b 1b
4:
    MVE_POOL_LEAVE 1b
MVE_END nervelet_mve_average_pool
