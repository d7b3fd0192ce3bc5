@ nervelet_wide_pixels(frame): one output channel of four pixels at a time, int16 inputs and int8 weights.
@
@ r0 weights, r1 bytes from the pixels in r4-r7 up to r12, r8-r11 sums, lr the frame. Per product of four sums: 18
@ instructions.
@
@ A mantissa keeps 16 bits, rounded; sums times these are shifted by 15 less the exponent, rounded once, halves up: by 16
@ where halves of the sum are multiplied, then by the rest, at least 1, with the last bit shifted out in the carry.

.equ WI_OUTPUTS, 16
.equ WI_WEIGHTS, 32
.equ WI_ROWS, 36
.equ WI_ROW, 40
.equ WI_STEP, 44         @ from the end of a row to the next; then from its start
.equ WI_WEIGHT_STEP, 48
.equ WI_NEXT, 52
.equ WI_BIAS, 56
.equ WI_BIAS_STEP, 60
.equ WI_MANTISSAS, 64
.equ WI_EXPONENTS, 68
.equ WI_CHANNELS, 72
.equ WI_ROWS_LEFT, 76

.macro WI_MULTIPLY pixel, sum
 ldrsh r3, [\pixel, r1]
 muls r3, r2, r3
 add \sum, \sum, r3
.endm

@ From a sum to a code: r2 the frame, r3 0, r5 the mantissa, r6 the shift, r7 32767.
.macro WI_FINISH sum, place
 mov r0, \sum
 uxth r1, r0
 asrs r0, r0, #16
 muls r0, r5, r0
 muls r1, r5, r1
 lsrs r1, r1, #16
 adds r0, r0, r1
 asrs r0, r0, r6
 adcs r0, r0, r3
 sxth r1, r0
 cmp r1, r0
 beq 9f
 asrs r0, r0, #31
 eors r0, r0, r7
9:
 ldr r1, [r2, #WI_OUTPUTS + 4 * \place]
 strh r0, [r1]
 adds r1, r1, #2
 str r1, [r2, #WI_OUTPUTS + 4 * \place]
.endm

BEGIN wide_pixels
 push {r4-r7, lr}
 mov r4, r8
 mov r5, r9
 mov r6, r10
 mov r7, r11
 push {r4-r7}
 mov lr, r0
 ldr r1, [r0, #WI_ROW]
 lsls r1, r1, #1
 mov r12, r1
 ldr r2, [r0, #WI_STEP]
 adds r2, r2, r1
 str r2, [r0, #WI_STEP]
wide_channel:
 mov r2, lr
 ldr r3, [r2, #WI_ROWS]
 str r3, [r2, #WI_ROWS_LEFT]
 ldr r0, [r2, #WI_WEIGHTS]
 movs r1, #0
 mov r8, r1
 mov r9, r1
 mov r10, r1
 mov r11, r1
 ldm r2!, {r4-r7}
wide_row:
 movs r1, #0
1:
 ldrb r2, [r0]
 sxtb r2, r2
 WI_MULTIPLY r4, r8
 WI_MULTIPLY r5, r9
 WI_MULTIPLY r6, r10
 WI_MULTIPLY r7, r11
 adds r0, r0, #1
 adds r1, r1, #2
 cmp r1, r12
 bne 1b
 mov r2, lr
 ldr r3, [r2, #WI_ROWS_LEFT]
 subs r3, r3, #1
 beq 2f
 str r3, [r2, #WI_ROWS_LEFT]
 ldr r3, [r2, #WI_STEP]
 adds r4, r4, r3
 adds r5, r5, r3
 adds r6, r6, r3
 adds r7, r7, r3
 ldr r3, [r2, #WI_WEIGHT_STEP]
 adds r0, r0, r3
 b wide_row
2:
 ldr r3, [r2, #WI_NEXT]
 adds r0, r0, r3
 str r0, [r2, #WI_WEIGHTS]
 ldr r4, [r2, #WI_BIAS]
 ldr r5, [r4]
 ldr r3, [r2, #WI_BIAS_STEP]
 adds r4, r4, r3
 str r4, [r2, #WI_BIAS]
 add r8, r8, r5
 add r9, r9, r5
 add r10, r10, r5
 add r11, r11, r5
 ldr r4, [r2, #WI_MANTISSAS]
 ldm r4!, {r5}
 str r4, [r2, #WI_MANTISSAS]
 movs r3, #1
 lsls r3, r3, #15
 adds r5, r5, r3
 asrs r5, r5, #16
 subs r7, r3, #1
 ldr r4, [r2, #WI_EXPONENTS]
 movs r3, #0
 ldrsb r6, [r4, r3]
 mvns r6, r6
 adds r4, r4, #1
 str r4, [r2, #WI_EXPONENTS]
 WI_FINISH r8, 0
 WI_FINISH r9, 1
 WI_FINISH r10, 2
 WI_FINISH r11, 3
 ldr r0, [r2, #WI_CHANNELS]
 subs r0, r0, #1
 str r0, [r2, #WI_CHANNELS]
 beq 3f
 b wide_channel
3:
 pop {r4-r7}
 mov r8, r4
 mov r9, r5
 mov r10, r6
 mov r11, r7
 pop {r4-r7, pc}
END wide_pixels
