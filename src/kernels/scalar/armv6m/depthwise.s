@ nervelet_depthwise(frame): one channel of four pixels at a time, any taps.
@
@ r8-r11 sums, r0 a table with the distances of each tap of the four pixels from the input at r2, r1 the weights (on
@ entry less by the taps that are skipped). Per tap of 4 sums: 15 instructions.

.equ DW_STREAM_END, 0
.equ DW_TABLE, 4
.equ DW_TABLE_END, 8
.equ DW_INPUT, 12
.equ DW_OUTPUT, 16
.equ DW_STRIDE, 20       @ from one output pixel to the next
.equ DW_ZERO_POINT, 24
.equ DW_ENTRY, 28        @ taps to skip on entry
.equ DW_PADDING, 32      @ bytes behind the weights
.equ DW_UNUSED, 36       @ the address of entry

BEGIN depthwise
 ENTER 11
 adr r0, depthwise_loop
 ldr r2, [sp, #DW_ENTRY]
 movs r3, #30
 muls r2, r3, r2
 adds r0, r0, r2
 str r0, [sp, #DW_UNUSED]
depthwise_channel:
 ldm r1!, {r2, r3}
 mov r8, r2
 mov r9, r2
 mov r10, r2
 mov r11, r2
 ldr r2, [sp, #DW_ENTRY]
 subs r1, r1, r2
 ldr r2, [sp, #DW_TABLE_END]
 mov r12, r2
 ldr r0, [sp, #DW_TABLE]
 ldr r2, [sp, #DW_INPUT]
 ldr r3, [sp, #DW_UNUSED]
 mov pc, r3
 .balign 4
depthwise_loop:
 .irp tap, 0, 1, 2, 3, 4, 5, 6, 7, 8
 ldm r0!, {r4-r7}
 ldrb r3, [r1, #\tap]
 sxtb r3, r3
 ldrsb r4, [r2, r4]
 ldrsb r5, [r2, r5]
 ldrsb r6, [r2, r6]
 ldrsb r7, [r2, r7]
 muls r4, r3, r4
 muls r5, r3, r5
 muls r6, r3, r6
 muls r7, r3, r7
 add r8, r8, r4
 add r9, r9, r5
 add r10, r10, r6
 add r11, r11, r7
 .endr
 adds r1, r1, #9
 cmp r0, r12
 beq depthwise_finish
 b depthwise_loop
depthwise_finish:
 adds r2, r2, #1
 str r2, [sp, #DW_INPUT]
 ldr r2, [sp, #DW_PADDING]
 adds r1, r1, r2
 ldm r1!, {r4, r6}
 SPLIT
 ldr r0, [sp, #DW_ZERO_POINT]
 mov lr, r0
 REQUANTIZE r8
 REQUANTIZE r9
 REQUANTIZE r10
 REQUANTIZE r11
 STORE_4 DW_OUTPUT, DW_STRIDE
 ldr r0, [sp, #DW_STREAM_END]
 cmp r1, r0
 beq 1f
 b depthwise_channel
1:
 LEAVE 11
END depthwise
