@ nervelet_matrix(frame), nervelet_matrix_wide(frame), nervelet_matrix_plain(frame): two output channels by four pixels
@ at a time.
@
@ Eight sums (r2-r5 of the first channel, r6-r9 of the second) stay in registers; words of weights of both channels (r10,
@ r11) meet the words of the four pixels (r12, lr, two by two). r0 walks the widened pixels, r1 the weights: that is all
@ fourteen registers, so everything else is in the frame on the stack.
@ Two weights share a halfword (see dense.s): of 4 inputs, the words of weights meet the first factors as they are, then
@ sign-extended the second ones. "wide" sign-extends a record's weights once, into memory, for all blocks of pixels. Per
@ 4 inputs of 8 sums: 23 or 22 instructions for 32 multiply-accumulates. "plain" has a byte for each weight: 26.
@
@ Behind each block of widened pixels stands the address of its next output; it advances by 2 with every record.

.equ MX_SAVED, 0
.equ MX_STREAM, 4        @ the next record
.equ MX_STREAM_END, 8
.equ MX_PIXELS, 12       @ the first block
.equ MX_PIXELS_END, 16
.equ MX_STRIDE, 20       @ from one output pixel to the next
.equ MX_ENTRY, 24        @ units to skip on entry; then the address
.equ MX_TAIL, 28         @ 0 relu, 1 any zero point, 2 any range
.equ MX_BUFFER, 32       @ wide: where the record is sign-extended; else: bytes of a record's weights
.equ MX_WEIGHTS_END, 36
.equ MX_LOW, 40
.equ MX_HIGH, 44

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

@ Stores four pairs of codes, then goes on with the next block or record.
.macro MX_STORE name
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
 bne.w \name\()_block
 b.w \name\()_next
.endm

.macro MATRIX name, wide, plain, unit_bytes
BEGIN \name
 push {r4-r11, lr}
 ldmia.w r0, {r1-r11}
 push {r1-r11}
 sub sp, #4
 adr.w r0, \name\()_loop
 movs r2, #\unit_bytes
 mla r0, r6, r2, r0
 orr r0, r0, #1
 str r0, [sp, #MX_ENTRY]
\name\()_record:
 .if \wide
 ldr r1, [sp, #MX_STREAM]
 ldr r0, [sp, #MX_BUFFER]
 ldr r10, [sp, #MX_WEIGHTS_END]
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
 .else
 ldr r1, [sp, #MX_STREAM]
 ldr r2, [sp, #MX_BUFFER]
 add r2, r2, r1
 add r2, r2, #8
 str r2, [sp, #MX_WEIGHTS_END]
 .endif
 ldr r0, [sp, #MX_PIXELS]
\name\()_block:
 .if \wide
 ldr r1, [sp, #MX_BUFFER]
 ldmia r1!, {r2-r9}
 .else
 ldr r1, [sp, #MX_STREAM]
 ldmia r1!, {r2, r6}
 mov r3, r2
 mov r4, r2
 mov r5, r2
 mov r7, r6
 mov r8, r6
 mov r9, r6
 .endif
 ldr.w pc, [sp, #MX_ENTRY]
 .balign 4
\name\()_loop:
 .rept 4
 .if \wide
 ldrd r10, r11, [r1], #8
 MX_MULTIPLY
 ldrd r10, r11, [r1], #8
 MX_MULTIPLY
 .elseif \plain
 .rept 2
 ldr r11, [r1], #4
 sxtb16 r10, r11
 sxtb16 r11, r11, ror #8
 MX_MULTIPLY
 .endr
 .else
 ldrd r10, r11, [r1], #8
 MX_MULTIPLY
 sxtb16 r10, r10
 sxtb16 r11, r11
 MX_MULTIPLY
 .endif
 .endr
 ldr r12, [sp, #MX_WEIGHTS_END]
 cmp r1, r12
 bne.w \name\()_loop
 ldr r12, [sp, #MX_TAIL]
 cmp r12, #0
 bne 4f
 ldmia.w r1!, {r10-r12}
 .irp sum, r2, r3, r4, r5
 SCALE_RELU \sum, r10, r11, r12, \plain
 .endr
 ldmia.w r1, {r10-r12}
 .irp sum, r6, r7, r8, r9
 SCALE_RELU \sum, r10, r11, r12, \plain
 .endr
 MX_STORE \name
4:
 str r0, [sp, #MX_SAVED]
 ldmia.w r1!, {r10-r12}
 lsr r0, r12, #8
 .irp sum, r2, r3, r4, r5
 SCALE \sum, r10, r11, r12, r0, lr, \plain
 .endr
 ldmia.w r1, {r10-r12}
 lsr r0, r12, #8
 .irp sum, r6, r7, r8, r9
 SCALE \sum, r10, r11, r12, r0, lr, \plain
 .endr
 ldr r0, [sp, #MX_TAIL]
 cmp r0, #2
 bne 5f
 ldrd r10, r11, [sp, #MX_LOW]
 .irp sum, r2, r3, r4, r5, r6, r7, r8, r9
 CLAMP \sum, r10, r11, r12
 .endr
5:
 ldr r0, [sp, #MX_SAVED]
 MX_STORE \name
\name\()_next:
 .if \wide
 ldr r1, [sp, #MX_STREAM]
 .else
 ldr r1, [sp, #MX_WEIGHTS_END]
 add r1, r1, #24
 str r1, [sp, #MX_STREAM]
 .endif
 ldr r2, [sp, #MX_STREAM_END]
 cmp r1, r2
 bne.w \name\()_record
 add sp, #48
 pop {r4-r11, pc}
END \name
.endm

MATRIX matrix, 0, 0, 92
MATRIX matrix_wide, 1, 0, 88
MATRIX matrix_plain, 0, 1, 104
