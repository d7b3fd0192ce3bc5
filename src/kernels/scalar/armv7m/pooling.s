@ nervelet_max_pool(frame): the largest codes of a window, four channels at a time, of which the last may overlap others.
@ r0 the frame, r1 codes, r2-r5 the largest, r6 and r7 columns and rows left, r12 from column to column, lr the first channel.
.equ MP_CODES, 0
.equ MP_OUTPUT, 4
.equ MP_CHANNELS, 8
.equ MP_COLUMNS, 12
.equ MP_ROWS, 16
.equ MP_STEP, 20
.equ MP_ADVANCE, 24      @ from behind a row to the next one's start

.macro MP_MAX largest, code
 cmp \largest, \code
 it lt
 movlt \largest, \code
.endm

BEGIN max_pool
 push {r4-r11, lr}
 mov lr, #0
1:
 ldr r1, [r0, #MP_CODES]
 add r1, r1, lr
 mvn r2, #127
 mov r3, r2
 mov r4, r2
 mov r5, r2
 ldrd r7, r12, [r0, #MP_ROWS]
2:
 ldr r6, [r0, #MP_COLUMNS]
3:
 ldrsb r8, [r1]
 ldrsb r9, [r1, #1]
 ldrsb r10, [r1, #2]
 ldrsb r11, [r1, #3]
 add r1, r1, r12
 MP_MAX r2, r8
 MP_MAX r3, r9
 MP_MAX r4, r10
 MP_MAX r5, r11
 subs r6, r6, #1
 bne 3b
 ldr r8, [r0, #MP_ADVANCE]
 add r1, r1, r8
 subs r7, r7, #1
 bne 2b
 ldrd r8, r9, [r0, #MP_OUTPUT]
 add r8, r8, lr
 strb r2, [r8]
 strb r3, [r8, #1]
 strb r4, [r8, #2]
 strb r5, [r8, #3]
 add lr, lr, #4
 cmp lr, r9
 bge 4f
 sub r9, r9, #4
 cmp lr, r9
 it gt
 movgt lr, r9
 b 1b
4:
 pop {r4-r11, pc}
END max_pool
