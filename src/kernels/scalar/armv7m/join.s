@ nervelet_join(sources, target, units, rows, advance): the windows of four pixels, two pixels a word.
@
@ Reads `rows` rows of `4 * units` codes from each source, `advance` bytes between the end of a row and the next one's
@ start, and writes two words for each code: a + 65536 * b, c + 65536 * d.
BEGIN join
 push {r4-r11, lr}
 ldr r12, [sp, #36]
 mov lr, r2
 ldmia.w r0, {r4-r7}
1:
 mov r0, lr
2:
 .rept 4
 ldrsb r8, [r4], #1
 ldrsb r9, [r5], #1
 ldrsb r10, [r6], #1
 ldrsb r11, [r7], #1
 add r8, r8, r9, lsl #16
 add r9, r10, r11, lsl #16
 strd r8, r9, [r1], #8
 .endr
 subs r0, r0, #1
 bne 2b
 add r4, r4, r12
 add r5, r5, r12
 add r6, r6, r12
 add r7, r7, r12
 subs r3, r3, #1
 bne 1b
 pop {r4-r11, pc}
END join
