@ nervelet_widen_4(sources: &[*const i8; 4], target: *mut u32, units: usize, offsets: u32)
@
@ Four rows of 4 * units codes become pairs of 16-bit numbers with the offset added, interleaved for the matrix kernel:
@ of each 4 codes the words [0 2] of the four rows, then the words [1 3]. units is at least 1.
@ r0-r3 sources, r4 target, r5 offsets, r6-r12 and lr the eight words of a unit.
BEGIN widen_4
 push {r4-r11, lr}
 mov r4, r1
 mov r5, r3
 add r6, r4, r2, lsl #5
 push {r6}
 @ Enters the unrolled loop so that it ends with the last unit.
 rsb r7, r2, #0
 and r7, r7, #3
 ldmia r0, {r0-r3}
 adr.w r8, 1f
 movs r6, #52
 mla r8, r7, r6, r8
 orr r8, r8, #1
 bx r8
 .balign 4
1:
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
 ldr r6, [sp]
 cmp r4, r6
 bne 1b
 add sp, #4
 pop {r4-r11, pc}
END widen_4
