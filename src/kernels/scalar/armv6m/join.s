@ nervelet_join(sources, target, units, rows, advance): the windows of four pixels, two pixels a word.
@
@ Reads `rows` rows of `4 * units` codes from each source, `advance` bytes between the end of a row and the next one's
@ start, and writes two words for each code: a + 65536 * b, c + 65536 * d. r2 counts the bytes from the sources.

.macro JN_PAIR first, second
 ldrsb r0, [\first, r2]
 ldrsb r3, [\second, r2]
 lsls r3, r3, #16
 adds r0, r0, r3
 stm r1!, {r0}
.endm

BEGIN join
 push {r4-r7, lr}
 mov r4, r8
 mov r5, r9
 mov r6, r10
 push {r4-r6}
 lsls r2, r2, #2
 mov r8, r2
 mov r9, r3
 ldr r2, [sp, #32]
 mov r10, r2
 ldm r0!, {r4-r7}
 movs r2, #0
1:
 mov r12, r2
 mov r0, r12
 add r0, r0, r8
 mov r12, r0
2:
 .rept 4
 JN_PAIR r4, r5
 JN_PAIR r6, r7
 adds r2, r2, #1
 .endr
 cmp r2, r12
 bne 2b
 add r2, r2, r10
 mov r0, r9
 subs r0, r0, #1
 mov r9, r0
 bne 1b
 pop {r4-r6}
 mov r8, r4
 mov r9, r5
 mov r10, r6
 pop {r4-r7, pc}
END join
