/* SPDX-License-Identifier: MIT */
/*
 * The maps of MSRs and ports that a guest reaches without an exit. Everything exits but what is
 * listed here, and that is state of the guest's alone: VMLOAD, VMSAVE and VMRUN carry it from one
 * vCPU to the next (AMD APM volume 2, 15.10 and 15.11). All guests share them; they are never
 * written after boot.
 */
#include "lib/string.h"
#include "x86/hvm/svm/svm.h"
#include "x86/mm/paging.h"

#define MSR_MAP_ORDER 1 /* 8 KiB: two bits an MSR */
#define IO_MAP_ORDER 2  /* 12 KiB are read: 64 Ki ports, and three bits behind */

uint64_t svm_msr_map_pa, svm_io_map_pa;

static const uint32_t open_msrs[] = {
    0x174,      0x175,      0x176,                  /* SYSENTER */
    0x277,                                          /* PAT: the guest's own with nested paging */
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, /* STAR, LSTAR, CSTAR, SFMASK */
    0xc0000100, 0xc0000101, 0xc0000102,             /* FS, GS, kernel GS base */
};

/* 0x80 is where PCs write to wait, 0xed where Linux does on some. */
static const uint16_t open_ports[] = { 0x80, 0xed };

/* Byte of the map that holds an MSR's two bits. The three ranges lie one behind the other. */
static uint32_t msr_byte(uint32_t msr)
{
    uint32_t range = msr >= 0xc0010000u ? 2 : msr >= 0xc0000000u ? 1 : 0;

    return range * 0x800 + (msr & 0x1fff) / 4;
}

bool svm_maps_init(void)
{
    uint8_t *msrs = frame_alloc_hv_order(MSR_MAP_ORDER);
    uint8_t *ports = frame_alloc_hv_order(IO_MAP_ORDER);

    if (!msrs || !ports)
        return false;
    memset(msrs, 0xff, PAGE_SIZE << MSR_MAP_ORDER);
    memset(ports, 0xff, PAGE_SIZE << IO_MAP_ORDER);
    for (size_t i = 0; i < ARRAY_SIZE(open_msrs); i++)
        msrs[msr_byte(open_msrs[i])] &= (uint8_t) ~(3u << (open_msrs[i] & 3) * 2);
    for (size_t i = 0; i < ARRAY_SIZE(open_ports); i++)
        ports[open_ports[i] / 8] &= (uint8_t) ~(1u << (open_ports[i] & 7));
    svm_msr_map_pa = direct_pa(msrs);
    svm_io_map_pa = direct_pa(ports);
    return true;
}
