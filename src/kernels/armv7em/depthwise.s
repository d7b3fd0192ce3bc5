@ nervelet_depthwise(frame): four channels of one pixel at a time, any taps, for a run of pixels in one row.
@
@ r2-r5 sums of four channels, r0 the weights, r1 a table of the taps' distances in bytes from the pixel at r12, lr the
@ offset of the inputs twice. A pair of taps is two words of four channels each; they are shuffled into a pair of
@ 16-bit numbers for each channel (r6-r9), which meet the pair's weights (r10, r11, two by two).
@ Per 2 taps of 4 sums: 15 instructions.

.equ DW_STREAM, 0
.equ DW_STREAM_END, 4
.equ DW_TABLE, 8
.equ DW_TABLE_END, 12
.equ DW_PIXEL, 16
.equ DW_PIXEL_STEP, 20   @ from one pixel of the run to the next
.equ DW_OUTPUT, 24
.equ DW_OUTPUT_SKIP, 28  @ from the last channel written to the next pixel's first
.equ DW_PIXELS, 32
.equ DW_ENTRY, 36        @ pairs to skip on entry; then the address
.equ DW_TAIL, 40         @ 0 relu, 1 any zero point, 2 any range
.equ DW_OFFSETS, 44
.equ DW_LOW, 48
.equ DW_HIGH, 52

@ Stores four codes.
.macro DW_STORE
 bfi r2, r3, #8, #8
 bfi r4, r5, #8, #8
 pkhbt r2, r2, r4, lsl #16
 ldr r6, [sp, #DW_OUTPUT]
 str r2, [r6], #4
 str r6, [sp, #DW_OUTPUT]
 add r12, r12, #4
 ldr r7, [sp, #DW_STREAM_END]
 cmp r0, r7
 bne.w depthwise_quad
 b.w depthwise_next
.endm

BEGIN depthwise
 push {r4-r11, lr}
 sub sp, #60
 mov r9, sp
 ldmia r0!, {r1-r7}
 stmia.w r9!, {r1-r7}
 ldmia.w r0, {r1-r7}
 stmia.w r9, {r1-r7}
 adr.w r0, depthwise_loop
 movs r4, #60
 mla r0, r3, r4, r0
 orr r0, r0, #1
 str r0, [sp, #DW_ENTRY]
 ldr lr, [sp, #DW_OFFSETS]
depthwise_pixel:
 ldr r0, [sp, #DW_STREAM]
 ldr r12, [sp, #DW_PIXEL]
depthwise_quad:
 ldr r1, [sp, #DW_TABLE]
 ldmia r0!, {r2-r5}
 ldr.w pc, [sp, #DW_ENTRY]
 .balign 4
depthwise_loop:
 .rept 8
 ldrd r6, r7, [r1], #8
 ldr.w r6, [r12, r6]
 ldr.w r7, [r12, r7]
 pkhbt r8, r6, r7, lsl #16
 pkhtb r9, r7, r6, asr #16
 sxtab16 r6, lr, r8
 sxtab16 r8, lr, r8, ror #8
 sxtab16 r7, lr, r9
 sxtab16 r9, lr, r9, ror #8
 ldrd r10, r11, [r0], #8
 smlad r2, r6, r10, r2
 smlad r3, r8, r11, r3
 ldrd r10, r11, [r0], #8
 smlad r4, r7, r10, r4
 smlad r5, r9, r11, r5
 .endr
 ldr r6, [sp, #DW_TABLE_END]
 cmp r1, r6
 bne.w depthwise_loop
 ldr r1, [sp, #DW_TAIL]
 cbnz r1, depthwise_any
 ldmia.w r0!, {r6-r11}
 SCALE_RELU r2, r6, r7, r8
 SCALE_RELU r3, r9, r10, r11
 ldmia.w r0!, {r6-r11}
 SCALE_RELU r4, r6, r7, r8
 SCALE_RELU r5, r9, r10, r11
 DW_STORE
depthwise_any:
 .irp sum, r2, r3, r4, r5
 ldmia r0!, {r6-r8}
 SCALE \sum, r6, r7, r8, r9
 .endr
 cmp r1, #2
 bne 1f
 ldrd r6, r7, [sp, #DW_LOW]
 .irp sum, r2, r3, r4, r5
 CLAMP \sum, r6, r7, r8
 .endr
1:
 DW_STORE
depthwise_next:
 ldr r6, [sp, #DW_PIXEL]
 ldr r7, [sp, #DW_PIXEL_STEP]
 add r6, r6, r7
 str r6, [sp, #DW_PIXEL]
 ldr r6, [sp, #DW_OUTPUT]
 ldr r7, [sp, #DW_OUTPUT_SKIP]
 add r6, r6, r7
 str r6, [sp, #DW_OUTPUT]
 ldr r6, [sp, #DW_PIXELS]
 subs r6, r6, #1
 str r6, [sp, #DW_PIXELS]
 bne.w depthwise_pixel
 add sp, #60
 pop {r4-r11, pc}
END depthwise
