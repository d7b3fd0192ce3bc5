@ nervelet_matrix_narrow(frame), nervelet_matrix_wide(frame): two output channels by four pixels at a time.
@
@ Eight sums (r2-r5 of the first channel, r6-r9 of the second) stay in registers; for each pair of inputs a word of
@ weights of both channels (r10, r11) meets the words of the four pixels (r12, lr, two by two). r0 walks the widened
@ pixels, r1 the weights: that is all fourteen registers, so everything else is in the frame on the stack.
@ "wide" sign-extends a record's weights once, into memory, for all blocks of pixels; "narrow" does it for each block,
@ where there are few. Per 4 inputs of 8 sums: 22 or 26 instructions for 32 multiply-accumulates.
@
@ Behind each block of widened pixels stands the address of its next output; it advances by 2 with every record.

.equ MX_SECOND, 0        @ mantissa and shift of the second channel
.equ MX_PIXELS_SAVED, 8
.equ MX_STREAM, 12       @ the next record
.equ MX_STREAM_END, 16
.equ MX_PIXELS, 20       @ the first block
.equ MX_PIXELS_END, 24
.equ MX_STRIDE, 28       @ from one output pixel to the next
.equ MX_ENTRY, 32        @ units to skip on entry; then the address
.equ MX_TAIL, 36         @ 0 relu, 1 full range, 2 any; then the address
.equ MX_ZERO_POINT, 40
.equ MX_BUFFER, 44       @ wide: where the record is sign-extended; narrow: bytes of a record's weights
.equ MX_WEIGHTS_END, 48
.equ MX_LOW, 52
.equ MX_HIGH, 56

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

.macro MX_JOIN
 bfi r2, r6, #8, #8
 bfi r3, r7, #8, #8
 bfi r4, r8, #8, #8
 bfi r5, r9, #8, #8
.endm

@ Stores the four pairs of codes, then goes on with the next block or record.
.macro MX_STORE name
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

.macro MATRIX name, wide, unit_bytes
BEGIN \name
 push {r4-r11, lr}
 ldmia.w r0, {r1-r12}
 push {r1-r12}
 sub sp, #12
 adr.w r0, \name\()_loop
 ldr r1, [sp, #MX_ENTRY]
 movs r2, #\unit_bytes
 mla r0, r1, r2, r0
 orr r0, r0, #1
 str r0, [sp, #MX_ENTRY]
 ldr r1, [sp, #MX_TAIL]
 adr.w r0, \name\()_relu
 cmp r1, #1
 it eq
 adreq.w r0, \name\()_full
 it hi
 adrhi.w r0, \name\()_any
 orr r0, r0, #1
 str r0, [sp, #MX_TAIL]
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
 ldrd r2, r4, [r1], #8
 sxtb16 r3, r2, ror #8
 sxtb16 r2, r2
 sxtb16 r5, r4, ror #8
 sxtb16 r4, r4
 stmia r0!, {r2-r5}
 cmp r0, r10
 beq 3f
2:
 ldmia r1!, {r2, r4, r6, r8}
 sxtb16 r3, r2, ror #8
 sxtb16 r2, r2
 sxtb16 r5, r4, ror #8
 sxtb16 r4, r4
 sxtb16 r7, r6, ror #8
 sxtb16 r6, r6
 sxtb16 r9, r8, ror #8
 sxtb16 r8, r8
 stmia r0!, {r2-r9}
 cmp r0, r10
 bne 2b
3:
 ldmia r1!, {r2-r5}
 stmia r0!, {r2-r5}
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
 .rept 8
 .rept 2
 .if \wide
 ldrd r10, r11, [r1], #8
 .else
 ldr r11, [r1], #4
 sxtb16 r10, r11
 sxtb16 r11, r11, ror #8
 .endif
 MX_MULTIPLY
 .endr
 .endr
 ldr r12, [sp, #MX_WEIGHTS_END]
 cmp r1, r12
 bne.w \name\()_loop
 ldr.w pc, [sp, #MX_TAIL]
 .balign 4
\name\()_relu:
 ldrd r10, r11, [r1], #8
 REQUANTIZE_RELU r2, r10, r11
 REQUANTIZE_RELU r3, r10, r11
 REQUANTIZE_RELU r4, r10, r11
 REQUANTIZE_RELU r5, r10, r11
 ldrd r10, r11, [r1]
 REQUANTIZE_RELU r6, r10, r11
 REQUANTIZE_RELU r7, r10, r11
 REQUANTIZE_RELU r8, r10, r11
 REQUANTIZE_RELU r9, r10, r11
 MX_JOIN
 MX_STORE \name
 .balign 4
\name\()_full:
 ldr r12, [sp, #MX_ZERO_POINT]
 ldrd r10, r11, [r1], #8
 REQUANTIZE r2, r10, r11, r12
 REQUANTIZE r3, r10, r11, r12
 REQUANTIZE r4, r10, r11, r12
 REQUANTIZE r5, r10, r11, r12
 ldrd r10, r11, [r1]
 REQUANTIZE r6, r10, r11, r12
 REQUANTIZE r7, r10, r11, r12
 REQUANTIZE r8, r10, r11, r12
 REQUANTIZE r9, r10, r11, r12
 MX_JOIN
 MX_STORE \name
 .balign 4
\name\()_any:
 str r0, [sp, #MX_PIXELS_SAVED]
 ldmia.w r1, {r10-r12, lr}
 strd r12, lr, [sp, #MX_SECOND]
 ldr r0, [sp, #MX_ZERO_POINT]
 SPLIT_SHIFT r11, r12, lr
 REQUANTIZE_ANY r2, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r3, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r4, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r5, r10, r12, r11, lr, r0, r1
 ldrd r10, r11, [sp, #MX_SECOND]
 SPLIT_SHIFT r11, r12, lr
 REQUANTIZE_ANY r6, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r7, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r8, r10, r12, r11, lr, r0, r1
 REQUANTIZE_ANY r9, r10, r12, r11, lr, r0, r1
 MX_JOIN
 ldr r10, [sp, #MX_LOW]
 ldr r11, [sp, #MX_HIGH]
 CLAMP r2, r10, r11, r12
 CLAMP r3, r10, r11, r12
 CLAMP r4, r10, r11, r12
 CLAMP r5, r10, r11, r12
 ldr r0, [sp, #MX_PIXELS_SAVED]
 MX_STORE \name
\name\()_next:
 .if \wide
 ldr r1, [sp, #MX_STREAM]
 .else
 ldr r1, [sp, #MX_WEIGHTS_END]
 add r1, r1, #16
 str r1, [sp, #MX_STREAM]
 .endif
 ldr r2, [sp, #MX_STREAM_END]
 cmp r1, r2
 bne.w \name\()_record
 add sp, #60
 pop {r4-r11, pc}
END \name
.endm

MATRIX matrix_narrow, 0, 104
MATRIX matrix_wide, 1, 88
