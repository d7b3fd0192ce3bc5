@ nervelet_dense_triples(frame): three output channels of one pixel at a time, a weight and an input a multiplication.
@
@ r2-r4 sums, r0 walks the inputs up to r12, r1 the weights of the first channel, r10 and r11 the bytes to those of the
@ others, r9 the zero point, lr the output. Per input: 7 instructions for 3 multiply-accumulates.

.equ DT_ENTRY, 0
.equ DT_INPUTS, 4
.equ DT_BEHIND, 8        @ bytes from the end of the first channel's weights to the multipliers
.equ DT_LAST, 12         @ where the last codes go
.equ DT_RECORDS, 16      @ before the last

BEGIN dense_triples
 push {r4-r11, lr}
 sub sp, #20
 ldmia r0, {r1-r8}
 mov lr, r2
 strd r3, r8, [sp, #DT_LAST]
 mov r9, r7
 mov r10, r6
 lsl r11, r6, #1
 add r12, r4, r5
 add r7, r6, r11
 subs r7, r7, r5
 strd r4, r7, [sp, #DT_INPUTS]
 @ The first round skips what is missing to four inputs.
 rsbs r5, r5, #0
 and r5, r5, #3
 movs r0, #28
 adr.w r6, triples_loop
 mla r0, r5, r0, r6
 orr r0, r0, #1
 str r0, [sp, #DT_ENTRY]
 @ The only record is the last one.
 cmp r8, #0
 it eq
 moveq lr, r3
triples_record:
 ldmia r1!, {r2-r4}
 ldr r0, [sp, #DT_INPUTS]
 ldr.w pc, [sp, #DT_ENTRY]
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
 ldr r0, [sp, #DT_RECORDS]
 subs r0, #1
 str r0, [sp, #DT_RECORDS]
 it eq
 ldreq lr, [sp, #DT_LAST]
 bpl triples_record
 add sp, #20
 pop {r4-r11, pc}
END dense_triples
