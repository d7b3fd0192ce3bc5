@ nervelet_dense(frame): sums of two output channels of one pixel at a time, two channels a multiplication.
@
@ A word has two weights of each channel as bytes that are 128 too large; every other byte makes a factor a + 65536 * b.
@ The words of two inputs are followed by what makes up for that, 32768 - 128 * 65537 * (x0 + x1), where the sum starts;
@ behind the second two it is less by 32768, so that a chunk of four begins once. r8 and r9 as in matrix.s.
@ r0 walks the inputs, r1 the weights up to lr, r2 has 0x00FF00FF, r12 32768. Per 4 inputs of 2 sums: 24 instructions (27 by twos).

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
.equ DN_UNUSED, 40

@ Adds the products of the word at r1 to r7.
.macro DN_MULTIPLY first, second, spare
 ldm r1!, {r3}
 mov \spare, r3
 ands \spare, \spare, r2
 muls \spare, \first, \spare
 adds r7, r7, \spare
 lsrs r3, r3, #8
 ands r3, r3, r2
 muls r3, \second, r3
 adds r7, r7, r3
.endm

.macro DN_TAKE
 add r8, r8, r7
 asrs r7, r7, #16
 add r9, r9, r7
.endm

BEGIN dense
 ENTER 12
 TARGET dense_fours, DN_FOURS, 48
 TARGET dense_twos, DN_TWOS, 54
 movs r0, #1
 lsls r0, r0, #15
 mov r12, r0
 movs r2, #255
 lsls r0, r2, #16
 adds r2, r2, r0
dense_record:
 ldr r0, [sp, #DN_SUMS]
 ldm r0!, {r3, r4}
 mov r9, r4
 lsls r4, r4, #16
 adds r3, r3, r4
 ldr r0, [sp, #DN_WEIGHTS]
 adds r0, r0, r1
 mov lr, r0
 ldr r0, [sp, #DN_CHUNK]
 subs r4, r1, r0
 ldr r4, [r4]
 ldr r0, [sp, #DN_INPUTS]
 cmp r4, #0
 beq 1f
 ldr r4, [sp, #DN_FOURS_START]
 subs r3, r3, r4
 mov r8, r3
 ldr r4, [sp, #DN_FOURS]
 mov pc, r4
1:
 ldr r4, [sp, #DN_TWOS_START]
 subs r3, r3, r4
 mov r8, r3
 ldr r4, [sp, #DN_TWOS]
 mov pc, r4
 .balign 4
dense_fours:
 .rept 4
 ldm r0!, {r5, r6, r7}
 DN_MULTIPLY r5, r6, r4
 ldm r0!, {r4, r5, r6}
 adds r7, r7, r6
 DN_MULTIPLY r4, r5, r6
 DN_TAKE
 .endr
 cmp r1, lr
 bne dense_fours
 b dense_finish
 .balign 4
dense_twos:
 .rept 4
 ldm r0!, {r5, r6, r7}
 DN_MULTIPLY r5, r6, r4
 DN_TAKE
 ldm r0!, {r5, r6, r7}
 add r7, r7, r12
 DN_MULTIPLY r5, r6, r4
 DN_TAKE
 .endr
 cmp r1, lr
 bne dense_twos
dense_finish:
 mov r4, r9
 lsls r3, r4, #16
 mov r5, r8
 subs r3, r5, r3
 ldr r0, [sp, #DN_SUMS]
 stm r0!, {r3, r4}
 str r0, [sp, #DN_SUMS]
 ldr r0, [sp, #DN_STEP]
 adds r1, r1, r0
 ldr r0, [sp, #DN_STREAM_END]
 cmp r1, r0
 beq 1f
 b dense_record
1:
 LEAVE 12
END dense

@ nervelet_finish(frame): the codes of the sums, with the multipliers that end each record.
.equ FN_SUMS_END, 0
.equ FN_MULTIPLIERS, 4
.equ FN_OUTPUT, 8
.equ FN_ZERO_POINT, 12
.equ FN_STEP, 16         @ bytes from one record's multipliers to the next one's

.macro FN_CODE sum
 SPLIT
 REQUANTIZE \sum
 ldr r2, [sp, #FN_OUTPUT]
 strb r0, [r2]
 adds r2, r2, #1
 str r2, [sp, #FN_OUTPUT]
.endm

BEGIN finish
 ENTER 6
 ldr r0, [sp, #FN_ZERO_POINT]
 mov lr, r0
2:
 ldm r1!, {r2, r3}
 mov r8, r2
 mov r9, r3
 ldr r2, [sp, #FN_MULTIPLIERS]
 ldm r2!, {r4, r6}
 str r2, [sp, #FN_MULTIPLIERS]
 FN_CODE r8
 ldr r2, [sp, #FN_MULTIPLIERS]
 ldm r2!, {r4, r6}
 ldr r3, [sp, #FN_STEP]
 adds r2, r2, r3
 str r2, [sp, #FN_MULTIPLIERS]
 FN_CODE r9
 ldr r0, [sp, #FN_SUMS_END]
 cmp r1, r0
 bne 2b
 LEAVE 6
END finish
