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
#define READS 0
#define HIGH_MSRS 0x400
#define WRITES 0x800

uint64_t vmx_msr_map_pa, vmx_x2apic_map_pa, vmx_io_map_pa;

static const uint32_t open_msrs[] = {
    0x174,      0x175,      0x176,                  /* SYSENTER */
    0x277,                                          /* PAT */
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, /* STAR, LSTAR, CSTAR, SFMASK */
    0xc0000100, 0xc0000101, 0xc0000102,             /* FS, GS, kernel GS base */
};

/*
 * x2APIC registers that the processor reads from the virtual-APIC page: id, version, TPR, PPR, LDR,
 * SVR, ISR, TMR, IRR, ESR, the local vector table and of the timer what does not count. Not ICR:
 * its upper half is elsewhere in the page. What is not there has to exit, or it would read as 0.
 */
static const struct range {
    uint32_t first, last;
} apic_reads[] = { { 0x802, 0x803 }, { 0x808, 0x808 }, { 0x80a, 0x80a }, { 0x80d, 0x80d },
                   { 0x80f, 0x828 }, { 0x832, 0x838 }, { 0x83e, 0x83e } };

/* And those whose writes it carries out: TPR, EOI, self-IPI. */
static const uint32_t apic_writes[] = { 0x808, 0x80b, 0x83f };

/* 0x80 is where PCs write to wait, 0xed where Linux does on some. */
static const uint16_t open_ports[] = { 0x80, 0xed };

/* The register of this number is read, or (WRITES) written without an exit. */
static void open_msr(uint8_t *map, uint32_t msr, unsigned int direction)
{
    uint32_t n = msr & 0x1fff;

    map += direction + (msr >> 31 ? HIGH_MSRS : 0);
    map[n / 8] &= (uint8_t) ~(1u << (n & 7));
}

static void fill_msr_map(uint8_t *map)
{
    memset(map, 0xff, PAGE_SIZE);
    for (size_t i = 0; i < ARRAY_SIZE(open_msrs); i++) {
        open_msr(map, open_msrs[i], READS);
        open_msr(map, open_msrs[i], WRITES);
    }
}

static void fill_x2apic_map(uint8_t *map)
{
    fill_msr_map(map);
    for (size_t i = 0; i < ARRAY_SIZE(apic_reads); i++)
        for (uint32_t msr = apic_reads[i].first; msr <= apic_reads[i].last; msr++)
            open_msr(map, msr, READS);
    for (size_t i = 0; i < ARRAY_SIZE(apic_writes); i++)
        open_msr(map, apic_writes[i], WRITES);
}

bool vmx_maps_init(void)
{
    uint8_t *msrs = frame_alloc_hv(), *x2apic = frame_alloc_hv();
    uint8_t *ports = frame_alloc_hv_order(IO_MAP_ORDER);

    if (!msrs || !x2apic || !ports)
        return false;
    fill_msr_map(msrs);
    fill_x2apic_map(x2apic);
    memset(ports, 0xff, PAGE_SIZE << IO_MAP_ORDER);
    for (size_t i = 0; i < ARRAY_SIZE(open_ports); i++)
        ports[open_ports[i] / 8] &= (uint8_t) ~(1u << (open_ports[i] & 7));
    vmx_msr_map_pa = direct_pa(msrs);
    vmx_x2apic_map_pa = direct_pa(x2apic);
    vmx_io_map_pa = direct_pa(ports);
    return true;
}
