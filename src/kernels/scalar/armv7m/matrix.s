@ nervelet_matrix(frame): one output channel of four pixels at a time, two pixels a multiplication.
@
@ A chunk of four weights (or two) meets the words of its inputs in r10 and r11, which start at 32768: the lower sum
@ then lies in [0, 65535], and the upper 16 bits are the upper sum exactly. r3 and r5 add up the upper sums, r2 and r4
@ all of it: what is left of them without 65536 times the upper sums is the lower ones.
@ r0 walks the inputs, r1 the weights. Per 4 weights of 4 sums: 18 instructions (22 by twos).

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
.equ MX_WEIGHTS_END, 40

.macro MX_FIRST low, high
 ldrsb r8, [r1], #1
 mla r10, \low, r8, r9
 mla r11, \high, r8, r9
.endm

.macro MX_NEXT low, high
 ldrsb r8, [r1], #1
 mla r10, \low, r8, r10
 mla r11, \high, r8, r11
.endm

.macro MX_TAKE
 add.w r2, r2, r10
 add.w r3, r3, r10, asr #16
 add.w r4, r4, r11
 add.w r5, r5, r11, asr #16
.endm

BEGIN matrix
 push {r4-r11, lr}
 ldmia.w r0, {r1-r12}
 push {r2-r12}
 movw r9, #32768
 adr.w r0, matrix_fours
 ldr r2, [sp, #MX_FOURS]
 movs r3, #72
 mla r0, r2, r3, r0
 orr r0, r0, #1
 str r0, [sp, #MX_FOURS]
 adr.w r0, matrix_twos
 ldr r2, [sp, #MX_TWOS]
 movs r3, #88
 mla r0, r2, r3, r0
 orr r0, r0, #1
 str r0, [sp, #MX_TWOS]
matrix_record:
 ldr r3, [r1], #4
 ldr r12, [r1], #4
 ldr r0, [sp, #MX_WEIGHTS]
 add r0, r0, r1
 str r0, [sp, #MX_WEIGHTS_END]
 ldr r0, [sp, #MX_INPUTS]
 add r2, r3, r3, lsl #16
 mov r5, r3
 cmp r12, #0
 beq 1f
 ldr r12, [sp, #MX_FOURS_START]
 sub r2, r2, r12
 mov r4, r2
 ldr.w pc, [sp, #MX_FOURS]
1:
 ldr r12, [sp, #MX_TWOS_START]
 sub r2, r2, r12
 mov r4, r2
 ldr.w pc, [sp, #MX_TWOS]
 .balign 4
matrix_fours:
 .rept 8
 ldmia.w r0!, {r6, r7, r12, lr}
 MX_FIRST r6, r7
 MX_NEXT r12, lr
 ldmia.w r0!, {r6, r7, r12, lr}
 MX_NEXT r6, r7
 MX_NEXT r12, lr
 MX_TAKE
 .endr
 ldr r12, [sp, #MX_WEIGHTS_END]
 cmp r1, r12
 bne.w matrix_fours
 b.w matrix_finish
 .balign 4
matrix_twos:
 .rept 4
 .rept 2
 ldmia.w r0!, {r6, r7, r12, lr}
 MX_FIRST r6, r7
 MX_NEXT r12, lr
 MX_TAKE
 .endr
 .endr
 ldr r12, [sp, #MX_WEIGHTS_END]
 cmp r1, r12
 bne.w matrix_twos
matrix_finish:
 sub r2, r2, r3, lsl #16
 sub r4, r4, r5, lsl #16
 ldr r6, [r1], #4
 ldr r7, [r1], #4
 ldr r12, [sp, #MX_ZERO_POINT]
 REQUANTIZE r2, r6, r7, r12, r8
 REQUANTIZE r3, r6, r7, r12, r8
 REQUANTIZE r4, r6, r7, r12, r8
 REQUANTIZE r5, r6, r7, r12, r8
 ldr lr, [sp, #MX_STRIDE]
 STORE_4 r2, r3, r4, r5, r6, lr, r7, MX_OUTPUT
 ldr r0, [sp, #MX_STREAM_END]
 cmp r1, r0
 bne.w matrix_record
 add sp, #44
 pop {r4-r11, pc}
END matrix
