@ nervelet_max_pool(frame): the largest codes of a window, four channels at a time, of which the last may overlap others.
@
@ Four codes are a word. Of a and b, a is the larger or equal where a is not negative and b is, or where their signs are
@ the same and a with the bit of its sign set, less b without it, keeps this bit.
@ r0 the frame, r1 codes, r2 the largest, r6 and r7 columns and rows left, r8 1 in every byte, r9 255, r12 from column to
@ column, lr the first channel.
.equ MP_CODES, 0
.equ MP_OUTPUT, 4
.equ MP_CHANNELS, 8
.equ MP_COLUMNS, 12
.equ MP_ROWS, 16
.equ MP_STEP, 20
.equ MP_ADVANCE, 24      @ from behind a row to the next one's start

BEGIN max_pool
 push {r4-r9, lr}
 mov lr, #0
 mov r8, #0x01010101
 movs r9, #255
1:
 ldr r1, [r0, #MP_CODES]
 add r1, r1, lr
 mov r2, #0x80808080
 ldrd r7, r12, [r0, #MP_ROWS]
2:
 ldr r6, [r0, #MP_COLUMNS]
3:
 ldr r3, [r1]
 add r1, r1, r12
 orr r4, r2, #0x80808080
 bic r5, r3, #0x80808080
 subs r4, r4, r5
 eor r5, r2, r3
 bic r4, r4, r5
 bic r2, r3, r2
 orrs r4, r2
 and r4, r8, r4, lsr #7
 mul r4, r4, r9
 ands r5, r4
 eor r2, r3, r5
 subs r6, r6, #1
 bne 3b
 ldr r3, [r0, #MP_ADVANCE]
 add r1, r1, r3
 subs r7, r7, #1
 bne 2b
 ldrd r3, r4, [r0, #MP_OUTPUT]
 str r2, [r3, lr]
 add lr, lr, #4
 cmp lr, r4
 bge 4f
 subs r4, #4
 cmp lr, r4
 it gt
 movgt lr, r4
 b 1b
4:
 pop {r4-r9, pc}
END max_pool
