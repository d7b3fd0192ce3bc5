@ Int16 inputs with int8 weights, row-major, in sums of 64 bits; see blocks.s.

@ nervelet_wide_window(frame), nervelet_wide_window_ordered(frame): all output channels of one window, two at a time.
@ "ordered" has every four inputs in the order 0 2 1 3, in which weights are sign-extended.
@ r0 inputs, r1 and r2 weights of two channels, r3 the end of r1's whole units of four, r4-r7 two sums, r8, r9 and r12
@ inputs, r10 and r11 weights, lr rows to go. Per 4 inputs of 2 sums: 14 or 11 instructions for 8 multiply-accumulates.
.equ WW_BIAS, 0
.equ WW_MASK, 4          @ 0: one pair of biases for all
.equ WW_MANTISSAS, 8
.equ WW_EXPONENTS, 12
.equ WW_WEIGHTS, 16
.equ WW_FILTER, 20       @ from one channel to the next
.equ WW_INPUTS, 24
.equ WW_ROWS, 28
.equ WW_UNITS, 32        @ bytes of weights in a row's whole units
.equ WW_REST, 36
.equ WW_ADVANCE, 40      @ from the end of one row to the start of the next
.equ WW_SKIP, 44         @ the same in weights
.equ WW_OUTPUT, 48
.equ WW_LAST, 52         @ the last pair, which may overlap the one before
.equ WW_LOW, 56
.equ WW_HIGH, 60
.equ WW_RANGED, 64       @ 0: all of int16
.equ WW_EXACT, 68
.equ WW_ENTRY, 72        @ units to skip on entry; then the address
.equ WW_CHANNEL, 76

.macro WIDE_WINDOW name, ordered, unit_bytes
BEGIN \name
 push {r4-r11, lr}
 sub sp, #84
 mov r12, sp
 ldmia r0!, {r1-r10}
 stmia r12!, {r1-r10}
 ldmia.w r0, {r1-r9}
 stmia.w r12, {r1-r9}
 adr.w r0, \name\()_loop
 movs r2, #\unit_bytes
 mla r0, r9, r2, r0
 ldr r1, [sp, #WW_UNITS]
 cmp r1, #0
 it eq
 adreq.w r0, \name\()_rest
 orr r0, r0, #1
 movs r8, #0
 strd r0, r8, [sp, #WW_ENTRY]
\name\()_pair:
 ldrd r0, r9, [sp, #WW_BIAS]
 and r9, r9, r8
 add r0, r0, r9, lsl #3
 ldmia.w r0, {r4-r7}
 ldrd r1, r3, [sp, #WW_WEIGHTS]
 mla r1, r8, r3, r1
 add r2, r1, r3
 ldrd r0, lr, [sp, #WW_INPUTS]
\name\()_row:
 ldr r3, [sp, #WW_UNITS]
 add r3, r3, r1
 ldr.w pc, [sp, #WW_ENTRY]
 .balign 4
\name\()_loop:
 .rept 4
 .if \ordered
 ldrd r12, r9, [r0], #8
 .else
 ldr r8, [r0], #4
 ldr r9, [r0], #4
 pkhbt r12, r8, r9, lsl #16
 pkhtb r9, r9, r8, asr #16
 .endif
 ldr r10, [r1], #4
 sxtb16 r11, r10
 sxtb16 r10, r10, ror #8
 smlald r4, r5, r11, r12
 smlald r4, r5, r10, r9
 ldr r10, [r2], #4
 sxtb16 r11, r10
 sxtb16 r10, r10, ror #8
 smlald r6, r7, r11, r12
 smlald r6, r7, r10, r9
 .endr
 cmp r1, r3
 bne \name\()_loop
 .balign 4
\name\()_rest:
 ldr r3, [sp, #WW_REST]
 cbz r3, 2f
1:
 ldrsb r10, [r1], #1
 ldrsb r11, [r2], #1
 ldrsh r8, [r0], #2
 smlalbb r4, r5, r10, r8
 smlalbb r6, r7, r11, r8
 subs r3, #1
 bne 1b
2:
 subs lr, lr, #1
 beq 3f
 ldrd r8, r9, [sp, #WW_ADVANCE]
 add r0, r0, r8
 add r1, r1, r9
 add r2, r2, r9
 b \name\()_row
3:
 ldr r8, [sp, #WW_CHANNEL]
 ldrd r0, r1, [sp, #WW_MANTISSAS]
 add r0, r0, r8, lsl #2
 ldrd r10, r11, [r0]
 add r1, r1, r8
 ldrsb.w r12, [r1]
 ldrsb.w lr, [r1, #1]
 mvn r12, r12
 mvn lr, lr
 cmp r12, #1
 it ge
 cmpge lr, #1
 blt 6f
 cmp r5, r4, asr #31
 it eq
 cmpeq r7, r6, asr #31
 bne 6f
 mov.w r3, #0x8000
 qadd r10, r10, r3
 qadd r11, r11, r3
 smulwt r4, r4, r10
 smulwt r6, r6, r11
 asrs r4, r4, r12
 adc r4, r4, #0
 ssat r4, #16, r4
 asrs r6, r6, lr
 adc r6, r6, #0
 ssat r6, #16, r6
4:
 ldr r0, [sp, #WW_RANGED]
 cbnz r0, 7f
5:
 ldrd r0, r1, [sp, #WW_OUTPUT]
 add r0, r0, r8, lsl #1
 strh r4, [r0]
 strh r6, [r0, #2]
 cmp r8, r1
 beq 8f
 add r8, r8, #2
 cmp r8, r1
 it hi
 movhi r8, r1
 str r8, [sp, #WW_CHANNEL]
 b.w \name\()_pair
8:
 add sp, #84
 pop {r4-r11, pc}
7:
 ldrd r2, r3, [sp, #WW_LOW]
 CLAMP_WIDE r4, r2, r3, r0
 CLAMP_WIDE r6, r2, r3, r0
 b 5b
6:
 ldrd r9, r10, [sp, #WW_MANTISSAS]
 add r9, r9, r8, lsl #2
 add r10, r10, r8
 ldr.w r11, [sp, #WW_EXACT]
 mov r0, r4
 mov r1, r5
 ldr.w r2, [r9]
 ldrsb.w r3, [r10]
 blx r11
 ssat r4, #16, r0
 mov r0, r6
 mov r1, r7
 ldr.w r2, [r9, #4]
 ldrsb.w r3, [r10, #1]
 blx r11
 ssat r6, #16, r0
 b 4b
END \name
.endm

WIDE_WINDOW wide_window, 0, 56
WIDE_WINDOW wide_window_ordered, 1, 44

@ nervelet_wide_order(inputs: *const i16, count: usize, target: *mut i16): each four in the order 0 2 1 3, then the rest.
BEGIN wide_order
 push {r4, r5}
 subs r1, #4
 blo 2f
1:
 ldr r3, [r0], #4
 ldr r12, [r0], #4
 pkhbt r4, r3, r12, lsl #16
 pkhtb r5, r12, r3, asr #16
 strd r4, r5, [r2], #8
 subs r1, #4
 bhs 1b
2:
 adds r1, #4
 beq 4f
3:
 ldrsh r3, [r0], #2
 strh r3, [r2], #2
 subs r1, #1
 bne 3b
4:
 pop {r4, r5}
 bx lr
END wide_order
