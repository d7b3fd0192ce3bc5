@ nervelet_wide_pixels(frame): one output channel of four pixels at a time, int16 inputs and int8 weights.
@
@ r0 the frame, r1 weights, r2-r5 sums, r6-r9 pixels, lr rounds of four products left; on the stack rows left. Per product
@ of four sums: 9 instructions.
@
@ A mantissa keeps 16 bits, rounded; sums times these are shifted by 15 less the exponent, rounded once, halves up: by 16
@ in the high word of the product, then by the rest, at least 1, with the last bit shifted out in the carry.

.equ WI_WEIGHTS, 32
.equ WI_ROWS, 36
.equ WI_ROW, 40          @ products; then rounds of four
.equ WI_STEP, 44
.equ WI_WEIGHT_STEP, 48
.equ WI_NEXT, 52
.equ WI_BIAS, 56
.equ WI_BIAS_STEP, 60
.equ WI_MANTISSAS, 64
.equ WI_EXPONENTS, 68
.equ WI_CHANNELS, 72
.equ WI_ENTRY, 76        @ where the first round of a row begins

.macro WI_FINISH sum
 add \sum, \sum, r7
 smull r10, \sum, \sum, r8
 asrs.w \sum, \sum, r9
 adc \sum, \sum, #0
 ssat \sum, #16, \sum
.endm

BEGIN wide_pixels
 push {r3-r11, lr}
 ldr r2, [r0, #WI_ROW]
 adr.w r3, wide_loop
 rsbs r1, r2, #0
 and r1, r1, #3
 movs r4, #36
 mla r3, r1, r4, r3
 orr r3, r3, #1
 str r3, [r0, #WI_ENTRY]
 adds r2, r2, #3
 lsrs r2, r2, #2
 str r2, [r0, #WI_ROW]
 ldr r1, [r0, #WI_WEIGHTS]
wide_channel:
 movs r2, #0
 movs r3, #0
 movs r4, #0
 movs r5, #0
 ldr r10, [r0, #WI_ROWS]
 str r10, [sp]
 ldmia.w r0, {r6-r9}
wide_row:
 ldr lr, [r0, #WI_ROW]
 ldr.w pc, [r0, #WI_ENTRY]
 .balign 4
wide_loop:
 .rept 4
 ldrsb r10, [r1], #1
 ldrsh r11, [r6], #2
 ldrsh r12, [r7], #2
 mla r2, r11, r10, r2
 mla r3, r12, r10, r3
 ldrsh r11, [r8], #2
 ldrsh r12, [r9], #2
 mla r4, r11, r10, r4
 mla r5, r12, r10, r5
 .endr
 subs lr, lr, #1
 bne.w wide_loop
 ldr r10, [sp]
 subs r10, r10, #1
 beq 1f
 str r10, [sp]
 ldrd r10, r11, [r0, #WI_STEP]
 add r6, r6, r10
 add r7, r7, r10
 add r8, r8, r10
 add r9, r9, r10
 add r1, r1, r11
 b wide_row
1:
 ldr r10, [r0, #WI_NEXT]
 add r1, r1, r10
 ldrd r6, r10, [r0, #WI_BIAS]
 ldr r7, [r6]
 add r6, r6, r10
 str r6, [r0, #WI_BIAS]
 ldrd r6, r10, [r0, #WI_MANTISSAS]
 ldr r8, [r6], #4
 ldrsb r9, [r10], #1
 strd r6, r10, [r0, #WI_MANTISSAS]
 add r8, r8, #32768
 bfc r8, #0, #16
 mvn r9, r9
 WI_FINISH r2
 WI_FINISH r3
 WI_FINISH r4
 WI_FINISH r5
 add r12, r0, #16
 ldmia.w r12, {r6-r9}
 strh r2, [r6], #2
 strh r3, [r7], #2
 strh r4, [r8], #2
 strh r5, [r9], #2
 stmia.w r12, {r6-r9}
 ldr r10, [r0, #WI_CHANNELS]
 subs r10, r10, #1
 str r10, [r0, #WI_CHANNELS]
 bne.w wide_channel
 pop {r3-r11, pc}
END wide_pixels
