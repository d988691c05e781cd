/* SPDX-License-Identifier: MIT */
/*
 * Domain 0 as a PVH guest: its kernel by the PHYS32_ENTRY note, 32-bit, paging off, ebx =
 * hvm_start_info (<xen/arch-x86/hvm/start_info.h>). Without an IOMMU it can have no device: no PCI,
 * no ports, no interrupts. That is enough for micro-guests, which need only hypercalls.
 *
 * Memory: guest frames from 0 on, without a hole, so it ends below the local APIC's page.
 */
#include "x86/hvm/dom0.h"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/elfnote.h>
#include <xen/errno.h>

#include "core/arch.h"
#include "core/evtchn.h"
#include "core/log.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "x86/boot/dom0_mem.h"
#include "x86/hvm/domain.h"

#define MAX_PAGES 0xe0000ull /* 3.5 GiB */
#define CMDLINE_MAX 1024u

struct build {
    struct dom0_image *im;
    struct hvm_domain *hd;
    struct dom0_mem mem;
    uint64_t nr_pages, max_pages, used; /* used: pages from 0 on that the content needs */
    uint64_t initrd, info;              /* guest-physical addresses */
};

/* start_info and what it points to, in one place behind the kernel. */
struct info_block {
    struct hvm_start_info start;
    struct hvm_modlist_entry module;
    struct hvm_memmap_table_entry map[1];
    char cmdline[CMDLINE_MAX];
};

static const char *check_kernel(const struct xen_notes *n)
{
    if (!xennote_has(n, XEN_ELFNOTE_PHYS32_ENTRY))
        return "dom0=pvh: its kernel has no PHYS32_ENTRY note, so it cannot start as PVH";
    if (str_eq(n->guest_os, "linux"))
        return "dom0=pvh: PVH Domain 0 needs an IOMMU; without dom0=pvh this kernel starts as PV";
    return NULL;
}

static const char *plan(struct build *b, const struct cmdline_dom0_mem *mem)
{
    uint64_t low, high;

    b->nr_pages = MIN(dom0_image_pages(b->im, mem, &b->max_pages), MAX_PAGES);
    elf_extent(&b->im->elf, &low, &high);
    if (high >> PAGE_SHIFT >= MAX_PAGES || b->im->notes.phys32_entry >= high)
        return "its kernel lies too high, or has its entry point outside";
    b->initrd = ALIGN_UP(high, PAGE_SIZE);
    if (b->im->initrd_len >> PAGE_SHIFT >= MAX_PAGES)
        return "its initramfs is too large";
    b->info = ALIGN_UP(b->initrd + b->im->initrd_len, PAGE_SIZE);
    b->used = DIV_ROUND_UP(b->info + sizeof(struct info_block), PAGE_SIZE);
    return b->used < b->nr_pages ? NULL : "dom0_mem is less than its kernel and initramfs take";
}

static void load(struct build *b)
{
    struct elf_segment s;

    dom0_clear(&b->mem, 0, b->used << PAGE_SHIFT);
    for (unsigned int i = 0; elf_next_segment(&b->im->elf, &i, ELF_PT_LOAD, &s);)
        dom0_copy(&b->mem, s.paddr, s.data, s.filesz);
    if (b->im->initrd_len)
        dom0_copy(&b->mem, b->initrd, b->im->initrd, b->im->initrd_len);
}

static void fill_info(struct build *b)
{
    static struct info_block info;
    const uint64_t at = b->info;

    info.start = (struct hvm_start_info){
        .magic = XEN_HVM_START_MAGIC_VALUE,
        .version = 1,
        .flags = SIF_PRIVILEGED | SIF_INITDOMAIN,
        .nr_modules = b->im->initrd_len != 0,
        .modlist_paddr = at + offsetof(struct info_block, module),
        .cmdline_paddr = at + offsetof(struct info_block, cmdline),
        .memmap_paddr = at + offsetof(struct info_block, map),
        .memmap_entries = 1,
    };
    info.module = (struct hvm_modlist_entry){ .paddr = b->initrd, .size = b->im->initrd_len };
    info.map[0] = (struct hvm_memmap_table_entry){ .size = b->nr_pages << PAGE_SHIFT,
                                                   .type = XEN_HVM_MEMMAP_TYPE_RAM };
    if (str_copy(info.cmdline, b->im->cmdline, sizeof(info.cmdline)) >= sizeof(info.cmdline))
        log_warn("Dom0: the kernel's command line is cut after %u characters", CMDLINE_MAX - 1);
    dom0_copy(&b->mem, at, &info, sizeof(info));
}

/* Each block of memory to its guest frames, in the largest leaves that fit. */
static const char *place(struct build *b)
{
    for (unsigned int i = 0; i < b->mem.nr; i++) {
        uint64_t gfn = b->mem.ext[i].pfn, mfn = b->mem.ext[i].mfn, left = b->mem.ext[i].pages;

        while (left) {
            unsigned int order = P2M_ORDER_2M;

            while (((gfn | mfn) & ((1ull << order) - 1)) || 1ull << order > left)
                order--;
            if (p2m_place(&b->hd->p2m, GFN(gfn), MFN(mfn), order, P2M_RAM))
                return "not enough memory for its nested tables";
            gfn += 1ull << order;
            mfn += 1ull << order;
            left -= 1ull << order;
        }
    }
    return NULL;
}

static const char *create(struct build *b, unsigned int vcpus)
{
    b->hd = hvm_domain_create(0, vcpus, XEN_X86_EMU_LAPIC);
    if (!b->hd || evtchn_set_limit(&b->hd->x.d, EVTCHN_FIFO_NR_CHANNELS - 1))
        return "not enough memory for its records";
    b->hd->x.d.privileged = true;
    if (!dom0_mem_init(&b->mem, &b->hd->x.d))
        return "not enough memory for its records";
    for (unsigned int i = 0; i < vcpus; i++)
        if (!hvm_vcpu_create(&b->hd->x.d, i))
            return "not enough memory for its vCPUs";
    return NULL;
}

static const char *fill(struct build *b)
{
    const char *err;

    b->hd->x.d.max_pages = MAX(b->max_pages, b->nr_pages);
    if (!dom0_mem_grow(&b->mem, b->used))
        return "not enough memory for its kernel and initramfs";
    load(b);
    fill_info(b);
    dom0_image_release(b->im);
    if (!dom0_mem_grow(&b->mem, b->nr_pages))
        return "there is less memory than dom0_mem asks for";
    err = place(b);
    dom0_mem_end(&b->mem);
    return err;
}

const char *pvh_dom0_build(struct dom0_image *im, const struct cmdline_dom0_mem *mem,
                           unsigned int vcpus)
{
    static struct build b;
    const char *err = check_kernel(&im->notes);
    uint32_t entry = (uint32_t)im->notes.phys32_entry;
    struct vcpu *v;

    b.im = im;
    if (!err && !hvm_vendor)
        err =
            "dom0=pvh: this machine has no hardware virtualisation (SVM or VMX with nested paging)";
    if (!err)
        err = plan(&b, mem);
    if (!err)
        err = create(&b, vcpus);
    if (!err)
        err = fill(&b);
    if (err)
        return err;
    log_warn("Domain 0 is a PVH guest: without an IOMMU it has no devices");
    log_info("Dom0: PVH, %lu MiB, %u vCPU%s, entry %x", b.nr_pages >> 8, vcpus,
             vcpus == 1 ? "" : "s", entry);
    dom0 = &b.hd->x.d;
    domain_publish(dom0);
    v = dom0->vcpu[0];
    hvm_set_pvh_entry(hvm_vcpu(v), entry, (uint32_t)b.info);
    v->initialised = true;
    __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    sched_wake(v);
    return NULL;
}
