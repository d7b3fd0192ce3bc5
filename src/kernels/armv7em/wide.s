@ Int16 inputs with int8 weights, row-major, in sums of 64 bits, which start with the bias.
@
@ A code is (sum * mantissa + half) >> shift, with a mantissa of 16 bits. Sums that fit 32 bits, all but a few, take the
@ upper half of one product; for the others, and for the largest factors, the kernels call a function of the frame:
@ exact(sum, mantissa, exponent).

@ Brings a code into [low, high], both given twice in a word.
.macro CLAMP_WIDE code, low, high, spare
 ssub16 \spare, \code, \low
 sel \code, \code, \low
 ssub16 \spare, \high, \code
 sel \code, \code, \high
.endm

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

@ nervelet_wide_window(frame), nervelet_wide_window_ordered(frame): all output channels of one window, two at a time.
@ "ordered" has every four inputs in the order 0 2 1 3, in which weights are sign-extended.
@ r0 inputs, r1 and r2 weights of two channels, r3 the end of r1's whole units of four, r4-r7 two sums, r8, r9 and r12
@ inputs, r10 and r11 weights, lr rows to go. Per 4 inputs of 2 sums: 14 or 11 instructions for 8 multiply-accumulates.
.equ WW_BIAS, 0
.equ WW_MASK, 4          @ 0: one pair of biases for all
.equ WW_MANTISSAS, 8
.equ WW_EXPONENTS, 12
.equ WW_WEIGHTS, 16
.equ WW_FILTER, 20       @ from one channel to the next
.equ WW_INPUTS, 24
.equ WW_ROWS, 28
.equ WW_UNITS, 32        @ bytes of weights in a row's whole units
.equ WW_REST, 36
.equ WW_ADVANCE, 40      @ from the end of one row to the start of the next
.equ WW_SKIP, 44         @ the same in weights
.equ WW_OUTPUT, 48
.equ WW_LAST, 52         @ the last pair, which may overlap the one before
.equ WW_LOW, 56
.equ WW_HIGH, 60
.equ WW_RANGED, 64       @ 0: all of int16
.equ WW_EXACT, 68
.equ WW_ENTRY, 72        @ units to skip on entry; then the address
.equ WW_CHANNEL, 76

.macro WIDE_WINDOW name, ordered, unit_bytes
BEGIN \name
 push {r4-r11, lr}
 sub sp, #84
 mov r12, sp
 ldmia r0!, {r1-r10}
 stmia r12!, {r1-r10}
 ldmia.w r0, {r1-r9}
 stmia.w r12, {r1-r9}
 adr.w r0, \name\()_loop
 movs r2, #\unit_bytes
 mla r0, r9, r2, r0
 ldr r1, [sp, #WW_UNITS]
 cmp r1, #0
 it eq
 adreq.w r0, \name\()_rest
 orr r0, r0, #1
 movs r8, #0
 strd r0, r8, [sp, #WW_ENTRY]
\name\()_pair:
 ldrd r0, r9, [sp, #WW_BIAS]
 and r9, r9, r8
 add r0, r0, r9, lsl #3
 ldmia.w r0, {r4-r7}
 ldrd r1, r3, [sp, #WW_WEIGHTS]
 mla r1, r8, r3, r1
 add r2, r1, r3
 ldrd r0, lr, [sp, #WW_INPUTS]
\name\()_row:
 ldr r3, [sp, #WW_UNITS]
 add r3, r3, r1
 ldr.w pc, [sp, #WW_ENTRY]
 .balign 4
\name\()_loop:
 .rept 4
 .if \ordered
 ldrd r12, r9, [r0], #8
 .else
 ldr r8, [r0], #4
 ldr r9, [r0], #4
 pkhbt r12, r8, r9, lsl #16
 pkhtb r9, r9, r8, asr #16
 .endif
 ldr r10, [r1], #4
 sxtb16 r11, r10
 sxtb16 r10, r10, ror #8
 smlald r4, r5, r11, r12
 smlald r4, r5, r10, r9
 ldr r10, [r2], #4
 sxtb16 r11, r10
 sxtb16 r10, r10, ror #8
 smlald r6, r7, r11, r12
 smlald r6, r7, r10, r9
 .endr
 cmp r1, r3
 bne \name\()_loop
 .balign 4
\name\()_rest:
 ldr r3, [sp, #WW_REST]
 cbz r3, 2f
1:
 ldrsb r10, [r1], #1
 ldrsb r11, [r2], #1
 ldrsh r8, [r0], #2
 smlalbb r4, r5, r10, r8
 smlalbb r6, r7, r11, r8
 subs r3, #1
 bne 1b
2:
 subs lr, lr, #1
 beq 3f
 ldrd r8, r9, [sp, #WW_ADVANCE]
 add r0, r0, r8
 add r1, r1, r9
 add r2, r2, r9
 b \name\()_row
3:
 ldr r8, [sp, #WW_CHANNEL]
 ldrd r0, r1, [sp, #WW_MANTISSAS]
 add r0, r0, r8, lsl #2
 ldrd r10, r11, [r0]
 add r1, r1, r8
 ldrsb.w r12, [r1]
 ldrsb.w lr, [r1, #1]
 mvn r12, r12
 mvn lr, lr
 cmp r12, #1
 it ge
 cmpge lr, #1
 blt 6f
 cmp r5, r4, asr #31
 it eq
 cmpeq r7, r6, asr #31
 bne 6f
 mov.w r3, #0x8000
 qadd r10, r10, r3
 qadd r11, r11, r3
 smulwt r4, r4, r10
 smulwt r6, r6, r11
 asrs r4, r4, r12
 adc r4, r4, #0
 ssat r4, #16, r4
 asrs r6, r6, lr
 adc r6, r6, #0
 ssat r6, #16, r6
4:
 ldr r0, [sp, #WW_RANGED]
 cbnz r0, 7f
5:
 ldrd r0, r1, [sp, #WW_OUTPUT]
 add r0, r0, r8, lsl #1
 strh r4, [r0]
 strh r6, [r0, #2]
 cmp r8, r1
 beq 8f
 add r8, r8, #2
 cmp r8, r1
 it hi
 movhi r8, r1
 str r8, [sp, #WW_CHANNEL]
 b.w \name\()_pair
8:
 add sp, #84
 pop {r4-r11, pc}
7:
 ldrd r2, r3, [sp, #WW_LOW]
 CLAMP_WIDE r4, r2, r3, r0
 CLAMP_WIDE r6, r2, r3, r0
 b 5b
6:
 ldrd r9, r10, [sp, #WW_MANTISSAS]
 add r9, r9, r8, lsl #2
 add r10, r10, r8
 ldr.w r11, [sp, #WW_EXACT]
 mov r0, r4
 mov r1, r5
 ldr.w r2, [r9]
 ldrsb.w r3, [r10]
 blx r11
 ssat r4, #16, r0
 mov r0, r6
 mov r1, r7
 ldr.w r2, [r9, #4]
 ldrsb.w r3, [r10, #1]
 blx r11
 ssat r6, #16, r0
 b 4b
END \name
.endm

WIDE_WINDOW wide_window, 0, 56
WIDE_WINDOW wide_window_ordered, 1, 44

@ nervelet_wide_order(inputs: *const i16, count: usize, target: *mut i16): each four in the order 0 2 1 3, then the rest.
BEGIN wide_order
 push {r4, r5}
 subs r1, #4
 blo 2f
1:
 ldr r3, [r0], #4
 ldr r12, [r0], #4
 pkhbt r4, r3, r12, lsl #16
 pkhtb r5, r12, r3, asr #16
 strd r4, r5, [r2], #8
 subs r1, #4
 bhs 1b
2:
 adds r1, #4
 beq 4f
3:
 ldrsh r3, [r0], #2
 strh r3, [r2], #2
 subs r1, #1
 bne 3b
4:
 pop {r4, r5}
 bx lr
END wide_order

@ nervelet_wide_line(frame): four channels, each with weights of its own, of a line of pixels with the same taps.
@ r0 inputs, r1 weights, r2 and r3 columns and rows to go, r4-r7 sums of 32 bits, r8 and r9 inputs, r10 and r11 weights
@ (0 2) and (1 3), r12 and lr from one tap of a row to the next in inputs and weights. 13 instructions a tap.
.equ WL_START, 0         @ four biases, or zeros
.equ WL_FACTORS, 16      @ 2^32 times the scales
.equ WL_EXACT, 32        @ 0: biases and factors are these
.equ WL_BIAS, 36
.equ WL_MANTISSAS, 40
.equ WL_EXPONENTS, 44
.equ WL_INPUTS, 48
.equ WL_WEIGHTS, 52
.equ WL_COLUMNS, 56
.equ WL_ROWS, 60
.equ WL_INPUT_STEP, 64
.equ WL_WEIGHT_STEP, 68
.equ WL_INPUT_ADVANCE, 72 @ from behind a row to the next one's start
.equ WL_WEIGHT_ADVANCE, 76
.equ WL_PIXEL_STEP, 80
.equ WL_PIXELS, 84
.equ WL_OUTPUT, 88
.equ WL_OUTPUT_STEP, 92
.equ WL_LOW, 96
.equ WL_HIGH, 100
.equ WL_RANGED, 104      @ 0: all of int16

BEGIN wide_line
 push {r4-r11, lr}
 sub sp, #108
 mov r12, sp
 .rept 3
 ldmia r0!, {r1-r9}
 stmia r12!, {r1-r9}
 .endr
wide_line_pixel:
 ldmia.w sp, {r4-r7}
 ldrd r0, r1, [sp, #WL_INPUTS]
 ldr r3, [sp, #WL_ROWS]
 ldrd r12, lr, [sp, #WL_INPUT_STEP]
1:
 ldr r2, [sp, #WL_COLUMNS]
2:
 ldr.w r8, [r0]
 ldr.w r9, [r0, #4]
 ldr.w r11, [r1]
 add r0, r0, r12
 add r1, r1, lr
 sxtb16 r10, r11
 sxtb16 r11, r11, ror #8
 smlabb r4, r8, r10, r4
 smlatb r5, r8, r11, r5
 smlabt r6, r9, r10, r6
 smlatt r7, r9, r11, r7
 subs r2, r2, #1
 bne 2b
 ldrd r8, r9, [sp, #WL_INPUT_ADVANCE]
 add r0, r0, r8
 add r1, r1, r9
 subs r3, r3, #1
 bne 1b
 ldr r2, [sp, #WL_EXACT]
 cmp r2, #0
 bne 5f
 add r2, sp, #WL_FACTORS
 ldmia.w r2, {r8-r11}
 smmulr r4, r4, r8
 smmulr r5, r5, r9
 smmulr r6, r6, r10
 smmulr r7, r7, r11
 .irp code, r4, r5, r6, r7
 ssat \code, #16, \code
 .endr
3:
 ldr r2, [sp, #WL_RANGED]
 cbnz r2, 6f
4:
 ldrd r0, r1, [sp, #WL_OUTPUT]
 pkhbt r4, r4, r5, lsl #16
 pkhbt r6, r6, r7, lsl #16
 str r4, [r0]
 str r6, [r0, #4]
 add r0, r0, r1
 str r0, [sp, #WL_OUTPUT]
 ldrd r0, r1, [sp, #WL_PIXEL_STEP]
 subs r1, r1, #1
 beq 7f
 str r1, [sp, #WL_PIXELS]
 ldr r1, [sp, #WL_INPUTS]
 add r1, r1, r0
 str r1, [sp, #WL_INPUTS]
 b wide_line_pixel
7:
 add sp, #108
 pop {r4-r11, pc}
6:
 ldrd r8, r9, [sp, #WL_LOW]
 .irp code, r4, r5, r6, r7
 CLAMP_WIDE \code, r8, r9, r10
 .endr
 b 4b
5:
 ldrd r8, r9, [sp, #WL_BIAS]
 ldr.w r10, [sp, #WL_EXPONENTS]
 .irp sum, r4, r5, r6, r7
 ldrd r0, r1, [r8], #8
 adds r0, r0, \sum
 adc r1, r1, \sum, asr #31
 ldr r2, [r9], #4
 ldrsb r3, [r10], #1
 ldr r12, [sp, #WL_EXACT]
 blx r12
 ssat \sum, #16, r0
 .endr
 b 3b
END wide_line
