/* SPDX-License-Identifier: MIT */
/*
 * Into the firmware and back: its page tables, the guest's SSE registers kept meanwhile. What must
 * hold: the CPU is on efi_cr3 only between enter() and leave(), with efi_lock held.
 */
#include "core/bug.h"
#include "core/frame.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/efi/efi.h"
#include "x86/efi/private.h"
#include "x86/mm/paging.h"
#include "x86/mm/tlb.h"

#define LOW_HALF_END (1ull << 47)
#define SIZE_2M (1ull << 21)

uint64_t efi_call_raw(uint64_t function, const uint64_t args[5]);

static spinlock_t efi_lock = SPINLOCK_INIT(RANK_MACHINE);
static pte_t *l4;          /* the runtime regions one to one, and the hypervisor's slots */
static uint64_t *services; /* addresses, after boot constant */
static bool inside;        /* [efi_lock to set] a CPU is in the firmware */
static uint8_t kept_fpu[512] __attribute__((aligned(16))); /* [efi_lock] */

/* --- tables --- */

static pte_t *next_table(pte_t *e)
{
    if (*e & PTE_PS) /* a neighbour's large page is there already */
        return NULL;
    if (!(*e & PTE_P)) {
        void *page = frame_alloc_hv();

        if (!page)
            return NULL;
        *e = direct_pa(page) | PTE_P | PTE_RW | PTE_A;
    }
    return direct(*e & PTE_ADDR);
}

/* One page of 4 KiB or 2 MiB at its own address. False: no memory. */
static bool map_page(uint64_t pa, bool large, uint64_t flags)
{
    pte_t *t = l4;

    for (int shift = 39; shift > (large ? 21 : 12); shift -= 9)
        if (!(t = next_table(&t[pa >> shift & 511])))
            return false;
    pte_t *e = &t[pa >> (large ? 21 : 12) & 511];
    if (large && (*e & PTE_P)) /* a neighbour's small pages are there already */
        return false;
    *e = pa | flags | (large ? PTE_PS : 0);
    return true;
}

/* Code is writable too: firmware keeps data between its instructions. */
static uint64_t flags_of(const struct efi_region *r)
{
    uint64_t flags = PTE_P | PTE_RW | PTE_A | PTE_D;

    if (r->type != EFI_RUNTIME_CODE)
        flags |= nx_bit;
    if (r->type == EFI_MMIO || !(r->attr & EFI_ATTR_WB))
        flags |= PTE_PCD | PTE_PWT;
    return flags;
}

static const char *map_region(const struct efi_region *r)
{
    if ((r->start | r->end) & ~PAGE_MASK)
        return "a runtime region is not of whole pages";
    if (r->end > LOW_HALF_END)
        return "a runtime region lies beyond what can be mapped";
    for (uint64_t pa = r->start; pa < r->end;) {
        bool large = !(pa % SIZE_2M) && r->end - pa >= SIZE_2M;

        if (!map_page(pa, large, flags_of(r)))
            return "out of memory for the runtime regions' page tables, or two of them overlap";
        pa += large ? SIZE_2M : PAGE_SIZE;
    }
    return NULL;
}

const char *efi_map_services(uint64_t table)
{
    static struct efi_runtime_table copy;
    struct efi_region r;
    const char *why;
    size_t pos = 0;

    if (!(l4 = frame_alloc_hv()))
        return "out of memory";
    paging_install_slots(l4);
    while (efi_map_next(&boot_info.efi_map, &pos, &r))
        if ((r.attr & EFI_ATTR_RUNTIME) && (why = map_region(&r)))
            return why;
    if (!efi_read(&copy, table, sizeof(copy)) || copy.hdr.signature != EFI_RUNTIME_SIGNATURE)
        return "its table of runtime services is damaged";
    efi.runtime_revision = copy.hdr.revision;
    services = copy.service;
    return NULL;
}

/* --- calls --- */

struct before {
    uint64_t cr0, cr3, dr7;
};

static void enter(struct before *b)
{
    static const uint32_t mxcsr = 0x1f80;

    b->cr0 = read_cr0();
    b->cr3 = read_cr3();
    b->dr7 = read_dr(7);
    if (b->dr7 & DR7_ENABLED) /* a program's breakpoint would stop the firmware, and for ever */
        write_dr(7, DR7_RESET);
    if (b->cr0 & CR0_TS)
        write_cr0(b->cr0 & ~CR0_TS);
    __asm__ volatile("fxsave64 %0" : "=m"(kept_fpu));
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
    __atomic_store_n(&inside, true, __ATOMIC_RELAXED);
    write_cr3(direct_pa(l4)); /* none of its entries is global, and no guest's in the low half */
}

static void leave(const struct before *b)
{
    tlb_load(b->cr3);
    __atomic_store_n(&inside, false, __ATOMIC_RELAXED);
    __asm__ volatile("fxrstor64 %0" ::"m"(kept_fpu));
    if (b->cr0 & CR0_TS)
        write_cr0(b->cr0);
    if (b->dr7 & DR7_ENABLED)
        write_dr(7, b->dr7);
}

static uint64_t call_locked(enum efi_service service, const uint64_t args[5])
{
    struct before b;

    enter(&b);
    uint64_t status = efi_call_raw(services[service], args);
    leave(&b);
    return status;
}

uint64_t efi_call(enum efi_service service, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                  uint64_t e)
{
    const uint64_t args[5] = { a, b, c, d, e };

    if (!efi.services || !services[service])
        return EFI_UNSUPPORTED;
    spin_lock(&efi_lock);
    uint64_t status = call_locked(service, args);
    spin_unlock(&efi_lock);
    return status;
}

/* Without the lock, which a CPU that was stopped may hold: what is kept is not needed any more. */
void efi_reset(enum efi_reset how)
{
    const uint64_t args[5] = { how, EFI_SUCCESS, 0, 0, 0 };

    if (!efi.services || __atomic_load_n(&inside, __ATOMIC_RELAXED))
        return;
    log_info("The firmware (UEFI) %s the machine", how == EFI_RESET_SHUTDOWN ? "stops" : "resets");
    uint64_t status = call_locked(EFI_RESET_SYSTEM, args);
    log_warn("The firmware did not: status %#lx", status);
}
