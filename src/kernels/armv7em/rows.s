@ nervelet_rows(frame): four rows of int8 weights over int16 inputs at a time, for any number of groups.
@
@ Two weights of an input share a halfword, 256 * odd + even, which is a factor as it is, in sums of 64 bits; the low
@ byte alone is the even row's weight, whose sum of 32 bits is exact. Their difference is 256 times the odd row's sum.
@
@ r0 the stream, r1 the inputs, r2 and r3 sums of the even rows, r5:r4 and r7:r6 those of both rows, r8-r11 weights,
@ r12 and lr four inputs. Per 4 inputs of 4 rows: 14 instructions for 16 multiply-accumulates.

.equ RW_STREAM, 0
.equ RW_STREAM_END, 4
.equ RW_INPUTS, 8
.equ RW_INPUTS_END, 12
.equ RW_RESULTS, 16
.equ RW_ENTRY, 20        @ units to skip on entry; then the address
.equ RW_UNITS, 8

BEGIN rows
 push {r4-r11, lr}
 ldmia.w r0, {r1-r6}
 push {r1-r6}
 adr.w r0, rows_loop
 movs r2, #56
 mla r0, r6, r2, r0
 orr r0, r0, #1
 str r0, [sp, #RW_ENTRY]
 mov r0, r1
rows_group:
 ldr r1, [sp, #RW_INPUTS]
 movs r2, #0
 movs r3, #0
 movs r4, #0
 movs r5, #0
 movs r6, #0
 movs r7, #0
 ldr.w pc, [sp, #RW_ENTRY]
 .balign 4
rows_loop:
 .rept RW_UNITS
 ldmia.w r0!, {r8-r11}
 ldmia.w r1!, {r12, lr}
 smlald r4, r5, r8, r12
 smlald r6, r7, r9, r12
 sxtb16 r8, r8
 sxtb16 r9, r9
 smlad r2, r8, r12, r2
 smlad r3, r9, r12, r3
 smlald r4, r5, r10, lr
 smlald r6, r7, r11, lr
 sxtb16 r10, r10
 sxtb16 r11, r11
 smlad r2, r10, lr, r2
 smlad r3, r11, lr, r3
 .endr
 ldr r12, [sp, #RW_INPUTS_END]
 cmp r1, r12
 bne.w rows_loop
 @ The odd rows' sums, of 32 bits, in r4 and r6.
 subs r4, r4, r2
 sbc r5, r5, r2, asr #31
 lsrs r4, r4, #8
 orr r4, r4, r5, lsl #24
 subs r6, r6, r3
 sbc r7, r7, r3, asr #31
 lsrs r6, r6, #8
 orr r6, r6, r7, lsl #24
 @ Biases and mantissas; the product's upper half, rounded, is the result of a shift of 32.
 ldmia.w r0!, {r5, r7-r12, lr}
 add r2, r2, r5
 smmulr r2, r2, r7
 add r4, r4, r8
 smmulr r4, r4, r9
 add r3, r3, r10
 smmulr r5, r3, r11
 add r6, r6, r12
 smmulr r6, r6, lr
 ldr r12, [sp, #RW_RESULTS]
 stmia.w r12!, {r2, r4-r6}
 str r12, [sp, #RW_RESULTS]
 ldr r12, [sp, #RW_STREAM_END]
 cmp r0, r12
 bne.w rows_group
 add sp, #24
 pop {r4-r11, pc}
