@ nervelet_widen_4(sources: &[*const i8; 4], target: *mut u32, units: usize, offsets: u32, rows: usize, step: usize)
@
@ Four windows of rows of 4 * units codes, step bytes apart, become pairs of 16-bit numbers with the offset added,
@ interleaved for the matrix kernel: of each 4 codes the words [0 2] of the four windows, then the words [1 3].
@ units and rows are at least 1. r0-r3 sources, r4 target, r5 offsets, r6-r12 and lr the eight words of a unit.
.equ WD_END, 0           @ of the row in the target
.equ WD_ENTRY, 4
.equ WD_BYTES, 8         @ of a row in the target
.equ WD_ADVANCE, 12      @ from the end of one row to the start of the next
.equ WD_ROWS, 52
.equ WD_STEP, 56

BEGIN widen_4
 push {r4-r11, lr}
 sub sp, #16
 mov r4, r1
 mov r5, r3
 lsl r6, r2, #5
 str r6, [sp, #WD_BYTES]
 ldr r6, [sp, #WD_STEP]
 sub r6, r6, r2, lsl #2
 str r6, [sp, #WD_ADVANCE]
 @ Enters the unrolled loop so that it ends with the last unit.
 rsb r7, r2, #0
 and r7, r7, #3
 ldmia r0, {r0-r3}
 adr.w r8, widen_loop
 movs r6, #52
 mla r8, r7, r6, r8
 orr r8, r8, #1
 str r8, [sp, #WD_ENTRY]
widen_row:
 ldr r6, [sp, #WD_BYTES]
 add r6, r6, r4
 str r6, [sp, #WD_END]
 ldr.w pc, [sp, #WD_ENTRY]
 .balign 4
widen_loop:
 .rept 4
 ldr r6, [r0], #4
 ldr r7, [r1], #4
 ldr r8, [r2], #4
 ldr r9, [r3], #4
 sxtab16 r10, r5, r6, ror #8
 sxtab16 r11, r5, r7, ror #8
 sxtab16 r12, r5, r8, ror #8
 sxtab16 lr, r5, r9, ror #8
 sxtab16 r6, r5, r6
 sxtab16 r7, r5, r7
 sxtab16 r8, r5, r8
 sxtab16 r9, r5, r9
 stmia.w r4!, {r6-r12, lr}
 .endr
 ldr r6, [sp, #WD_END]
 cmp r4, r6
 bne.w widen_loop
 ldr r6, [sp, #WD_ROWS]
 subs r6, r6, #1
 beq 1f
 str r6, [sp, #WD_ROWS]
 ldr r6, [sp, #WD_ADVANCE]
 add r0, r0, r6
 add r1, r1, r6
 add r2, r2, r6
 add r3, r3, r6
 b widen_row
1:
 add sp, #16
 pop {r4-r11, pc}
END widen_4
