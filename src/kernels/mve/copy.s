@ r2 bytes from r1 to r0, r3 times; on the stack the steps of both.
MVE_BEGIN nervelet_mve_copy
    push {r4-r7, lr}
    ldrd r4, r5, [sp, #20]
1:
    mov r6, r0
    mov r7, r1
    wlstp.8 lr, r2, 3f
2:
    vldrb.u8 q0, [r7], #16
    vstrb.8 q0, [r6], #16
    letp lr, 2b
3:
    add r0, r4
    add r1, r5
    subs r3, #1
    bne 1b
    pop {r4-r7, pc}
MVE_END nervelet_mve_copy

@ r1 bytes of r2 from r0 on.
MVE_BEGIN nervelet_mve_fill
    push {r7, lr}
    vdup.8 q0, r2
    wlstp.8 lr, r1, 2f
1:
    vstrb.8 q0, [r0], #16
    letp lr, 1b
2:
    pop {r7, pc}
MVE_END nervelet_mve_fill

@ r1 bytes from r0 on brought between r2 and r3.
MVE_BEGIN nervelet_mve_clamp
    push {r7, lr}
    vdup.8 q1, r2
    vdup.8 q2, r3
    wlstp.8 lr, r1, 2f
1:
    vldrb.u8 q0, [r0]
    vmax.s8 q0, q0, q1
    vmin.s8 q0, q0, q2
    vstrb.8 q0, [r0], #16
    letp lr, 1b
2:
    pop {r7, pc}
MVE_END nervelet_mve_clamp
