@ nervelet_dense_triples(frame): three output channels of one pixel at a time, a weight and an input a multiplication.
@
@ r8-r10 sums, r2 counts the inputs up to 0; r0 is behind the inputs, r1, r5 and r6 behind the weights of the channels;
@ r11 has the zero point. Per input: 12 instructions for 3 multiply-accumulates.

.equ DT_OUTPUT, 0
.equ DT_LAST, 4          @ where the last codes go
.equ DT_INPUTS, 8
.equ DT_COUNT, 12
.equ DT_ROW, 16          @ bytes of a channel's weights
.equ DT_ZERO_POINT, 20
.equ DT_RECORDS, 24      @ before the last

@ The code of a sum, with its multiplier at r1, to the output.
.macro DT_CODE sum, place
 ldm r1!, {r4, r6}
 SPLIT
 ROUND \sum, r11
 SATURATE
 ldr r2, [sp, #DT_OUTPUT]
 strb r0, [r2, #\place]
.endm

BEGIN dense_triples
 ENTER 8
 ldr r0, [sp, #DT_ZERO_POINT]
 mov r11, r0
triples_record:
 ldr r0, [sp, #DT_RECORDS]
 cmp r0, #0
 bne 1f
 ldr r0, [sp, #DT_LAST]
 str r0, [sp, #DT_OUTPUT]
1:
 ldm r1!, {r3, r4, r5}
 mov r8, r3
 mov r9, r4
 mov r10, r5
 ldr r2, [sp, #DT_COUNT]
 ldr r3, [sp, #DT_ROW]
 ldr r0, [sp, #DT_INPUTS]
 adds r0, r0, r2
 adds r1, r1, r2
 adds r5, r1, r3
 adds r6, r5, r3
 negs r2, r2
2:
 ldrsb r3, [r0, r2]
 ldrsb r4, [r1, r2]
 muls r4, r3, r4
 add r8, r8, r4
 ldrsb r4, [r5, r2]
 muls r4, r3, r4
 add r9, r9, r4
 ldrsb r4, [r6, r2]
 muls r4, r3, r4
 add r10, r10, r4
 adds r2, r2, #1
 bne 2b
 ldr r2, [sp, #DT_COUNT]
 ldr r3, [sp, #DT_ROW]
 subs r1, r6, r2
 adds r1, r1, r3
 DT_CODE r8, 0
 DT_CODE r9, 1
 DT_CODE r10, 2
 adds r2, r2, #3
 str r2, [sp, #DT_OUTPUT]
 ldr r0, [sp, #DT_RECORDS]
 subs r0, r0, #1
 str r0, [sp, #DT_RECORDS]
 bmi 3f
 b triples_record
3:
 LEAVE 8
END dense_triples
