@ nervelet_pool_mean(frame), nervelet_pool_max(frame): one pixel, four channels at a time, the last four of which may
@ overlap the ones before.
@
@ r0 the codes of four channels, r1 and r2 columns and rows to go, r3 from one column to the next, r4 from behind a row to
@ the next one's first column, r5 and r6 sums of 16 bits (of channels 0 and 2, 1 and 3), or r5 the largest codes; r8 the
@ first of the channels, r9 the frame, r10 the taps and r11 half of them.
.equ PL_SOURCE, 0
.equ PL_COLUMNS, 4
.equ PL_ROWS, 8
.equ PL_STEP, 12
.equ PL_ADVANCE, 16
.equ PL_TAPS, 20
.equ PL_HALF, 24
.equ PL_LOW, 28
.equ PL_HIGH, 32
.equ PL_OUTPUT, 36
.equ PL_LAST, 40

@ The quotient of a sum, rounded to nearest with halves away from zero.
.macro PL_MEAN sum
 eor r1, r11, \sum, asr #31
 sub r1, r1, \sum, asr #31
 add \sum, \sum, r1
 sdiv \sum, \sum, r10
.endm

.macro POOL name, mean
BEGIN \name
 push {r4-r11, lr}
 mov r9, r0
 ldrd r3, r4, [r9, #PL_STEP]
 ldrd r10, r11, [r9, #PL_TAPS]
 mov r8, #0
1:
 ldr.w r0, [r9, #PL_SOURCE]
 add r0, r0, r8
 ldr.w r2, [r9, #PL_ROWS]
 .if \mean
 movs r5, #0
 movs r6, #0
 .else
 mov r5, #0x80808080
 .endif
2:
 ldr.w r1, [r9, #PL_COLUMNS]
3:
 ldr.w r12, [r0]
 add r0, r0, r3
 .if \mean
 sxtab16 r5, r5, r12
 sxtab16 r6, r6, r12, ror #8
 .else
 ssub8 r6, r12, r5
 sel r5, r12, r5
 .endif
 subs r1, r1, #1
 bne 3b
 add r0, r0, r4
 subs r2, r2, #1
 bne 2b
 .if \mean
 asr r2, r5, #16
 asr r7, r6, #16
 sxth r5, r5
 sxth r6, r6
 .irp sum, r5, r6, r2, r7
 PL_MEAN \sum
 .endr
 bfi r5, r6, #8, #8
 bfi r2, r7, #8, #8
 pkhbt r5, r5, r2, lsl #16
 .endif
 ldrd r0, r1, [r9, #PL_LOW]
 CLAMP r5, r0, r1, r6
 ldrd r0, r1, [r9, #PL_OUTPUT]
 str r5, [r0, r8]
 cmp r8, r1
 beq 4f
 add r8, r8, #4
 cmp r8, r1
 it hi
 movhi r8, r1
 b 1b
4:
 pop {r4-r11, pc}
END \name
.endm

POOL pool_mean, 1
POOL pool_max, 0
