@ From rows of pixels to planes: the channels of a pixel, eight or as many as the frame says, go to the same place of as many
@ planes.
@ r0: frame of source, target, source step, target step, pixels, rows, source row step, target row step, channels, eight
@ distances.
.macro MVE_SPREAD name, few
MVE_BEGIN \name
    push {r4-r11, lr}
    ldm r0!, {r1-r9}
    vldrh.u16 q1, [r0]
    vctp.16 r9
1:
    mov r0, r1
    mov r10, r2
    dls lr, r5
2:
.if \few
    vpst
    vldrbt.u16 q0, [r0]
.else
    vldrb.u16 q0, [r0]
.endif
    vstrb.16 q0, [r10, q1]
    add r0, r3
    add r10, r4
    le lr, 2b
    add r1, r7
    add r2, r8
    subs r6, #1
    bne 1b
    pop {r4-r11, pc}
MVE_END \name
.endm

MVE_SPREAD nervelet_mve_spread, 0
MVE_SPREAD nervelet_mve_spread_few, 1

@ Eight outputs of each of some channels, by one vector product each. r1: plane; r3: stream; r5: output; r7: blocks left
@ before the last; r9: 1 where a channel shifts right; r11: from block to block of outputs; q4: the weights; q5: the same
@ one byte on; q6: the zero point; q7: where eight codes go; p0: which of them.
.macro MVE_DEPTHWISE_ENTER
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #24
    ldr r2, [r0, #36]
    vdup.16 q6, r2
    vldrh.u16 q7, [r0, #44]
    ldr r2, [r0, #40]
    vmsr p0, r2
    ldrd r1, r3, [r0]
    ldrd r5, r7, [r0, #8]
    strd r1, r5, [sp]
    ldrd r2, r11, [r0, #16]
    strd r7, r2, [sp, #8]
    str r0, [sp, #16]
.endm

.macro MVE_DEPTHWISE_CHANNEL
    vldrw.u32 q4, [r3], #16
    vmov q5, q4
    mov r0, #0
    vshlc q5, r0, #8
    ldr r9, [r3, #8]
    lsr r9, #31
    ldr r7, [sp, #12]
.endm

@ Sums of one channel become codes; then the next block, which begins `step` bytes on in the plane.
.macro MVE_DEPTHWISE_FINISH step, block, channel
    vmov d0, r0, r2
    vmov d1, r4, r6
    vmov d2, r8, r10
    vmov d3, r12, lr
    @ Bias, mantissa, exponent.
    ldm r3, {r0, r2, r4}
    vadd.i32 q0, q0, r0
    vadd.i32 q1, q1, r0
    vqrdmulh.s32 q0, q0, r2
    vqrdmulh.s32 q1, q1, r2
    vqdmlah.s32 q0, q0, r9
    vqdmlah.s32 q1, q1, r9
    vrshl.s32 q0, r4
    vrshl.s32 q1, r4
    vqmovnb.s32 q2, q0
    vqmovnt.s32 q2, q1
    vqadd.s16 q2, q2, q6
    vqmovnb.s16 q2, q2
    vpst
    vstrbt.16 q2, [r5, q7]
    add r1, #\step
    add r5, r11
    subs r7, #1
    bgt \block
    bmi 3f
    @ The last block ends with the last output.
    ldr r0, [sp, #16]
    ldrd r2, r4, [r0, #24]
    ldrd r1, r5, [sp]
    add r1, r2
    add r5, r4
    b \block
3:
    ldr r0, [sp, #16]
    ldr r0, [r0, #32]
    ldrd r1, r5, [sp]
    add r1, r0
    add r5, #1
    strd r1, r5, [sp]
    add r3, #12
    ldr r2, [sp, #8]
    subs r2, #1
    str r2, [sp, #8]
    bne \channel
    add sp, #24
    vpop {d8-d15}
    pop {r4-r11, pc}
.endm

@ 3 x 3 with stride 1: two columns of four rows, of which one vector serves two.
MVE_BEGIN nervelet_mve_planes
    MVE_DEPTHWISE_ENTER
1:
    MVE_DEPTHWISE_CHANNEL
2:
    vldrb.u8 q0, [r1]
    vldrb.u8 q1, [r1, #2]
    vldrb.u8 q2, [r1, #6]
    vldrb.u8 q3, [r1, #8]
    vmladav.s8 r0, q0, q4
    vmladav.s8 r2, q0, q5
    vmladav.s8 r4, q1, q4
    vmladav.s8 r6, q1, q5
    vmladav.s8 r8, q2, q4
    vmladav.s8 r10, q2, q5
    vmladav.s8 r12, q3, q4
    vmladav.s8 lr, q3, q5
    MVE_DEPTHWISE_FINISH 12, 2b, 1b
MVE_END nervelet_mve_planes

@ Eight outputs at eight distances.
.macro MVE_DEPTHWISE_APART a, b, c, d, e, f, g, h
    vldrb.u8 q0, [r1, #\a]
    vldrb.u8 q1, [r1, #\b]
    vldrb.u8 q2, [r1, #\c]
    vldrb.u8 q3, [r1, #\d]
    vmladav.s8 r0, q0, q4
    vmladav.s8 r2, q1, q4
    vmladav.s8 r4, q2, q4
    vmladav.s8 r6, q3, q4
    vldrb.u8 q0, [r1, #\e]
    vldrb.u8 q1, [r1, #\f]
    vldrb.u8 q2, [r1, #\g]
    vldrb.u8 q3, [r1, #\h]
    vmladav.s8 r8, q0, q4
    vmladav.s8 r10, q1, q4
    vmladav.s8 r12, q2, q4
    vmladav.s8 lr, q3, q4
.endm

@ 3 x 3 with stride 2: four columns of two rows.
MVE_BEGIN nervelet_mve_planes_2
    MVE_DEPTHWISE_ENTER
1:
    MVE_DEPTHWISE_CHANNEL
2:
    MVE_DEPTHWISE_APART 0, 2, 12, 14, 24, 26, 36, 38
    MVE_DEPTHWISE_FINISH 48, 2b, 1b
MVE_END nervelet_mve_planes_2

@ One column of taps: eight rows.
MVE_BEGIN nervelet_mve_columns
    MVE_DEPTHWISE_ENTER
1:
    MVE_DEPTHWISE_CHANNEL
2:
    MVE_DEPTHWISE_APART 0, 1, 2, 3, 4, 5, 6, 7
    MVE_DEPTHWISE_FINISH 8, 2b, 1b
MVE_END nervelet_mve_columns
