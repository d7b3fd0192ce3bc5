@ nervelet_widen(frame), nervelet_widen_plain(frame): blocks of four windows for the matrix kernel.
@
@ Four windows of rows of codes become words, interleaved: of each 4 codes [0 1 2 3] the first factors of the four
@ windows, then the second ones. They are the pairs [0 2] and, with seven bits of 0 and 2 turned over, the four codes as
@ they are, two halfwords (see dense.s); or, plain, the pairs [0 2] and [1 3] with the offset added. Behind each block
@ stands the address of its output.
@ r0-r3 sources, r4 target, r5 the bits or the offset twice, r6-r12 and lr the eight words of a unit of 4 codes.
.equ WD_SOURCES, 0
.equ WD_TARGET, 16
.equ WD_FACTOR, 20
.equ WD_BYTES, 24        @ of a row in the target
.equ WD_ROWS, 28
.equ WD_ADVANCE, 32      @ from the end of one row to the start of the next
.equ WD_BLOCKS, 36
.equ WD_BLOCK_ADVANCE, 40 @ from the end of a block's last row to the start of the next block
.equ WD_PLACE, 44
.equ WD_PLACE_STEP, 48
.equ WD_ENTRY, 52        @ units to skip on entry; then the address
.equ WD_END, 56          @ of the row in the target
.equ WD_ROWS_LEFT, 60

.macro WIDEN name, plain
BEGIN \name
 push {r4-r11, lr}
 sub sp, #68
 mov r10, sp
 ldmia r0!, {r1-r7}
 stmia.w r10!, {r1-r7}
 ldmia.w r0, {r1-r7}
 stmia.w r10, {r1-r7}
 adr.w r8, \name\()_loop
 movs r6, #52
 mla r8, r7, r6, r8
 orr r8, r8, #1
 str r8, [sp, #WD_ENTRY]
 ldmia.w sp, {r0-r5}
\name\()_block:
 ldr r6, [sp, #WD_ROWS]
 str r6, [sp, #WD_ROWS_LEFT]
\name\()_row:
 ldr r6, [sp, #WD_BYTES]
 add r6, r6, r4
 str r6, [sp, #WD_END]
 ldr.w pc, [sp, #WD_ENTRY]
 .balign 4
\name\()_loop:
 .rept 4
 ldr r6, [r0], #4
 ldr r7, [r1], #4
 ldr r8, [r2], #4
 ldr r9, [r3], #4
 .if \plain
 sxtab16 r10, r5, r6, ror #8
 sxtab16 r11, r5, r7, ror #8
 sxtab16 r12, r5, r8, ror #8
 sxtab16 lr, r5, r9, ror #8
 sxtab16 r6, r5, r6
 sxtab16 r7, r5, r7
 sxtab16 r8, r5, r8
 sxtab16 r9, r5, r9
 .else
 eor r10, r6, r5
 eor r11, r7, r5
 eor r12, r8, r5
 eor lr, r9, r5
 sxtb16 r6, r6
 sxtb16 r7, r7
 sxtb16 r8, r8
 sxtb16 r9, r9
 .endif
 stmia.w r4!, {r6-r12, lr}
 .endr
 ldr r6, [sp, #WD_END]
 cmp r4, r6
 bne.w \name\()_loop
 ldr r6, [sp, #WD_ROWS_LEFT]
 subs r6, r6, #1
 beq 1f
 str r6, [sp, #WD_ROWS_LEFT]
 ldr r6, [sp, #WD_ADVANCE]
 add r0, r0, r6
 add r1, r1, r6
 add r2, r2, r6
 add r3, r3, r6
 b \name\()_row
1:
 ldrd r6, r7, [sp, #WD_PLACE]
 str r6, [r4], #4
 add r6, r6, r7
 str r6, [sp, #WD_PLACE]
 ldrd r6, r7, [sp, #WD_BLOCKS]
 subs r6, r6, #1
 str r6, [sp, #WD_BLOCKS]
 beq 2f
 add r0, r0, r7
 add r1, r1, r7
 add r2, r2, r7
 add r3, r3, r7
 b \name\()_block
2:
 add sp, #68
 pop {r4-r11, pc}
END \name
.endm

WIDEN widen, 0
WIDEN widen_plain, 1
