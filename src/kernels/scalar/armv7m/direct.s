@ nervelet_dense_triples(frame), nervelet_dense_singles(frame): three output channels of one pixel at a time, or one, a
@ weight and an input a multiplication.
@
@ Both begin with r1 stream, r2 inputs, r3 how many, r4 where the last record's codes go, r5 bytes behind a channel's
@ weights, lr the output. The first round of a record skips what is missing to four inputs.

@ The address in `entry` where the first round begins; uses `spare` and `base`.
.macro DT_ENTRY loop, bytes, entry, spare, base
 rsbs \entry, r3, #0
 and \entry, \entry, #3
 movs \spare, #\bytes
 adr.w \base, \loop
 mla \entry, \entry, \spare, \base
 orr \entry, \entry, #1
.endm

@ r2-r4 sums, r0 walks the inputs up to r12, r1 the weights of the first channel, r10 and r11 the bytes to those of the
@ others, r9 the zero point. Per input: 7 instructions for 3 multiply-accumulates.
.equ DT_INPUTS, 0
.equ DT_LAST, 4
.equ DT_BEHIND, 8        @ bytes from the end of the first channel's weights to the multipliers
.equ DT_ROUND, 12        @ where the first round begins

BEGIN dense_triples
 push {r4-r11, lr}
 ldmia.w r0, {r1-r5, r9, r10, lr}
 lsl r11, r10, #1
 add r12, r2, r3
 add r5, r5, r11
 DT_ENTRY triples_loop, 28, r6, r7, r8
 mov r3, r4
 mov r4, r5
 mov r5, r6
 push {r2-r5}
triples_record:
 ldmia r1!, {r2-r4}
 ldr r0, [sp, #DT_INPUTS]
 ldr.w pc, [sp, #DT_ROUND]
 .balign 4
triples_loop:
 .rept 4
 ldrsb r5, [r0], #1
 ldrsb.w r6, [r1, r10]
 ldrsb.w r7, [r1, r11]
 ldrsb r8, [r1], #1
 mla r3, r6, r5, r3
 mla r4, r7, r5, r4
 mla r2, r8, r5, r2
 .endr
 cmp r0, r12
 bne triples_loop
 ldr r0, [sp, #DT_BEHIND]
 add r1, r1, r0
 ldmia r1!, {r5-r8}
 REQUANTIZE r2, r5, r6, r9, r0
 REQUANTIZE r3, r7, r8, r9, r0
 ldmia r1!, {r5, r6}
 REQUANTIZE r4, r5, r6, r9, r0
 strb r2, [lr], #1
 strb r3, [lr], #1
 strb r4, [lr], #1
 ldr r0, [sp, #DT_LAST]
 cmp lr, r0
 bls triples_record
 @ What is left are channels that end with the last one.
 sub r2, lr, r0
 mov lr, r0
 cmp r2, #3
 bne triples_record
 add sp, #16
 pop {r4-r11, pc}
END dense_triples

@ r6 the sum, r0 walks the inputs up to r12, r1 the weights, r7 the zero point. Per input: 3 instructions.
BEGIN dense_singles
 push {r4-r9, lr}
 ldmia.w r0, {r1-r5, r7, r8, lr}
 add r12, r2, r3
 DT_ENTRY singles_loop, 12, r3, r8, r9
singles_record:
 ldr r6, [r1], #4
 mov r0, r2
 bx r3
 .balign 4
singles_loop:
 .rept 4
 ldrsb r8, [r0], #1
 ldrsb r9, [r1], #1
 mla r6, r8, r9, r6
 .endr
 cmp r0, r12
 bne singles_loop
 add r1, r1, r5
 ldmia.w r1!, {r8, r9}
 REQUANTIZE r6, r8, r9, r7, r0
 strb r6, [lr], #1
 cmp lr, r4
 bls singles_record
 pop {r4-r9, pc}
END dense_singles
