@ nervelet_depthwise(frame): one channel of four pixels at a time, any taps.
@
@ r2-r5 sums, r0 a table with the distances of each tap of the four pixels from the input at r11, r1 the weights.
@ Per tap of 4 sums: 10 instructions.

.equ DW_STREAM_END, 0
.equ DW_TABLE, 4
.equ DW_TABLE_END, 8
.equ DW_INPUT, 12
.equ DW_OUTPUT, 16
.equ DW_STRIDE, 20       @ from one output pixel to the next
.equ DW_ZERO_POINT, 24
.equ DW_ENTRY, 28        @ taps to skip on entry; then the address
.equ DW_PADDING, 32      @ bytes behind the weights
.equ DW_UNUSED, 36

BEGIN depthwise
 push {r4-r11, lr}
 ldmia.w r0, {r1-r11}
 push {r2-r11}
 mov r11, r5
 adr.w r0, depthwise_loop
 movs r3, #40
 mla r0, r9, r3, r0
 orr r0, r0, #1
 str r0, [sp, #DW_ENTRY]
depthwise_channel:
 ldr r2, [r1], #8
 mov r3, r2
 mov r4, r2
 mov r5, r2
 ldr r0, [sp, #DW_TABLE]
 ldr.w pc, [sp, #DW_ENTRY]
 .balign 4
depthwise_loop:
 .rept 9
 ldmia.w r0!, {r6-r9}
 ldrsb r10, [r1], #1
 ldrsb r6, [r11, r6]
 ldrsb r7, [r11, r7]
 ldrsb.w r8, [r11, r8]
 ldrsb.w r9, [r11, r9]
 mla r2, r6, r10, r2
 mla r3, r7, r10, r3
 mla r4, r8, r10, r4
 mla r5, r9, r10, r5
 .endr
 ldr r12, [sp, #DW_TABLE_END]
 cmp r0, r12
 bne.w depthwise_loop
 ldr r12, [sp, #DW_PADDING]
 add r1, r1, r12
 ldr r6, [r1], #4
 ldr r7, [r1], #4
 ldr r12, [sp, #DW_ZERO_POINT]
 REQUANTIZE r2, r6, r7, r12, r8
 REQUANTIZE r3, r6, r7, r12, r8
 REQUANTIZE r4, r6, r7, r12, r8
 REQUANTIZE r5, r6, r7, r12, r8
 ldr lr, [sp, #DW_STRIDE]
 STORE_4 r2, r3, r4, r5, r6, lr, r7, DW_OUTPUT
 add r11, r11, #1
 ldr r0, [sp, #DW_STREAM_END]
 cmp r1, r0
 bne.w depthwise_channel
 add sp, #40
 pop {r4-r11, pc}
END depthwise
