@ A routine in a section of its own: firmware links those that it calls.
.macro MVE_BEGIN name
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type \name, %function
    .thumb_func
\name:
.endm

.macro MVE_END name
    .size \name, . - \name
.endm
