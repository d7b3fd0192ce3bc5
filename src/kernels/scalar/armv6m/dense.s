@ nervelet_dense(frame): two output channels of one pixel at a time, two channels a multiplication.
@
@ A word has two weights of each channel as bytes that are 128 too large; every other byte makes a factor a + 65536 * b.
@ The words of two inputs are followed by what makes up for that, 32768 - 128 * 65537 * (x0 + x1), where the sum starts;
@ behind the second two it is less by 32768, so that a chunk of four begins once. r8 and r9 as in matrix.s.
@ r0 walks the inputs up to lr, r1 the weights, r2 has 0x00FF00FF, as r11, r12 32768, r10 the zero point. Per 4 inputs of
@ 2 sums: 24 instructions (27 by twos).
@
@ Of inputs that are a part, sums come from memory but for the first part, and go there but for the last.

.equ DN_STREAM_END, 0    @ of whole pairs
.equ DN_INPUTS, 4
.equ DN_START, 8         @ by fours; by twos it is the double
.equ DN_INPUTS_END, 12
.equ DN_OFFSET, 16       @ bytes from a record's first weights to those of the inputs, if sums come from memory
.equ DN_BEHIND, 20       @ bytes from the end of these to the record's multipliers, if sums go there
.equ DN_OUTPUT, 24
.equ DN_ZERO_POINT, 28
.equ DN_FROM, 32         @ 0 or sums
.equ DN_TO, 36           @ 0 or sums
.equ DN_ODD, 40          @ bytes of a record that begins one channel earlier
.equ DN_FOURS, 44        @ units to skip on entry; then the address
.equ DN_TWOS, 48

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

@ The code of a sum, with its multiplier at r1, to the output at r2; r7 has 2^14.
.macro DN_CODE sum, place
 ldm r1!, {r4, r6}
 uxth r5, r4
 asrs r4, r4, #16
 ROUND \sum, r10
 SATURATE
 ldr r2, [sp, #DN_OUTPUT]
 strb r0, [r2, #\place]
.endm

BEGIN dense
 ENTER 14
 TARGET dense_fours, DN_FOURS, 48
 TARGET dense_twos, DN_TWOS, 54
 ldr r0, [sp, #DN_INPUTS_END]
 mov lr, r0
 ldr r0, [sp, #DN_ZERO_POINT]
 mov r10, r0
 movs r0, #1
 lsls r0, r0, #15
 mov r12, r0
 movs r2, #255
 lsls r0, r2, #16
 adds r2, r2, r0
 mov r11, r2
 b dense_record
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
 cmp r0, lr
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
 cmp r0, lr
 bne dense_twos
dense_finish:
 mov r4, r9
 lsls r3, r4, #16
 mov r5, r8
 subs r3, r5, r3
 ldr r0, [sp, #DN_TO]
 cmp r0, #0
 bne 3f
 mov r8, r3
 movs r7, #1
 lsls r7, r7, #14
 DN_CODE r8, 0
 DN_CODE r9, 1
 adds r2, r2, #2
 str r2, [sp, #DN_OUTPUT]
1:
 ldr r0, [sp, #DN_STREAM_END]
 cmp r1, r0
 bne dense_record
 ldr r2, [sp, #DN_ODD]
 cmp r2, #0
 beq 4f
 adds r0, r0, r2
 str r0, [sp, #DN_STREAM_END]
 ldr r0, [sp, #DN_OUTPUT]
 subs r0, r0, #1
 str r0, [sp, #DN_OUTPUT]
 movs r0, #0
 str r0, [sp, #DN_ODD]
 b dense_record
3:
 stm r0!, {r3, r4}
 str r0, [sp, #DN_TO]
 ldr r0, [sp, #DN_BEHIND]
 adds r1, r1, r0
 adds r1, r1, #16
 b 1b
dense_record:
 ldm r1!, {r3, r4, r5}
 ldr r0, [sp, #DN_FROM]
 cmp r0, #0
 bne 3f
1:
 mov r9, r4
 lsls r4, r4, #16
 adds r3, r3, r4
 mov r2, r11
 ldr r0, [sp, #DN_INPUTS]
 ldr r4, [sp, #DN_START]
 subs r3, r3, r4
 cmp r5, #0
 beq 2f
 mov r8, r3
 ldr r4, [sp, #DN_FOURS]
 mov pc, r4
2:
 subs r3, r3, r4
 mov r8, r3
 ldr r4, [sp, #DN_TWOS]
 mov pc, r4
3:
 ldm r0!, {r3, r4}
 str r0, [sp, #DN_FROM]
 ldr r0, [sp, #DN_OFFSET]
 adds r1, r1, r0
 b 1b
4:
 LEAVE 14
END dense

@ nervelet_dense_widen(codes: *const i8, count: usize, target: *mut u32)
@
@ Of each four codes, the last ones with zeros behind, the words that the dense kernel takes.
@
@ Writes the codes in r3 and r4 with what their sum starts with, in r5 before it is multiplied.
.macro DN_WIDEN
 adds r5, r3, r4
 muls r5, r6, r5
.endm

BEGIN dense_widen
 push {r4-r7, lr}
 movs r7, #1
 lsls r6, r7, #15
 mov r12, r6
 lsls r6, r7, #16
 adds r6, r6, #1
 lsls r6, r6, #7
 negs r6, r6
 subs r1, r1, #4
 blo 2f
1:
 ldrb r3, [r0]
 sxtb r3, r3
 ldrsb r4, [r0, r7]
 DN_WIDEN
 add r5, r5, r12
 stm r2!, {r3, r4, r5}
 ldrb r3, [r0, #2]
 sxtb r3, r3
 ldrb r4, [r0, #3]
 sxtb r4, r4
 DN_WIDEN
 stm r2!, {r3, r4, r5}
 adds r0, r0, #4
 subs r1, r1, #4
 bhs 1b
2:
 adds r1, r1, #4
 beq 5f
 @ One, two or three codes.
 ldrb r3, [r0]
 sxtb r3, r3
 movs r4, #0
 cmp r1, #2
 blo 3f
 ldrsb r4, [r0, r7]
3:
 DN_WIDEN
 add r5, r5, r12
 stm r2!, {r3, r4, r5}
 movs r3, #0
 movs r4, #0
 cmp r1, #3
 bne 4f
 ldrb r3, [r0, #2]
 sxtb r3, r3
4:
 DN_WIDEN
 stm r2!, {r3, r4, r5}
5:
 pop {r4-r7, pc}
END dense_widen
