@ Sums of eight channels: r1 columns, r2 bytes apart, of r3 rows from r0 on; on the stack what a row ends before the next,
@ and where the 16-bit sums go.
    .balign 4
    .thumb_func
    .global nervelet_mve_sum_8
nervelet_mve_sum_8:
    push {r4, r5, r7, lr}
    ldrd r4, r5, [sp, #16]
    mov r7, #0
    vdup.16 q1, r7
1:
    dls lr, r1
2:
    vldrb.s16 q0, [r0]
    add r0, r2
    vadd.i16 q1, q1, q0
    le lr, 2b
    add r0, r4
    subs r3, #1
    bne 1b
    vstrh.16 q1, [r5]
    pop {r4, r5, r7, pc}
