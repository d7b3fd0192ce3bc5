@ nervelet_dense(frame): two output channels of one pixel at a time.
@
@ Two weights of a channel share a halfword, h = 256 * odd + even, which is a factor as it is; only the even ones are
@ sign-extended. With inputs x0 of even and x1 of odd weights
@     h * x1 + even * (256 * x0 - x1) = 256 * (odd * x1 + even * x0)
@ so sums are 256 times as large, and exact modulo 2^24: the packer sees to it that they fit. The second factor needs 16
@ bits and an offset of 127, which the biases make up for, as they do for the zero point of the inputs.
@
@ r2 and r3 sums, r4-r7 four words of weights (of 4 inputs each, the channels taking turns), r8-r11 the second factors
@ and odd inputs they meet, r12 spare, r0 the inputs, r1 the weights, lr the output. Per 8 inputs of 2 sums: 14
@ instructions for 16 multiply-accumulates.

.equ DN_STREAM, 0
.equ DN_OUTPUT, 4
.equ DN_OUTPUT_END, 8
.equ DN_INPUTS, 12
.equ DN_INPUTS_END, 16
.equ DN_ENTRY, 20        @ units to skip on entry; then the address
.equ DN_TAIL, 24         @ 0 relu, 1 full range, 2 any; then the address
.equ DN_ZERO_POINT, 28
.equ DN_LOW, 32
.equ DN_HIGH, 36

.macro DN_STORE
 strh r2, [lr], #2
 ldr r12, [sp, #DN_OUTPUT_END]
 cmp lr, r12
 bne.w dense_record
 add sp, #40
 pop {r4-r11, pc}
.endm

BEGIN dense
 push {r4-r11, lr}
 ldmia.w r0, {r1-r10}
 push {r1-r10}
 adr.w r0, dense_loop
 movs r2, #56
 mla r0, r6, r2, r0
 orr r0, r0, #1
 str r0, [sp, #DN_ENTRY]
 adr.w r0, dense_relu
 cmp r7, #1
 it eq
 adreq.w r0, dense_full
 it hi
 adrhi.w r0, dense_any
 orr r0, r0, #1
 str r0, [sp, #DN_TAIL]
 ldr lr, [sp, #DN_OUTPUT]
dense_record:
 ldr r0, [sp, #DN_INPUTS]
 ldmia r1!, {r2, r3}
 ldr.w pc, [sp, #DN_ENTRY]
 .balign 4
dense_loop:
 .rept 16
 ldmia.w r1!, {r4-r7}
 ldmia.w r0!, {r8-r11}
 sxtb16 r12, r4
 smlad r2, r4, r9, r2
 smlad r2, r12, r8, r2
 sxtb16 r12, r5
 smlad r3, r5, r9, r3
 smlad r3, r12, r8, r3
 sxtb16 r12, r6
 smlad r2, r6, r11, r2
 smlad r2, r12, r10, r2
 sxtb16 r12, r7
 smlad r3, r7, r11, r3
 smlad r3, r12, r10, r3
 .endr
 ldr r12, [sp, #DN_INPUTS_END]
 cmp r0, r12
 bne.w dense_loop
 ldmia r1!, {r4-r7}
 ldr.w pc, [sp, #DN_TAIL]
 .balign 4
dense_relu:
 REQUANTIZE_RELU r2, r4, r5, asr, 7
 REQUANTIZE_RELU r3, r6, r7, asr, 7
 bfi r2, r3, #8, #8
 DN_STORE
 .balign 4
dense_full:
 ldr r12, [sp, #DN_ZERO_POINT]
 REQUANTIZE r2, r4, r5, r12, asr, 7
 REQUANTIZE r3, r6, r7, r12, asr, 7
 bfi r2, r3, #8, #8
 DN_STORE
 .balign 4
dense_any:
 asr r2, r2, #8
 asr r3, r3, #8
 ldr r12, [sp, #DN_ZERO_POINT]
 SPLIT_SHIFT r5, r8, r9
 REQUANTIZE_ANY r2, r4, r8, r5, r9, r12, r10
 SPLIT_SHIFT r7, r8, r9
 REQUANTIZE_ANY r3, r6, r8, r7, r9, r12, r10
 bfi r2, r3, #8, #8
 ldr r10, [sp, #DN_LOW]
 ldr r11, [sp, #DN_HIGH]
 CLAMP r2, r10, r11, r12
 DN_STORE
END dense
