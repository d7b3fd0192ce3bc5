@ Int16 inputs with int8 weights, row-major, in sums of 64 bits, which start with the bias.
@
@ A code is (sum * mantissa + half) >> shift, with a mantissa of 16 bits. Sums that fit 32 bits, all but a few, take the
@ upper half of one product; for the others, and for the largest factors, the kernels call a function of the frame:
@ exact(sum, mantissa, exponent).

@ nervelet_wide_blocks(frame), nervelet_wide_blocks_ready(frame): one output channel of blocks of four pixels, whose
@ addresses are in a table. "ready" has weights of 16 bits.
@ r0 the first pixel, r1 and r2 from one pixel to the next and three times that, r3 weights, r4-r11 four sums, r12 and lr
@ two weights and two inputs. Per 2 inputs of 4 sums: 11 or 9 instructions for 8 multiply-accumulates.
.equ WB_START, 0         @ the bias, four times
.equ WB_FACTOR, 32       @ 2^32 times the scale, or negative
.equ WB_MANTISSA, 36
.equ WB_EXPONENT, 40
.equ WB_EXACT, 44
.equ WB_WEIGHTS, 48
.equ WB_ROWS, 52
.equ WB_PAIRS, 56        @ bytes of a row's whole pairs of weights
.equ WB_ADVANCE, 60      @ from the end of one row to the start of the next
.equ WB_SKIP, 64         @ the same in weights
.equ WB_BLOCKS, 68
.equ WB_BLOCKS_END, 72
.equ WB_STRIDE, 76
.equ WB_CHANNEL, 84      @ what is added to the addresses of outputs
.equ WB_OUTPUT_STRIDE, 88
.equ WB_LOW, 92
.equ WB_HIGH, 96
.equ WB_RANGED, 100      @ 0: all of int16
.equ WB_ENTRY, 104       @ pairs to skip on entry; then the address
.equ WB_AFTER, 108       @ 1: a single input behind the pairs; then the address
.equ WB_END, 112
.equ WB_ROWS_LEFT, 116

.macro WIDE_BLOCKS name, ready, unit_bytes
BEGIN \name
 push {r4-r11, lr}
 sub sp, #124
 mov r12, sp
 .rept 2
 ldmia r0!, {r1-r7}
 stmia r12!, {r1-r7}
 ldmia r0!, {r1-r7}
 stmia r12!, {r1-r7}
 .endr
 adr.w r0, \name\()_loop
 movs r3, #\unit_bytes
 mla r0, r6, r3, r0
 cmp r7, #0
 ite eq
 adreq.w r3, \name\()_row_end
 adrne.w r3, \name\()_single
 orr r3, r3, #1
 ldr r2, [sp, #WB_PAIRS]
 cmp r2, #0
 it eq
 moveq r0, r3
 orr r0, r0, #1
 strd r0, r3, [sp, #WB_ENTRY]
 ldrd r1, r2, [sp, #WB_STRIDE]
\name\()_block:
 ldr r3, [sp, #WB_BLOCKS]
 ldr r0, [r3]
 ldmia.w sp, {r4-r11}
 ldrd r3, r12, [sp, #WB_WEIGHTS]
 str r12, [sp, #WB_ROWS_LEFT]
\name\()_row:
 ldr r12, [sp, #WB_PAIRS]
 add r12, r12, r3
 str r12, [sp, #WB_END]
 ldr.w pc, [sp, #WB_ENTRY]
 .balign 4
\name\()_loop:
 .rept 4
 .if \ready
 ldr r12, [r3], #4
 .else
 ldrsb r12, [r3], #1
 ldrsb lr, [r3], #1
 pkhbt r12, r12, lr, lsl #16
 .endif
 ldr.w lr, [r0, r1]
 smlald r6, r7, r12, lr
 ldr.w lr, [r0, r1, lsl #1]
 smlald r8, r9, r12, lr
 ldr.w lr, [r0, r2]
 smlald r10, r11, r12, lr
 ldr lr, [r0], #4
 smlald r4, r5, r12, lr
 .endr
 ldr r12, [sp, #WB_END]
 cmp r3, r12
 bne \name\()_loop
 ldr.w pc, [sp, #WB_AFTER]
 .balign 4
\name\()_single:
 .if \ready
 ldrsh r12, [r3], #2
 .else
 ldrsb r12, [r3], #1
 .endif
 ldrsh.w lr, [r0, r1]
 smlalbb r6, r7, r12, lr
 ldrsh.w lr, [r0, r1, lsl #1]
 smlalbb r8, r9, r12, lr
 ldrsh.w lr, [r0, r2]
 smlalbb r10, r11, r12, lr
 ldrsh lr, [r0], #2
 smlalbb r4, r5, r12, lr
 .balign 4
\name\()_row_end:
 ldr r12, [sp, #WB_ROWS_LEFT]
 subs r12, r12, #1
 beq 1f
 str r12, [sp, #WB_ROWS_LEFT]
 ldrd r12, lr, [sp, #WB_ADVANCE]
 add r0, r0, r12
 add r3, r3, lr
 b \name\()_row
1:
 ldr r12, [sp, #WB_FACTOR]
 cmp r5, r4, asr #31
 itttt eq
 cmpeq r7, r6, asr #31
 cmpeq r9, r8, asr #31
 cmpeq r11, r10, asr #31
 tsteq r12, #0x80000000
 bne 4f
 .irp sum, r4, r6, r8, r10
 smmulr \sum, \sum, r12
 ssat \sum, #16, \sum
 .endr
2:
 ldr r0, [sp, #WB_RANGED]
 cbnz r0, 5f
3:
 ldr r3, [sp, #WB_BLOCKS]
 ldr r0, [r3, #4]
 ldrd r12, lr, [sp, #WB_CHANNEL]
 add r0, r0, r12
 strh.w r6, [r0, lr]
 strh.w r8, [r0, lr, lsl #1]
 strh r4, [r0]
 add lr, lr, lr, lsl #1
 strh.w r10, [r0, lr]
 adds r3, #8
 str r3, [sp, #WB_BLOCKS]
 ldr r12, [sp, #WB_BLOCKS_END]
 cmp r3, r12
 bne.w \name\()_block
 add sp, #124
 pop {r4-r11, pc}
5:
 ldrd r12, lr, [sp, #WB_LOW]
 .irp sum, r4, r6, r8, r10
 CLAMP_WIDE \sum, r12, lr, r0
 .endr
 b 3b
4:
 .irp at, 4, 6, 8, 10
 WB_EXACTLY \at
 .endr
 ldrd r1, r2, [sp, #WB_STRIDE]
 b 2b
END \name
.endm

.macro WB_EXACTLY at
 mov r0, r\at
 .if \at == 4
 mov r1, r5
 .elseif \at == 6
 mov r1, r7
 .elseif \at == 8
 mov r1, r9
 .else
 mov r1, r11
 .endif
 ldrd r2, r3, [sp, #WB_MANTISSA]
 ldr r12, [sp, #WB_EXACT]
 blx r12
 ssat r\at, #16, r0
.endm

WIDE_BLOCKS wide_blocks, 0, 44
WIDE_BLOCKS wide_blocks_ready, 1, 36

@ nervelet_wide_ready(weights: *const i8, count: usize, target: *mut i16): weights of 16 bits.
BEGIN wide_ready
 push {r4, r5}
 subs r1, #4
 blo 2f
1:
 ldr r3, [r0], #4
 sxtb16 r4, r3
 sxtb16 r3, r3, ror #8
 pkhbt r5, r4, r3, lsl #16
 pkhtb r3, r3, r4, asr #16
 str r5, [r2], #4
 str r3, [r2], #4
 subs r1, #4
 bhs 1b
2:
 adds r1, #4
 beq 4f
3:
 ldrsb r3, [r0], #1
 strh r3, [r2], #2
 subs r1, #1
 bne 3b
4:
 pop {r4, r5}
 bx lr
END wide_ready
