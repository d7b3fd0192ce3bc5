@ nervelet_matrix(frame): one output channel of four pixels at a time, two pixels a multiplication.
@
@ A chunk of four weights (or two) meets the words of its inputs in r6 and r7, where 32768 is added: the lower sum then
@ lies in [0, 65535], and the upper 16 bits are the upper sum exactly. r9 and r11 add up the upper sums, r8 and r10 all
@ of it: what is left of them without 65536 times the upper sums is the lower ones.
@ r0 walks the inputs, r1 the weights up to lr, r12 has 32768. Per 4 weights of 4 sums: 33 instructions (39 by twos).

.equ MX_STREAM_END, 0
.equ MX_INPUTS, 4
.equ MX_OUTPUT, 8
.equ MX_STRIDE, 12       @ from one output pixel to the next
.equ MX_ZERO_POINT, 16
.equ MX_WEIGHTS, 20      @ bytes of a record's weights
.equ MX_FOURS, 24        @ units to skip on entry; then the address
.equ MX_TWOS, 28
.equ MX_FOURS_START, 32  @ 32768 for each chunk
.equ MX_TWOS_START, 36
.equ MX_UNUSED, 40

.macro MX_FIRST
 ldm r0!, {r6, r7}
 sxtb r3, r2
 muls r6, r3, r6
 muls r7, r3, r7
 add r6, r6, r12
 add r7, r7, r12
.endm

.macro MX_NEXT
 ldm r0!, {r4, r5}
 sxtb r3, r2
 muls r4, r3, r4
 muls r5, r3, r5
 adds r6, r6, r4
 adds r7, r7, r5
.endm

.macro MX_LAST
 ldm r0!, {r4, r5}
 muls r4, r2, r4
 muls r5, r2, r5
 adds r6, r6, r4
 adds r7, r7, r5
.endm

.macro MX_TAKE
 add r8, r8, r6
 asrs r6, r6, #16
 add r9, r9, r6
 add r10, r10, r7
 asrs r7, r7, #16
 add r11, r11, r7
.endm

BEGIN matrix
 ENTER 12
 TARGET matrix_fours, MX_FOURS, 66
 TARGET matrix_twos, MX_TWOS, 78
matrix_record:
 ldm r1!, {r2, r3}
 mov r9, r2
 mov r11, r2
 lsls r4, r2, #16
 adds r2, r2, r4
 ldr r4, [sp, #MX_WEIGHTS]
 adds r4, r4, r1
 mov lr, r4
 movs r4, #1
 lsls r4, r4, #15
 mov r12, r4
 ldr r0, [sp, #MX_INPUTS]
 cmp r3, #0
 beq 1f
 ldr r4, [sp, #MX_FOURS_START]
 subs r2, r2, r4
 mov r8, r2
 mov r10, r2
 ldr r4, [sp, #MX_FOURS]
 mov pc, r4
1:
 ldr r4, [sp, #MX_TWOS_START]
 subs r2, r2, r4
 mov r8, r2
 mov r10, r2
 ldr r4, [sp, #MX_TWOS]
 mov pc, r4
 .balign 4
matrix_fours:
 .rept 4
 ldm r1!, {r2}
 MX_FIRST
 asrs r2, r2, #8
 MX_NEXT
 asrs r2, r2, #8
 MX_NEXT
 asrs r2, r2, #8
 MX_LAST
 MX_TAKE
 .endr
 cmp r1, lr
 beq matrix_finish_fours
 b matrix_fours
matrix_finish_fours:
 b matrix_finish
 .balign 4
matrix_twos:
 .rept 2
 ldm r1!, {r2}
 MX_FIRST
 asrs r2, r2, #8
 MX_NEXT
 MX_TAKE
 asrs r2, r2, #8
 MX_FIRST
 asrs r2, r2, #8
 MX_LAST
 MX_TAKE
 .endr
 cmp r1, lr
 bne matrix_twos
matrix_finish:
 mov r0, r9
 lsls r0, r0, #16
 mov r2, r8
 subs r2, r2, r0
 mov r8, r2
 mov r0, r11
 lsls r0, r0, #16
 mov r2, r10
 subs r2, r2, r0
 mov r10, r2
 ldm r1!, {r4, r6}
 SPLIT
 ldr r0, [sp, #MX_ZERO_POINT]
 mov lr, r0
 REQUANTIZE r8
 REQUANTIZE r9
 REQUANTIZE r10
 REQUANTIZE r11
 STORE_4 MX_OUTPUT, MX_STRIDE
 ldr r0, [sp, #MX_STREAM_END]
 cmp r1, r0
 beq 1f
 b matrix_record
1:
 LEAVE 12
END matrix
