@ nervelet_dense(frame): sums of two output channels of one pixel at a time, two channels a multiplication.
@
@ A word has two weights of each channel as bytes that are 128 too large; every other byte makes a factor a + 65536 * b.
@ The words of two inputs are followed by what makes up for that, 32768 - 128 * 65537 * (x0 + x1), where the sum starts;
@ behind the second two it is less by 32768, so that a chunk of four begins once. r2 and r3 as in matrix.s.
@ Per 4 inputs of 2 sums: 13 instructions (15 by twos).

.equ DN_STREAM_END, 0
.equ DN_INPUTS, 4
.equ DN_SUMS, 8
.equ DN_WEIGHTS, 12      @ bytes of weights for the inputs
.equ DN_STEP, 16         @ bytes from the end of these to the next record's
.equ DN_FOURS, 20        @ units to skip on entry; then the address
.equ DN_TWOS, 24
.equ DN_FOURS_START, 28
.equ DN_TWOS_START, 32
.equ DN_CHUNK, 36        @ bytes from a record's weights back to its chunk
.equ DN_WEIGHTS_END, 40

.macro DN_MULTIPLY word, first, second, start
 and r9, r12, \word
 and \word, r12, \word, lsr #8
 mla \start, r9, \first, \start
 mla \start, \word, \second, \start
.endm

.macro DN_TAKE sum
 add.w r2, r2, \sum
 add.w r3, r3, \sum, asr #16
.endm

BEGIN dense
 push {r4-r11, lr}
 ldmia.w r0, {r1-r12}
 push {r2-r12}
 adr.w r0, dense_fours
 ldr r2, [sp, #DN_FOURS]
 movs r3, #52
 mla r0, r2, r3, r0
 orr r0, r0, #1
 str r0, [sp, #DN_FOURS]
 adr.w r0, dense_twos
 ldr r2, [sp, #DN_TWOS]
 movs r3, #60
 mla r0, r2, r3, r0
 orr r0, r0, #1
 str r0, [sp, #DN_TWOS]
 mov r12, #0x00FF00FF
dense_record:
 ldr r0, [sp, #DN_SUMS]
 ldrd r2, r3, [r0]
 add r2, r2, r3, lsl #16
 ldr r0, [sp, #DN_CHUNK]
 sub r0, r1, r0
 ldr r4, [r0]
 ldr r0, [sp, #DN_WEIGHTS]
 add r0, r0, r1
 str r0, [sp, #DN_WEIGHTS_END]
 ldr r0, [sp, #DN_INPUTS]
 cmp r4, #0
 beq 1f
 ldr r4, [sp, #DN_FOURS_START]
 sub r2, r2, r4
 ldr.w pc, [sp, #DN_FOURS]
1:
 ldr r4, [sp, #DN_TWOS_START]
 sub r2, r2, r4
 ldr.w pc, [sp, #DN_TWOS]
 .balign 4
dense_fours:
 .rept 8
 ldmia.w r0!, {r4-r6, r7, r8, r10}
 ldrd r11, lr, [r1], #8
 DN_MULTIPLY r11, r4, r5, r6
 add.w r6, r6, r10
 DN_MULTIPLY lr, r7, r8, r6
 DN_TAKE r6
 .endr
 ldr r4, [sp, #DN_WEIGHTS_END]
 cmp r1, r4
 bne.w dense_fours
 b.w dense_finish
 .balign 4
dense_twos:
 .rept 8
 ldmia.w r0!, {r4-r6, r7, r8, r10}
 ldrd r11, lr, [r1], #8
 DN_MULTIPLY r11, r4, r5, r6
 DN_TAKE r6
 add.w r10, r10, #32768
 DN_MULTIPLY lr, r7, r8, r10
 DN_TAKE r10
 .endr
 ldr r4, [sp, #DN_WEIGHTS_END]
 cmp r1, r4
 bne.w dense_twos
dense_finish:
 sub r2, r2, r3, lsl #16
 ldr r0, [sp, #DN_SUMS]
 strd r2, r3, [r0], #8
 str r0, [sp, #DN_SUMS]
 ldr r0, [sp, #DN_STEP]
 add r1, r1, r0
 ldr r0, [sp, #DN_STREAM_END]
 cmp r1, r0
 bne.w dense_record
 add sp, #44
 pop {r4-r11, pc}
END dense

@ nervelet_finish(frame): the codes of the sums r1 to r2, with the multipliers at r3 that end each record; r12 bytes lie
@ between those of two records.
BEGIN finish
 push {r4-r11, lr}
 ldmia.w r0, {r1-r5, r12}
1:
 ldrd r6, r7, [r1], #8
 ldmia.w r3!, {r8-r11}
 REQUANTIZE r6, r8, r9, r5, lr
 REQUANTIZE r7, r10, r11, r5, lr
 strb r6, [r4], #1
 strb r7, [r4], #1
 add r3, r3, r12
 cmp r1, r2
 bne 1b
 pop {r4-r11, pc}
END finish
