@ nervelet_dense(frame): two output channels of one pixel at a time, two channels a multiplication.
@
@ A word has two weights of each channel as bytes that are 128 too large; every other byte makes a factor a + 65536 * b.
@ The words of two inputs are followed by what makes up for that, 32768 - 128 * 65537 * (x0 + x1), where the sum starts;
@ behind the second two it is less by 32768, so that a chunk of four begins once. r2 and r3 as in matrix.s.
@ Per 4 inputs of 2 sums: 13 instructions (15 by twos).
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
 sub sp, #52
 ldmia r0!, {r1-r8}
 mov r12, sp
 stmia r12!, {r2-r8}
 ldmia r0, {r2-r7}
 stmia.w r12, {r2-r7}
 adr.w r0, dense_fours
 movs r3, #52
 mla r0, r6, r3, r0
 orr r0, r0, #1
 str r0, [sp, #DN_FOURS]
 adr.w r0, dense_twos
 movs r3, #60
 mla r0, r7, r3, r0
 orr r0, r0, #1
 str r0, [sp, #DN_TWOS]
 mov r12, #0x00FF00FF
dense_record:
 ldmia r1!, {r2-r4}
 ldr r0, [sp, #DN_FROM]
 cbnz r0, 3f
1:
 add r2, r2, r3, lsl #16
 ldrd r0, r5, [sp, #DN_INPUTS]
 cbz r4, 2f
 sub r2, r2, r5
 ldr.w pc, [sp, #DN_FOURS]
2:
 sub r2, r2, r5, lsl #1
 ldr.w pc, [sp, #DN_TWOS]
3:
 ldrd r2, r3, [r0], #8
 str r0, [sp, #DN_FROM]
 ldr r0, [sp, #DN_OFFSET]
 add r1, r1, r0
 b 1b
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
 ldr r4, [sp, #DN_INPUTS_END]
 cmp r0, r4
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
 ldr r4, [sp, #DN_INPUTS_END]
 cmp r0, r4
 bne.w dense_twos
dense_finish:
 sub r2, r2, r3, lsl #16
 ldr r0, [sp, #DN_TO]
 cbnz r0, 3f
 ldmia r1!, {r4-r7}
 ldrd r0, r8, [sp, #DN_OUTPUT]
 REQUANTIZE r2, r4, r5, r8, lr
 REQUANTIZE r3, r6, r7, r8, lr
 strb r2, [r0], #1
 strb r3, [r0], #1
 str r0, [sp, #DN_OUTPUT]
1:
 ldr r0, [sp, #DN_STREAM_END]
 cmp r1, r0
 bne.w dense_record
 ldr r2, [sp, #DN_ODD]
 cbz r2, 2f
 add r0, r0, r2
 str r0, [sp, #DN_STREAM_END]
 ldr r0, [sp, #DN_OUTPUT]
 subs r0, #1
 str r0, [sp, #DN_OUTPUT]
 movs r0, #0
 str r0, [sp, #DN_ODD]
 b.w dense_record
2:
 add sp, #52
 pop {r4-r11, pc}
3:
 strd r2, r3, [r0], #8
 str r0, [sp, #DN_TO]
 ldr r0, [sp, #DN_BEHIND]
 add r1, r1, r0
 adds r1, #16
 b 1b
END dense

@ nervelet_dense_widen(codes: *const i8, count: usize, target: *mut u32)
@
@ Of each four codes, the last ones with zeros behind, the words that the dense kernel takes.
BEGIN dense_widen
 push {r4-r10, lr}
 mov r12, #0x00800080
 mov lr, #32768
 rsb r10, r12, #0
 subs r1, #4
 blo 3f
1:
 ldrsb r3, [r0], #4
 ldrsb r4, [r0, #-3]
 ldrsb r6, [r0, #-2]
 ldrsb r7, [r0, #-1]
2:
 add r5, r3, r4
 mls r5, r5, r12, lr
 add r8, r6, r7
 mul r8, r8, r10
 stmia r2!, {r3-r8}
 subs r1, #4
 bhs 1b
3:
 adds r1, #4
 beq 4f
 @ One, two or three codes; then nothing is left.
 movs r4, #0
 movs r6, #0
 movs r7, #0
 ldrsb r3, [r0]
 cmp r1, #2
 it hs
 ldrsbhs r4, [r0, #1]
 it hi
 ldrsbhi r6, [r0, #2]
 movs r1, #0
 b 2b
4:
 pop {r4-r10, pc}
END dense_widen
