@ nervelet_matrix(frame), nervelet_matrix_plain(frame): two output channels by four pixels at a time.
@
@ Eight sums (r2-r5 of the first channel, r6-r9 of the second) stay in registers; words of weights of both channels (r10,
@ r11) meet the words of the four pixels (r12, lr, two by two). r0 walks the widened pixels, r1 the weights: that is all
@ fourteen registers, so everything else is in the frame on the stack.
@ Two weights share a halfword (see dense.s): of 4 inputs, the words of weights meet the first factors as they are, then
@ sign-extended the second ones. A record's weights are sign-extended once, into memory, for all blocks of pixels, or in
@ passing for few blocks. Per 4 inputs of 8 sums: 22 or 23 instructions for 32 multiply-accumulates. "plain" has a byte for
@ each weight: 26.
@
@ Behind each block of widened pixels stands the address of its next output; it advances by 2 with every record.

.equ MX_BLOCK, 0         @ where a block begins
.equ MX_STREAM, 4        @ the next record
.equ MX_STREAM_END, 8
.equ MX_PIXELS, 12       @ the first block
.equ MX_PIXELS_END, 16
.equ MX_STRIDE, 20       @ from one output pixel to the next
.equ MX_ENTRY, 24        @ units to skip on entry; then the address
.equ MX_TAIL, 28         @ 0 relu, 1 any zero point, 2 any range
.equ MX_RECORD, 32       @ where the record is sign-extended; else it itself
.equ MX_WEIGHTS_END, 36
.equ MX_BYTES, 40        @ 0 for a record that is sign-extended, else the bytes of its weights
.equ MX_LOW, 44
.equ MX_HIGH, 48

.macro MX_MULTIPLY
 ldrd r12, lr, [r0], #8
 smlad r2, r10, r12, r2
 smlad r6, r11, r12, r6
 smlad r3, r10, lr, r3
 smlad r7, r11, lr, r7
 ldrd r12, lr, [r0], #8
 smlad r4, r10, r12, r4
 smlad r8, r11, r12, r8
 smlad r5, r10, lr, r5
 smlad r9, r11, lr, r9
.endm

@ Brings the frame to the stack; its words are still in r1-r12.
.macro MX_FRAME
 push {r4-r11, lr}
 ldmia.w r0, {r1-r12}
 push {r1-r12}
 sub sp, #4
.endm

@ Keeps where a block begins, r3, and where its weights do: r6 units of r2 bytes behind r0.
.macro MX_ENTER
 mla r0, r6, r2, r0
 orr r0, r0, #1
 str r0, [sp, #MX_ENTRY]
 orr r3, r3, #1
 str r3, [sp, #MX_BLOCK]
.endm

@ A record is used as it stands in the stream.
.macro MX_USE_RECORD
 ldr r1, [sp, #MX_STREAM]
 str r1, [sp, #MX_RECORD]
 ldr r2, [sp, #MX_BYTES]
 add r2, r2, r1
 add r2, r2, #8
 str r2, [sp, #MX_WEIGHTS_END]
 add r2, r2, #24
 str r2, [sp, #MX_STREAM]
 ldr r0, [sp, #MX_PIXELS]
.endm

.macro MX_USE_BIASES
 ldr r1, [sp, #MX_RECORD]
 ldmia r1!, {r2, r6}
 mov r3, r2
 mov r4, r2
 mov r5, r2
 mov r7, r6
 mov r8, r6
 mov r9, r6
 ldr.w pc, [sp, #MX_ENTRY]
.endm

@ Goes on with the units of a loop until the weights end.
.macro MX_REPEAT loop
 ldr r12, [sp, #MX_WEIGHTS_END]
 cmp r1, r12
 bne.w \loop
.endm

@ Makes codes of the sums and stores four pairs of them, then goes on with the next block or record, or returns.
.macro MX_FINISH record, plain
 ldr r12, [sp, #MX_TAIL]
 cmp r12, #0
 bne 2f
 ldmia.w r1!, {r10-r12}
 .irp sum, r2, r3, r4, r5
 SCALE_RELU \sum, r10, r11, r12, \plain
 .endr
 ldmia.w r1, {r10-r12}
 .irp sum, r6, r7, r8, r9
 SCALE_RELU \sum, r10, r11, r12, \plain
 .endr
1:
 bfi r2, r6, #8, #8
 bfi r3, r7, #8, #8
 bfi r4, r8, #8, #8
 bfi r5, r9, #8, #8
 ldr r10, [r0]
 ldr r12, [sp, #MX_STRIDE]
 strh r3, [r10, r12]
 strh r4, [r10, r12, lsl #1]
 add r11, r10, r12, lsl #1
 strh r5, [r11, r12]
 strh r2, [r10], #2
 str r10, [r0], #4
 ldr r12, [sp, #MX_PIXELS_END]
 cmp r0, r12
 it ne
 ldrne.w pc, [sp, #MX_BLOCK]
 ldr r1, [sp, #MX_STREAM]
 ldr r2, [sp, #MX_STREAM_END]
 cmp r1, r2
 bne.w \record
 add sp, #52
 pop {r4-r11, pc}
2:
 ldmia.w r1!, {r10-r12}
 .irp sum, r2, r3, r4, r5
 SCALE \sum, r10, r11, r12, lr, \plain
 .endr
 ldmia.w r1, {r10-r12}
 .irp sum, r6, r7, r8, r9
 SCALE \sum, r10, r11, r12, lr, \plain
 .endr
 ldr r12, [sp, #MX_TAIL]
 cmp r12, #2
 bne 1b
 ldrd r10, r11, [sp, #MX_LOW]
 .irp sum, r2, r3, r4, r5, r6, r7, r8, r9
 CLAMP \sum, r10, r11, r12
 .endr
 b 1b
.endm

BEGIN matrix
 MX_FRAME
 adr.w r0, matrix_loop
 movs r2, #88
 adr.w r3, matrix_block
 cmp r10, #0
 beq 1f
 adr.w r0, matrix_few_loop
 movs r2, #92
 adr.w r3, matrix_few_block
 and r6, r6, #1
1:
 MX_ENTER
matrix_record:
 ldr r0, [sp, #MX_BYTES]
 cbnz r0, matrix_few
 ldr r1, [sp, #MX_STREAM]
 ldr r0, [sp, #MX_RECORD]
 ldr.w r10, [sp, #MX_WEIGHTS_END]
 ldmia r1!, {r2, r6}
 mov r3, r2
 mov r4, r2
 mov r5, r2
 mov r7, r6
 mov r8, r6
 mov r9, r6
 stmia r0!, {r2-r9}
 sub r11, r10, r0
 tst r11, #16
 beq 2f
 ldrd r2, r3, [r1], #8
 sxtb16 r4, r2
 sxtb16 r5, r3
 stmia r0!, {r2-r5}
 cmp r0, r10
 beq 3f
2:
 ldmia r1!, {r2, r3, r6, r7}
 sxtb16 r4, r2
 sxtb16 r5, r3
 sxtb16 r8, r6
 sxtb16 r9, r7
 stmia r0!, {r2-r9}
 cmp r0, r10
 bne 2b
3:
 ldmia r1!, {r2-r7}
 stmia r0!, {r2-r7}
 str r1, [sp, #MX_STREAM]
 ldr r0, [sp, #MX_PIXELS]
 .balign 4
matrix_block:
 ldr r1, [sp, #MX_RECORD]
 ldmia r1!, {r2-r9}
 ldr.w pc, [sp, #MX_ENTRY]
matrix_few:
 MX_USE_RECORD
 .balign 4
matrix_few_block:
 MX_USE_BIASES
 .balign 4
matrix_few_loop:
 .rept 2
 ldrd r10, r11, [r1], #8
 MX_MULTIPLY
 sxtb16 r10, r10
 sxtb16 r11, r11
 MX_MULTIPLY
 .endr
 MX_REPEAT matrix_few_loop
 b 4f
 .balign 4
matrix_loop:
 .rept 8
 ldrd r10, r11, [r1], #8
 MX_MULTIPLY
 .endr
 MX_REPEAT matrix_loop
4:
 MX_FINISH matrix_record, 0
END matrix

BEGIN matrix_plain
 MX_FRAME
 adr.w r0, matrix_plain_loop
 movs r2, #104
 adr.w r3, matrix_plain_block
 MX_ENTER
matrix_plain_record:
 MX_USE_RECORD
 .balign 4
matrix_plain_block:
 MX_USE_BIASES
 .balign 4
matrix_plain_loop:
 .rept 8
 ldr r11, [r1], #4
 sxtb16 r10, r11
 sxtb16 r11, r11, ror #8
 MX_MULTIPLY
 .endr
 MX_REPEAT matrix_plain_loop
 MX_FINISH matrix_plain_record, 1
END matrix_plain
