@ Depthwise 3 x 3 with stride 1: every pair of rows of a column is widened once, into a plane for each of four
@ channels, and serves the three windows across it and the two rows of outputs that begin in it.

@ nervelet_columns_pack(frame: *mut Pack)
@
@ Columns of the image, four channels: their rows become pairs of 16-bit numbers, offset added, one below the other in
@ the four planes. r0 source, r1 target, r2 pairs of rows to go, r3 the frame, r4 bytes of a row of the image, r5 bytes of
@ a plane, r6 three times that, r7 offsets, r10 the word of zero points that padding is made of.
.equ PK_SOURCE, 0
.equ PK_TARGET, 4
.equ PK_CHANNELS, 8      @ from one column of the image to the next
.equ PK_COLUMNS, 12
.equ PK_PAIRS, 16
.equ PK_ROW, 20
.equ PK_PLANE, 24
.equ PK_OFFSETS, 28
.equ PK_ZEROS, 32
.equ PK_TOP, 36          @ 1: padding above the first row
.equ PK_BOTTOM, 40       @ 1: padding below the last row; 2: a pair of padding below it
.equ CO_PITCH, 56        @ bytes of a column: 14 pairs

.macro PK_STORE
 pkhbt r12, r8, r9, lsl #16
 pkhtb lr, r9, r8, asr #16
 sxtab16 r8, r7, r12
 sxtab16 r9, r7, r12, ror #8
 sxtab16 r12, r7, lr
 sxtab16 lr, r7, lr, ror #8
 str r9, [r1, r5]
 str r12, [r1, r5, lsl #1]
 str lr, [r1, r6]
 str r8, [r1], #4
.endm

BEGIN columns_pack
 push {r4-r11, lr}
 mov r3, r0
 ldr r4, [r3, #PK_ROW]
 ldr r5, [r3, #PK_PLANE]
 add r6, r5, r5, lsl #1
 ldr r7, [r3, #PK_OFFSETS]
 ldr.w r10, [r3, #PK_ZEROS]
columns_pack_next:
 ldrd r0, r1, [r3, #PK_SOURCE]
 ldrd r2, r12, [r3, #PK_CHANNELS]
 add r8, r0, r2
 add r9, r1, #CO_PITCH
 strd r8, r9, [r3, #PK_SOURCE]
 sub r12, r12, #1
 str.w r12, [r3, #PK_COLUMNS]
 ldr r2, [r3, #PK_PAIRS]
 ldr.w r11, [r3, #PK_TOP]
 cmp r11, #0
 beq 1f
 mov r8, r10
 ldr r9, [r0]
 add r0, r0, r4
 PK_STORE
1:
 cbz r2, 3f
2:
 ldr r8, [r0]
 ldr.w r9, [r0, r4]
 add r0, r0, r4, lsl #1
 PK_STORE
 subs r2, r2, #1
 bne 2b
3:
 ldr.w r11, [r3, #PK_BOTTOM]
 cmp r11, #1
 blo 4f
 mov r9, r10
 ite eq
 ldreq r8, [r0]
 movne r8, r10
 PK_STORE
4:
 ldr r2, [r3, #PK_COLUMNS]
 cmp r2, #0
 bne columns_pack_next
 pop {r4-r11, pc}
END columns_pack

@ nervelet_columns_move(planes: *mut u32, from: usize, plane: usize)
@
@ Two columns of each of the four planes, `from` bytes behind the first, become the first two.
BEGIN columns_move
 push {r4-r9, lr}
 movs r3, #4
1:
 add r12, r0, r1
 mov lr, r0
 .rept 4
 ldmia.w r12!, {r4-r9}
 stmia.w lr!, {r4-r9}
 .endr
 ldmia.w r12, {r4-r7}
 stmia.w lr, {r4-r7}
 add r0, r0, r2
 subs r3, #1
 bne 1b
 pop {r4-r9, pc}
END columns_move

@ nervelet_columns_run(frame: *const Columns)
@
@ Four channels, one after the other: four rows of outputs at a time down each column, then for two rows more a step that
@ overlaps the one before, and then a single row, where the frame says so.
@ r0 the plane, r1 the output, r2, r3, r10, r11 sums of four rows, r4-r9 the weights of the three columns as pairs
@ (w0, w1) and (w1, w2), r12 and lr pairs of rows. Pairs (0 1), (2 3), (4 5) of a column give
@     row 0: w0 w1 on (0 1), w2 on 2      row 1: w0 on 1, w1 w2 on (2 3)
@ and rows 2 and 3 likewise one pair on. 30 instructions for 36 multiply-accumulates.
.equ CO_STREAM, 0        @ the record
.equ CO_PLANE, 4         @ the first pair of the first column
.equ CO_OUTPUT, 8
.equ CO_PLANE_STEP, 12   @ from one plane to the next
.equ CO_CHANNELS, 16     @ from one output column to the next
.equ CO_ROW, 20          @ from one output row to the next
.equ CO_STEPS, 24        @ bytes of the plane that the steps of four rows advance by, or 0
.equ CO_REST, 28         @ 1: a single row of outputs behind the steps; 2: an overlapping step; 3: both
.equ CO_COLUMNS, 32
.equ CO_TAIL, 36         @ 0 relu, 1 any zero point, 2 any range
.equ CO_LOW, 40
.equ CO_HIGH, 44
.equ CO_FRAME, 48        @ bytes of the frame; then what a channel has of its own
.equ CO_BIAS, 48         @ four times
.equ CO_MANTISSA, 64
.equ CO_ADDEND, 68
.equ CO_SHIFT, 72
.equ CO_COLUMN_PLANE, 76
.equ CO_COLUMN_OUTPUT, 80
.equ CO_LEFT, 84         @ columns to go
.equ CO_END, 88
.equ CO_AFTER, 92        @ what follows the steps; at the start of a column it is CO_FIRST
.equ CO_SAVED, 96
.equ CO_LANE, 104
.equ CO_LAST, 108        @ what follows an overlapping step
.equ CO_FIRST, 112

.macro CO_COLUMN at, first, second
 ldrd r12, lr, [r0, #\at]
 smlad r2, r12, \first, r2
 smlatb r3, r12, \first, r3
 smlabt r2, lr, \second, r2
 smlad r3, lr, \second, r3
 smlad r10, lr, \first, r10
 smlatb r11, lr, \first, r11
 ldr r12, [r0, #\at + 8]
 smlabt r10, r12, \second, r10
 smlad r11, r12, \second, r11
.endm

.macro CO_ROW_OF at, first, second
 ldrd r12, lr, [r0, #\at]
 smlad r2, r12, \first, r2
 smlabt r2, lr, \second, r2
.endm

.macro CO_STORE
 ldr r12, [sp, #CO_ROW]
 strb r2, [r1]
 strb.w r3, [r1, r12]
 add r1, r1, r12, lsl #1
 strb.w r10, [r1]
 strb.w r11, [r1, r12]
 add r1, r1, r12, lsl #1
 add r0, r0, #8
 ldr r12, [sp, #CO_END]
 cmp r0, r12
 bne.w columns_step
 ldr.w pc, [sp, #CO_AFTER]
.endm

BEGIN columns_run
 push {r4-r11, lr}
 sub sp, #116
 mov r12, sp
 ldmia r0!, {r1-r6}
 stmia.w r12!, {r1-r6}
 ldmia.w r0, {r1-r6}
 stmia.w r12, {r1-r6}
 ldr r1, [sp, #CO_REST]
 adr.w r0, columns_next
 lsls r2, r1, #31
 it ne
 adrne.w r0, columns_single
 orr r0, r0, #1
 str r0, [sp, #CO_LAST]
 cmp r1, #2
 it hs
 adrhs.w r0, columns_overlap
 orr r0, r0, #1
 str r0, [sp, #CO_FIRST]
 movs r10, #0
columns_lane:
 str r10, [sp, #CO_LANE]
 ldr r0, [sp, #CO_STREAM]
 add r1, r0, r10, lsl #2
 ldr r2, [r1]
 mov r3, r2
 mov r4, r2
 mov r5, r2
 add r11, r10, r10, lsl #1
 add r1, r0, r11, lsl #2
 add r1, r1, #112
 ldmia r1, {r6, r7, r8}
 ldr r1, [sp, #CO_PLANE_STEP]
 ldr r9, [sp, #CO_PLANE]
 mla r9, r10, r1, r9
 ldr r1, [sp, #CO_OUTPUT]
 add r10, r10, r1
 ldr r1, [sp, #CO_COLUMNS]
 str r1, [sp, #CO_LEFT]
 add r12, sp, #CO_BIAS
 stmia.w r12, {r2-r10}
 add r0, r0, r11, lsl #3
 add r0, r0, #16
 ldmia.w r0, {r4-r9}
columns_column:
 ldrd r0, r1, [sp, #CO_COLUMN_PLANE]
 ldr r2, [sp, #CO_STEPS]
 add r2, r2, r0
 ldr r3, [sp, #CO_FIRST]
 str r2, [sp, #CO_END]
 str r3, [sp, #CO_AFTER]
columns_step:
 add r12, sp, #CO_BIAS
 ldmia.w r12, {r2, r3, r10, r11}
 CO_COLUMN 0, r4, r5
 CO_COLUMN CO_PITCH, r6, r7
 CO_COLUMN 2 * CO_PITCH, r8, r9
 ldr r12, [sp, #CO_TAIL]
 cmp r12, #0
 bne 1f
 ldrd r12, lr, [sp, #CO_MANTISSA]
 .irp sum, r2, r3, r10, r11
 MULTIPLY_HIGH \sum, r12, lr, 0
 .endr
 ldr r12, [sp, #CO_SHIFT]
 .irp sum, r2, r3, r10, r11
 asr \sum, \sum, r12
 ssat \sum, #8, \sum
 .endr
 CO_STORE
1:
 strd r0, r1, [sp, #CO_SAVED]
 ldr r0, [sp, #CO_SHIFT]
 ldrd r12, lr, [sp, #CO_MANTISSA]
 lsrs r0, r0, #8
 .irp sum, r2, r3, r10, r11
 and r1, r0, \sum, asr #31
 sub r1, lr, r1
 MULTIPLY_HIGH \sum, r12, r1, 0
 .endr
 ldr r12, [sp, #CO_SHIFT]
 .irp sum, r2, r3, r10, r11
 asr \sum, \sum, r12
 ssat \sum, #8, \sum
 .endr
 ldr r0, [sp, #CO_TAIL]
 cmp r0, #2
 bne 2f
 ldrd r0, r1, [sp, #CO_LOW]
 .irp sum, r2, r3, r10, r11
 CLAMP \sum, r0, r1, r12
 .endr
2:
 ldrd r0, r1, [sp, #CO_SAVED]
 CO_STORE
 .balign 4
columns_overlap:
 sub r0, r0, #4
 add r2, r0, #8
 str r2, [sp, #CO_END]
 ldr r2, [sp, #CO_LAST]
 str r2, [sp, #CO_AFTER]
 ldr r2, [sp, #CO_ROW]
 sub r1, r1, r2, lsl #1
 b.w columns_step
 .balign 4
columns_single:
 ldr r2, [sp, #CO_BIAS]
 CO_ROW_OF 0, r4, r5
 CO_ROW_OF CO_PITCH, r6, r7
 CO_ROW_OF 2 * CO_PITCH, r8, r9
 ldrd r12, lr, [sp, #CO_MANTISSA]
 ldr r10, [sp, #CO_SHIFT]
 ldr r3, [sp, #CO_TAIL]
 cbnz r3, 3f
 SCALE_RELU r2, r12, lr, r10
 strb r2, [r1]
 b 4f
3:
 SCALE r2, r12, lr, r10, r0
 cmp r3, #2
 bne 5f
 ldrd r10, r11, [sp, #CO_LOW]
 CLAMP r2, r10, r11, r12
5:
 strb r2, [r1]
4:
 .balign 4
columns_next:
 ldrd r0, r1, [sp, #CO_COLUMN_PLANE]
 add r0, r0, #CO_PITCH
 ldr r2, [sp, #CO_CHANNELS]
 add r1, r1, r2
 strd r0, r1, [sp, #CO_COLUMN_PLANE]
 ldr r0, [sp, #CO_LEFT]
 subs r0, r0, #1
 str r0, [sp, #CO_LEFT]
 bne.w columns_column
 ldr r10, [sp, #CO_LANE]
 add r10, r10, #1
 cmp r10, #4
 bne.w columns_lane
 add sp, #116
 pop {r4-r11, pc}
END columns_run
