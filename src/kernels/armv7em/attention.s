@ Attention over operands that are laid out in pairs; see blocked_attention.rs.

@ nervelet_scores(frame): scores of two queries with all pairs of keys.
@ r0 keys, r1 queries, r4-r11 the four sums of 64 bits, r2, r3 queries, r12, lr keys: 6 instructions for 8 products.
.equ SC_KEYS, 0
.equ SC_KEYS_END, 4
.equ SC_QUERIES, 8
.equ SC_QUERIES_END, 12
.equ SC_ROW, 16
.equ SC_RIGHT, 20        @ the shift, and 32 less the shift
.equ SC_LEFT, 24
.equ SC_HALF, 28
.equ SC_LARGEST, 32      @ two words
.equ SC_ENTRY, 40        @ units to skip on entry; then the address
.equ SC_FRAME, 44

BEGIN scores
 push {r0, r4-r11, lr}
 sub sp, #SC_FRAME
 mov r12, sp
 ldmia r0!, {r1-r6}
 stmia.w r12!, {r1-r6}
 ldmia.w r0, {r1-r5}
 adr.w r6, scores_loop
 movs r7, #24
 mla r5, r5, r7, r6
 orr r5, r5, #1
 stmia.w r12, {r1-r5}
 ldr r0, [sp, #SC_KEYS]
scores_block:
 ldr r4, [sp, #SC_HALF]
 ldr r1, [sp, #SC_QUERIES]
 movs r5, #0
 mov r6, r4
 movs r7, #0
 mov r8, r4
 mov r9, r5
 mov r10, r4
 mov r11, r5
 ldr.w pc, [sp, #SC_ENTRY]
 .balign 4
scores_loop:
 .rept 4
 ldmia.w r1!, {r2, r3}
 ldmia.w r0!, {r12, lr}
 smlald r4, r5, r2, r12
 smlald r6, r7, r3, r12
 smlald r8, r9, r2, lr
 smlald r10, r11, r3, lr
 .endr
 ldr r2, [sp, #SC_QUERIES_END]
 cmp r1, r2
 bne.w scores_loop
 ldrd r2, r3, [sp, #SC_RIGHT]
 lsrs r4, r2
 lsls r5, r3
 orrs r4, r5
 lsrs r6, r2
 lsls r7, r3
 orr r5, r6, r7
 lsr r8, r8, r2
 lsl r9, r9, r3
 orr r6, r8, r9
 lsr r10, r10, r2
 lsl r11, r11, r3
 orr r7, r10, r11
 ldr r12, [sp, #SC_ROW]
 ldrd r2, r3, [sp, #SC_LARGEST]
 stmia.w r12!, {r4-r7}
 str r12, [sp, #SC_ROW]
 cmp r4, r2
 it gt
 movgt r2, r4
 cmp r6, r2
 it gt
 movgt r2, r6
 cmp r5, r3
 it gt
 movgt r3, r5
 cmp r7, r3
 it gt
 movgt r3, r7
 strd r2, r3, [sp, #SC_LARGEST]
 ldr r2, [sp, #SC_KEYS_END]
 cmp r0, r2
 bne.w scores_block
 ldr r0, [sp, #SC_FRAME]
 ldrd r2, r3, [sp, #SC_LARGEST]
 strd r2, r3, [r0, #SC_LARGEST]
 add sp, #SC_FRAME
 pop {r0, r4-r11, pc}
END scores

@ nervelet_powers(frame) -> u32: powers of one query's scores in place, and their sum.
@
@ The entry of the table and the next one are one word; a dual product with 64 - f and f interpolates. The carry of the
@ last shift rounds, and is clear where nothing is shifted out: the addition before leaves it so.
@ r0 score, r1 end, r2 largest, r3 mantissa, r4 half, r5 shift, r6 table, r7 sum, r8 the rounding of an interpolation.
.macro PW_ELEMENT
 ldr r9, [r0]
 sub r9, r2, r9
 umull r10, r9, r9, r3
 adds r9, r9, r4
 lsr.w r9, r9, r5
 usat r9, #17, r9
 ubfx r10, r9, #6, #6
 ldr.w r10, [r6, r10, lsl #1]
 and r11, r9, #63
 rsb r12, r11, #64
 pkhbt r12, r12, r11, lsl #16
 smlad r10, r10, r12, r8
 lsr.w r9, r9, #12
 lsr.w r10, r10, #6
 lsrs.w r10, r10, r9
 adc r10, r10, #0
 add.w r7, r7, r10
 str r10, [r0], #8
.endm

BEGIN powers
 push {r4-r11, lr}
 ldmia.w r0, {r0-r6}
 movs r7, #0
 mov r8, #32
 sub r12, r1, r0
 ubfx r12, r12, #3, #2
 @ The elements that don't fill a round of four come first.
 movs lr, r12
 beq 2f
1:
 PW_ELEMENT
 subs lr, lr, #1
 bne 1b
 cmp r0, r1
 beq 3f
2:
 .rept 4
 PW_ELEMENT
 .endr
 cmp r0, r1
 bne.w 2b
3:
 mov r0, r7
 pop {r4-r11, pc}
END powers

@ nervelet_probabilities(row, end, sums): powers of two queries, key by key, become words of two keys.
BEGIN probabilities
 push {r4-r11, lr}
 ldrd r8, r9, [r2]
 lsr r10, r8, #1
 lsr r11, r9, #1
 mov r12, r0
1:
 ldmia r0!, {r4-r7}
 add r4, r10, r4, lsl #15
 add r5, r11, r5, lsl #15
 add r6, r10, r6, lsl #15
 add r7, r11, r7, lsl #15
 udiv r4, r4, r8
 udiv r5, r5, r9
 udiv r6, r6, r8
 udiv r7, r7, r9
 usat r4, #15, r4
 usat r5, #15, r5
 usat r6, #15, r6
 usat r7, #15, r7
 pkhbt r4, r4, r6, lsl #16
 pkhbt r5, r5, r7, lsl #16
 stmia.w r12!, {r4, r5}
 cmp r0, r1
 bne 1b
 pop {r4-r11, pc}
END probabilities

@ nervelet_context(frame): four columns of two queries over the keys.
@ r0 probabilities, r1 values, r4-r11 sums, r2, r3 probabilities, r12, lr values: 11 instructions for 16 products.
.equ CO_PROBABILITIES, 0
.equ CO_END, 4
.equ CO_VALUES, 8
.equ CO_MANTISSA, 12
.equ CO_HALF, 16
.equ CO_RIGHT, 20
.equ CO_ZERO_POINT, 24
.equ CO_RESULTS, 28
.equ CO_ENTRY, 32

.macro CO_FINISH sum
 smull r12, \sum, \sum, r0
 add.w \sum, \sum, r1
 asr.w \sum, \sum, r2
 add.w \sum, \sum, r3
.endm

BEGIN context
 push {r0, r4-r11, lr}
 ldr r2, [r0, #CO_END]
 ldr r3, [r0, #CO_ENTRY]
 adr.w r4, context_loop
 movs r5, #44
 mla r3, r3, r5, r4
 orr r3, r3, #1
 push {r2}
 ldr r1, [r0, #CO_VALUES]
 ldr r0, [r0]
 movs r4, #0
 movs r5, #0
 movs r6, #0
 movs r7, #0
 mov r8, r4
 mov r9, r4
 mov r10, r4
 mov r11, r4
 bx r3
 .balign 4
context_loop:
 .rept 4
 ldmia.w r0!, {r2, r3}
 ldmia.w r1!, {r12, lr}
 smlad r4, r2, r12, r4
 smlad r8, r3, r12, r8
 smlad r5, r2, lr, r5
 smlad r9, r3, lr, r9
 ldmia.w r1!, {r12, lr}
 smlad r6, r2, r12, r6
 smlad r10, r3, r12, r10
 smlad r7, r2, lr, r7
 smlad r11, r3, lr, r11
 .endr
 ldr r2, [sp]
 cmp r0, r2
 bne.w context_loop
 ldr lr, [sp, #4]
 add lr, lr, #CO_MANTISSA
 ldmia.w lr, {r0-r3, lr}
 CO_FINISH r4
 CO_FINISH r5
 CO_FINISH r6
 CO_FINISH r7
 CO_FINISH r8
 CO_FINISH r9
 CO_FINISH r10
 CO_FINISH r11
 stmia.w lr, {r4-r11}
 add sp, #4
 pop {r0, r4-r11, pc}
END context
