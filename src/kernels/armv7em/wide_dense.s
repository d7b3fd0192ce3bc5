@ nervelet_wide_dense_N(frame): N output channels of one row of inputs at a time, N from 1 to 4, weights of 16 bits.
@
@ Inputs are sign-extended as they come, the even and the odd ones of four; weights are pairs that meet these, 256 times as
@ large, first those of all channels for the even inputs, then those for the odd ones. Biases make up for the zero point.
@ Per 4 inputs: 3 instructions, and 1.5 (N = 1) to 2.5 a channel.
@
@ r4-r7 sums, r8-r11 weights, r2 and r3 inputs, r0 the inputs, r1 the weights, r12 the end of whole words, lr the output.

.equ WD_INPUTS, 0
.equ WD_ENTRY, 4         @ where units of four inputs begin
.equ WD_MISSING, 8       @ inputs that a last word lacks; 0: there is none
.equ WD_RECORDS, 12
.equ WD_SHARED, 16       @ channels that the last record computes once more

@ The even and the odd ones of the codes in r3, times their weights.
.macro WD_PRODUCTS lanes
 sxtb16 r2, r3
 sxtb16 r3, r3, ror #8
 .if \lanes == 4
 ldmia.w r1!, {r8-r11}
 smlad r4, r8, r2, r4
 smlad r5, r9, r2, r5
 smlad r6, r10, r2, r6
 smlad r7, r11, r2, r7
 ldmia.w r1!, {r8-r11}
 smlad r4, r8, r3, r4
 smlad r5, r9, r3, r5
 smlad r6, r10, r3, r6
 smlad r7, r11, r3, r7
 .elseif \lanes == 3
 ldmia.w r1!, {r8-r10}
 smlad r4, r8, r2, r4
 smlad r5, r9, r2, r5
 smlad r6, r10, r2, r6
 ldmia.w r1!, {r8-r10}
 smlad r4, r8, r3, r4
 smlad r5, r9, r3, r5
 smlad r6, r10, r3, r6
 .elseif \lanes == 2
 ldmia.w r1!, {r8-r11}
 smlad r4, r8, r2, r4
 smlad r5, r9, r2, r5
 smlad r4, r10, r3, r4
 smlad r5, r11, r3, r5
 .else
 ldrd r8, r9, [r1], #8
 smlad r4, r8, r2, r4
 smlad r4, r9, r3, r4
 .endif
.endm

.macro WD_FINISH sum
 ldmia.w r1!, {r8-r10}
 SCALE \sum, r8, r9, r10, r2
 strb \sum, [lr], #1
.endm

.macro WIDE_DENSE lanes, unit
BEGIN wide_dense_\lanes
 push {r4-r11, lr}
 ldmia.w r0, {r1, r3-r7, lr}
 add r12, r3, r4, lsl #2
 @ The first round skips what is missing to units of four words.
 rsb r4, r4, #0
 and r4, r4, #3
 movs r8, #\unit
 adr.w r9, wide_dense_loop_\lanes + 1
 mla r4, r4, r8, r9
 push {r3-r7}
wide_dense_record_\lanes:
 ldr r0, [sp, #WD_INPUTS]
 .if \lanes == 4
 ldmia r1!, {r4-r7}
 .elseif \lanes == 3
 ldmia r1!, {r4-r6}
 .elseif \lanes == 2
 ldmia r1!, {r4, r5}
 .else
 ldr r4, [r1], #4
 .endif
 ldr.w pc, [sp, #WD_ENTRY]
 .balign 4
wide_dense_loop_\lanes:
 .rept 4
 ldr.w r3, [r0], #4
 WD_PRODUCTS \lanes
 .endr
 cmp r0, r12
 bne.w wide_dense_loop_\lanes
 ldr r2, [sp, #WD_MISSING]
 cbz r2, 1f
 @ The last word ends with the inputs: what it has of the word before is shifted out.
 sub r0, r0, r2
 lsls r2, r2, #3
 ldr r3, [r0]
 lsrs r3, r2
 WD_PRODUCTS \lanes
1:
 WD_FINISH r4
 .if \lanes > 1
 WD_FINISH r5
 .endif
 .if \lanes > 2
 WD_FINISH r6
 .endif
 .if \lanes > 3
 WD_FINISH r7
 ldrd r2, r3, [sp, #WD_RECORDS]
 subs r2, r2, #1
 beq 2f
 str r2, [sp, #WD_RECORDS]
 cmp r2, #1
 it eq
 subeq lr, lr, r3
 b wide_dense_record_\lanes
2:
 .endif
 add sp, #20
 pop {r4-r11, pc}
END wide_dense_\lanes
.endm

WIDE_DENSE 1, 24
WIDE_DENSE 2, 32
WIDE_DENSE 3, 44
WIDE_DENSE 4, 52
