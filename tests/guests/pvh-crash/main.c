/* SPDX-License-Identifier: MIT */
/*
 * What leaves a PVH guest no way on in its nested tables: the domain is crashed, with a line in the
 * log, and the hypervisor neither tries for ever nor fails. One case a boot.
 */
#include "pvh.h"

/* A page that may be read, and not executed: the processor would find it there at each try. */
static void exec_shared(void)
{
    uint8_t *code = (uint8_t *)pvh_virt(PVH_HOLE_PFN) + PAGE_SIZE - 16;

    pvh_map_shared();
    *code = 0xc3; /* RET, if it came to that */
    __asm__ volatile("call *%0" : : "r"(code) : "memory");
}

static void exec_hole(void)
{
    __asm__ volatile("call *%0" : : "r"(pvh_virt(PVH_HOLE_PFN + 16)) : "memory");
}

static void tables_hole(void)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"((PVH_HOLE_PFN + 16) << 12) : "memory");
}

static void mmio_unknown(void)
{
    __asm__ volatile("fxsave (%0)" : : "r"(pvh_virt(PVH_HOLE_PFN + 16)) : "memory");
}

static const struct guest_case list[] = {
    { "exec-shared", exec_shared },
    { "exec-hole", exec_hole },
    { "tables-hole", tables_hole },
    { "mmio-unknown", mmio_unknown },
};

void guest_main(void)
{
    run_case(list, ARRAY_SIZE(list));
}
