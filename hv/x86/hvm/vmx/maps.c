/* SPDX-License-Identifier: MIT */
/*
 * The maps of MSRs and ports that a guest reaches without an exit. Everything exits but what is
 * listed here, and that is state of the guest's alone, which the control structure or load() and
 * save() carry (Intel SDM volume 3, 25.6.4 and 25.6.9). All guests share them; they are never
 * written after boot.
 */
#include "lib/macros.h"
#include "lib/string.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/mm/paging.h"

#define IO_MAP_ORDER 1
/* A page: reads of MSRs from 0 on, from 0xc0000000 on, then writes. */
#define HIGH_MSRS 0x400
#define WRITES 0x800

uint64_t vmx_msr_map_pa, vmx_io_map_pa;

static const uint32_t open_msrs[] = {
    0x174,      0x175,      0x176,                  /* SYSENTER */
    0x277,                                          /* PAT */
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, /* STAR, LSTAR, CSTAR, SFMASK */
    0xc0000100, 0xc0000101, 0xc0000102,             /* FS, GS, kernel GS base */
};

/* 0x80 is where PCs write to wait, 0xed where Linux does on some. */
static const uint16_t open_ports[] = { 0x80, 0xed };

bool vmx_maps_init(void)
{
    uint8_t *msrs = frame_alloc_hv();
    uint8_t *ports = frame_alloc_hv_order(IO_MAP_ORDER);

    if (!msrs || !ports)
        return false;
    memset(msrs, 0xff, PAGE_SIZE);
    memset(ports, 0xff, PAGE_SIZE << IO_MAP_ORDER);
    for (size_t i = 0; i < ARRAY_SIZE(open_msrs); i++) {
        uint32_t n = open_msrs[i] & 0x1fff;
        uint8_t *reads = msrs + (open_msrs[i] >> 31 ? HIGH_MSRS : 0);

        reads[n / 8] &= (uint8_t) ~(1u << (n & 7));
        reads[WRITES + n / 8] &= (uint8_t) ~(1u << (n & 7));
    }
    for (size_t i = 0; i < ARRAY_SIZE(open_ports); i++)
        ports[open_ports[i] / 8] &= (uint8_t) ~(1u << (open_ports[i] & 7));
    vmx_msr_map_pa = direct_pa(msrs);
    vmx_io_map_pa = direct_pa(ports);
    return true;
}
