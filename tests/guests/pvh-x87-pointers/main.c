/* SPDX-License-Identifier: MIT */
#include "pvh.h"

#define guest_main pointers_main
#include "../x87-pointers/main.c"
#undef guest_main

void guest_main(void)
{
    pvh_x2apic_on(); /* for the IPIs that start the other vCPU */
    pointers_main();
}
