@ nervelet_max_pool(frame): the largest codes of a window, four channels at a time, of which the last may overlap others.
@ r0 codes, r2-r5 the largest, r7 from column to column, r1 and r9 columns and rows left, r12 the first channel, lr the frame.
.equ MP_CODES, 0
.equ MP_OUTPUT, 4
.equ MP_CHANNELS, 8
.equ MP_COLUMNS, 12
.equ MP_ROWS, 16
.equ MP_STEP, 20
.equ MP_ADVANCE, 24      @ from behind a row to the next one's start

.macro MP_MAX largest, channel
 ldrb r6, [r0, #\channel]
 sxtb r6, r6
 cmp \largest, r6
 bge 9f
 mov \largest, r6
9:
.endm

BEGIN max_pool
 push {r4-r7, lr}
 mov r4, r9
 push {r4}
 mov lr, r0
 movs r1, #0
 mov r12, r1
1:
 mov r6, lr
 ldr r0, [r6, #MP_CODES]
 add r0, r0, r12
 ldr r1, [r6, #MP_ROWS]
 mov r9, r1
 ldr r7, [r6, #MP_STEP]
 movs r2, #127
 mvns r2, r2
 mov r3, r2
 mov r4, r2
 mov r5, r2
2:
 mov r6, lr
 ldr r1, [r6, #MP_COLUMNS]
3:
 MP_MAX r2, 0
 MP_MAX r3, 1
 MP_MAX r4, 2
 MP_MAX r5, 3
 adds r0, r0, r7
 subs r1, r1, #1
 bne 3b
 mov r6, lr
 ldr r1, [r6, #MP_ADVANCE]
 adds r0, r0, r1
 mov r1, r9
 subs r1, r1, #1
 mov r9, r1
 bne 2b
 ldr r0, [r6, #MP_OUTPUT]
 add r0, r0, r12
 strb r2, [r0]
 strb r3, [r0, #1]
 strb r4, [r0, #2]
 strb r5, [r0, #3]
 ldr r1, [r6, #MP_CHANNELS]
 mov r2, r12
 adds r2, r2, #4
 cmp r2, r1
 bge 5f
 subs r1, r1, #4
 cmp r2, r1
 ble 4f
 mov r2, r1
4:
 mov r12, r2
 b 1b
5:
 pop {r4}
 mov r9, r4
 pop {r4-r7, pc}
END max_pool
