@ nervelet_rows(frame): four rows of int8 weights over int16 inputs at a time, for any number of groups.
@
@ Two weights of an input share a halfword, 256 * odd + even, which is a factor as it is; the low byte alone is the even
@ row's weight. Sums of two such products have 32 bits, and without the even row's they are 256 times the odd row's.
@
@ r0 walks the inputs up to r12, r1 the stream; r8-r11 sums, lr 32768. Per 4 inputs of 4 rows: 66 instructions for 16
@ multiply-accumulates.

.equ RW_STREAM_END, 0
.equ RW_INPUTS, 4
.equ RW_INPUTS_END, 8
.equ RW_RESULTS, 12
.equ RW_UNUSED, 16

@ Two rows for the inputs r2 and r3.
.macro RW_PAIR even, odd
 ldm r1!, {r4}
 sxth r5, r4
 asrs r4, r4, #16
 sxtb r6, r5
 sxtb r7, r4
 muls r5, r2, r5
 muls r4, r3, r4
 adds r4, r4, r5
 muls r6, r2, r6
 muls r7, r3, r7
 adds r6, r6, r7
 add \even, \even, r6
 subs r4, r4, r6
 asrs r4, r4, #8
 add \odd, \odd, r4
.endm

@ Finishes a sum with its bias and mantissa: the product's upper half, rounded, is the result of a shift of 32. With
@ sum = 65536 * h + l and mantissa = 65536 * mh + ml it is h * mh + floor((h * ml + floor(l * ml / 65536) + 32768 + l * mh) / 65536):
@ in brackets, what stands before the last addend and the addend itself have 32 bits each, and their sum a carry.
.macro RW_FINISH sum
 ldm r1!, {r2, r3}
 add r2, r2, \sum
 uxth r4, r2
 asrs r2, r2, #16
 uxth r5, r3
 lsrs r3, r3, #16
 movs r6, r4
 muls r6, r5, r6
 lsrs r6, r6, #16
 add r6, r6, lr
 muls r5, r2, r5
 adds r5, r5, r6
 muls r4, r3, r4
 muls r2, r3, r2
 asrs r6, r5, #16
 adds r2, r2, r6
 lsrs r6, r4, #16
 lsls r5, r5, #16
 lsls r4, r4, #16
 adds r4, r4, r5
 adcs r2, r2, r6
 mov \sum, r2
.endm

BEGIN rows
 ENTER 6
 ldr r0, [sp, #RW_INPUTS_END]
 mov r12, r0
 movs r0, #1
 lsls r0, r0, #15
 mov lr, r0
rows_group:
 movs r0, #0
 mov r8, r0
 mov r9, r0
 mov r10, r0
 mov r11, r0
 ldr r0, [sp, #RW_INPUTS]
rows_loop:
 .rept 2
 ldm r0!, {r3}
 sxth r2, r3
 asrs r3, r3, #16
 RW_PAIR r8, r9
 RW_PAIR r10, r11
 .endr
 cmp r0, r12
 bne rows_loop
 RW_FINISH r8
 RW_FINISH r9
 RW_FINISH r10
 RW_FINISH r11
 mov r2, r8
 mov r3, r9
 mov r4, r10
 mov r5, r11
 ldr r6, [sp, #RW_RESULTS]
 stm r6!, {r2-r5}
 str r6, [sp, #RW_RESULTS]
 ldr r6, [sp, #RW_STREAM_END]
 cmp r1, r6
 beq 1f
 b rows_group
1:
 LEAVE 6
END rows
