@ nervelet_rows(frame): four rows of int8 weights over int16 inputs at a time, for any number of groups.
@
@ Two weights of an input share a halfword, 256 * odd + even: its low byte is the even row's weight, and the high byte
@ of 128 more the odd row's.
@
@ r0 the stream, r1 the inputs up to lr, r2-r5 sums, r6 and r7 two inputs, r8-r11 weights. Per 4 inputs of 4 rows: 45
@ instructions for 16 multiply-accumulates.

.equ RW_STREAM, 0
.equ RW_STREAM_END, 4
.equ RW_INPUTS, 8
.equ RW_INPUTS_END, 12
.equ RW_RESULTS, 16
.equ RW_ENTRY, 20        @ units to skip on entry; then the address
.equ RW_UNITS, 2

@ Two rows for the inputs r6 and r7.
.macro RW_PAIR word, even, odd
 sxtb r12, \word
 mla \even, r12, r6, \even
 sxtb r12, \word, ror #16
 mla \even, r12, r7, \even
 add r12, \word, #0x80
 sbfx r12, r12, #8, #8
 mla \odd, r12, r6, \odd
 add \word, \word, #0x800000
 asr \word, \word, #24
 mla \odd, \word, r7, \odd
.endm

@ Finishes the sum with its bias and mantissa: the product's upper half, rounded, is the result of a shift of 32.
.macro RW_FINISH sum, bias, mantissa
 add \sum, \sum, \bias
 smull \bias, \sum, \sum, \mantissa
 add \sum, \sum, \bias, lsr #31
.endm

BEGIN rows
 push {r4-r11, lr}
 ldmia.w r0, {r1-r6}
 push {r1-r6}
 adr.w r0, rows_loop
 movs r2, #180
 mla r0, r6, r2, r0
 orr r0, r0, #1
 str r0, [sp, #RW_ENTRY]
 mov lr, r4
 mov r0, r1
rows_group:
 ldr r1, [sp, #RW_INPUTS]
 movs r2, #0
 movs r3, #0
 movs r4, #0
 movs r5, #0
 ldr.w pc, [sp, #RW_ENTRY]
 .balign 4
rows_loop:
 .rept RW_UNITS
 ldmia.w r0!, {r8-r11}
 ldrsh r6, [r1], #2
 ldrsh r7, [r1], #2
 RW_PAIR r8, r2, r3
 RW_PAIR r9, r4, r5
 ldrsh r6, [r1], #2
 ldrsh r7, [r1], #2
 RW_PAIR r10, r2, r3
 RW_PAIR r11, r4, r5
 .endr
 cmp r1, lr
 bne.w rows_loop
 ldmia.w r0!, {r6-r11}
 RW_FINISH r2, r6, r7
 RW_FINISH r3, r8, r9
 RW_FINISH r4, r10, r11
 ldmia.w r0!, {r6, r7}
 RW_FINISH r5, r6, r7
 ldr r12, [sp, #RW_RESULTS]
 stmia.w r12!, {r2-r5}
 str r12, [sp, #RW_RESULTS]
 ldr r12, [sp, #RW_STREAM_END]
 cmp r0, r12
 bne.w rows_group
 add sp, #24
 pop {r4-r11, pc}
END rows
