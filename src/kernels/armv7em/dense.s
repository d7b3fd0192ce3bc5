@ nervelet_dense(frame): two output channels of one pixel at a time.
@
@ Two weights of a channel share a halfword, h = 256 * even + odd, which is a factor as it is; only the odd ones are
@ sign-extended. With inputs x0 of even and x1 of odd weights
@     h * x0 + odd * (256 * x1 + 127 - x0) = 256 * (even * x0 + odd * x1) + 127 * odd
@ so sums are 256 times as large. The second factor is what two neighbouring inputs are in memory with seven bits of the
@ lower one turned over; the biases make up for the 127 and for the zero point of the inputs.
@
@ r2 and r3 sums, r4-r7 four words of weights (of 4 inputs each, the channels taking turns), r8-r11 the even inputs and
@ second factors they meet, r12 spare, r0 the inputs, r1 the weights, lr the output. Per 8 inputs of 2 sums: 14
@ instructions for 16 multiply-accumulates.

.equ DN_OUTPUT_END, 0    @ of whole pairs
.equ DN_ODD, 4           @ 1: a last channel, whose record begins one channel earlier
.equ DN_INPUTS, 8
.equ DN_INPUTS_END, 12
.equ DN_ANY, 16          @ 0 for a zero point of -128
.equ DN_ENTRY, 20        @ where units of eight inputs begin
.equ DN_FIRST, 24        @ the same, or where four inputs come before

.macro DN_WORD weights, even, odd, sum
 smlad \sum, \weights, \even, \sum
 sxtb16 r12, \weights
 smlad \sum, r12, \odd, \sum
.endm

BEGIN dense
 push {r4-r11, lr}
 ldmia.w r0, {r1-r6}
 mov lr, r2
 and r8, r3, #1
 add r7, r2, r3
 sub r7, r7, r8
 mov r9, r4
 add r10, r4, r5, lsl #3
 mov r11, r6
 @ The first round skips what is missing to units of 64 inputs, or all of them.
 lsrs r0, r5, #1
 rsb r2, r0, #0
 ite ne
 andne r2, r2, #7
 moveq r2, #8
 movs r3, #56
 adr.w r4, dense_loop
 mla r2, r2, r3, r4
 orr r2, r2, #1
 lsls r5, r5, #31
 mov r3, r2
 beq 1f
 adr.w r3, dense_half
 orr r3, r3, #1
1:
 push {r2, r3}
 push {r7-r11}
dense_record:
 ldr r0, [sp, #DN_INPUTS]
 ldmia r1!, {r2, r3}
 ldr.w pc, [sp, #DN_FIRST]
 .balign 4
dense_half:
 ldrd r4, r5, [r1], #8
 ldrd r8, r9, [r0], #8
 DN_WORD r4, r8, r9, r2
 DN_WORD r5, r8, r9, r3
 ldr.w pc, [sp, #DN_ENTRY]
 .balign 4
dense_loop:
 .rept 8
 ldmia.w r1!, {r4-r7}
 ldmia.w r0!, {r8-r11}
 DN_WORD r4, r8, r9, r2
 DN_WORD r5, r8, r9, r3
 DN_WORD r6, r10, r11, r2
 DN_WORD r7, r10, r11, r3
 .endr
 ldr r12, [sp, #DN_INPUTS_END]
 cmp r0, r12
 bne.w dense_loop
 ldmia.w r1!, {r4-r9}
 ldr r0, [sp, #DN_ANY]
 cbnz r0, 2f
 SCALE_RELU r2, r4, r5, r6
 SCALE_RELU r3, r7, r8, r9
1:
 bfi r2, r3, #8, #8
 strh r2, [lr], #2
 ldr r12, [sp, #DN_OUTPUT_END]
 cmp lr, r12
 bne.w dense_record
 ldr r2, [sp, #DN_ODD]
 cbz r2, 3f
 add r12, r12, r2
 sub lr, lr, r2
 str r12, [sp, #DN_OUTPUT_END]
 movs r2, #0
 str r2, [sp, #DN_ODD]
 b dense_record
2:
 SCALE r2, r4, r5, r6, r12
 SCALE r3, r7, r8, r9, r12
 b 1b
3:
 add sp, #28
 pop {r4-r11, pc}
END dense

@ nervelet_spread(codes: *const i8, count: usize, target: *mut u32)
@
@ Of each word of codes the even ones, sign-extended, and the word with seven bits of these turned over; behind the last
@ codes there are zeros.
BEGIN spread
 push {r4-r10, lr}
 mov r12, #0x7F007F
 subs r1, #16
 blo 2f
1:
 ldr r3, [r0], #4
 ldr r5, [r0], #4
 ldr r7, [r0], #4
 ldr r9, [r0], #4
 eor r4, r3, r12
 eor r6, r5, r12
 eor r8, r7, r12
 eor r10, r9, r12
 sxtb16 r3, r3
 sxtb16 r5, r5
 sxtb16 r7, r7
 sxtb16 r9, r9
 stmia r2!, {r3-r10}
 subs r1, #16
 bhs 1b
2:
 adds r1, #12
 bmi 4f
3:
 ldr r3, [r0], #4
 eor r4, r3, r12
 sxtb16 r3, r3
 stmia r2!, {r3, r4}
 subs r1, #4
 bpl 3b
4:
 adds r1, #3
 bmi 6f
 @ One, two or three codes: the last one first.
 movs r3, #0
5:
 ldrb r4, [r0, r1]
 orr r3, r4, r3, lsl #8
 subs r1, #1
 bpl 5b
 eor r4, r3, r12
 sxtb16 r3, r3
 stmia r2!, {r3, r4}
6:
 pop {r4-r10, pc}
END spread
