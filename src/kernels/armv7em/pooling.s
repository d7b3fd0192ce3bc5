@ nervelet_sum_4(source: *const i8, columns: usize, step: usize, rows: usize, advance: usize) -> u64
@
@ Adds up four channels over a window, as 16-bit sums: channels 0 and 2 in the low word, 1 and 3 in the high one.
@ step is from one column to the next, advance from behind the last column to the next row's first.
BEGIN sum_4
 push {r4-r7, lr}
 ldr r4, [sp, #20]
 movs r5, #0
 movs r6, #0
1:
 mov r7, r1
2:
 ldr r12, [r0]
 add r0, r0, r2
 sxtab16 r5, r5, r12
 sxtab16 r6, r6, r12, ror #8
 subs r7, r7, #1
 bne 2b
 add r0, r0, r4
 subs r3, r3, #1
 bne 1b
 mov r0, r5
 mov r1, r6
 pop {r4-r7, pc}
END sum_4

@ nervelet_max_4(source: *const i8, columns: usize, step: usize, rows: usize, advance: usize) -> u32
@
@ The largest codes of four channels over a window; arguments as above.
BEGIN max_4
 push {r4-r7, lr}
 ldr r4, [sp, #20]
 mov r5, #0x80808080
1:
 mov r7, r1
2:
 ldr r12, [r0]
 add r0, r0, r2
 ssub8 r6, r12, r5
 sel r5, r12, r5
 subs r7, r7, #1
 bne 2b
 add r0, r0, r4
 subs r3, r3, #1
 bne 1b
 mov r0, r5
 pop {r4-r7, pc}
END max_4
