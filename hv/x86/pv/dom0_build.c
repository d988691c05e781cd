/* SPDX-License-Identifier: MIT */
/*
 * Domain 0 from the loader's modules, in two steps of memory: first the pages that the kernel, the
 * initramfs and the start structures need; then, when modules and unpacked kernel are given back,
 * all others. So those megabytes become Domain 0's again.
 */
#include "x86/pv/dom0_build.h"

#include <xen/features.h>

#include <xen/errno.h>

#include "core/arch.h"
#include "core/evtchn.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "lib/bzimage.h"
#include "lib/elf.h"
#include "lib/format.h"
#include "lib/pvlayout.h"
#include "lib/pvstart.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "lib/xennote.h"
#include "x86/boot/boot.h"
#include "x86/boot/unpack_call.h"
#include "x86/mm/paging.h"
#include "x86/pv/domain.h"
#include "x86/boot/dom0_mem.h"
#include "x86/pv/hypercall_page.h"
#include "x86/pv/ptable.h"
#include "x86/vga.h"

#define TIMER_SLOP_NS 2000 /* what setting a timer and taking its event cost */

struct build {
    struct dom0_image *im;
    struct pv_layout plan;
    uint64_t nr_pages, max_pages;
    struct dom0_mem mem;
    struct pv_domain *pd;
    mfn_t l4;
};

static const char *plan(struct build *b)
{
    struct pv_layout_input in = {
        .notes = &b->im->notes,
        .nr_pages = b->nr_pages,
        .initrd_bytes = b->im->initrd_len,
        .dom0 = true,
        .hv_start = HV_START,
        .hv_end = HV_END,
    };
    const char *err = b->nr_pages ? NULL : "there is no memory left for it";

    if (!err)
        err = xennote_check_pv(&b->im->notes, &b->im->elf, HV_START,
                               pv_guest_ops.g.features(&b->pd->x.d, 0), true);
    if (err)
        return err;
    elf_extent(&b->im->elf, &in.kernel_low, &in.kernel_high);
    return pv_layout_plan(&in, &b->plan);
}

/* --- content --- */

static void load_kernel(struct build *b)
{
    struct elf_segment s;

    for (unsigned int i = 0; elf_next_segment(&b->im->elf, &i, ELF_PT_LOAD, &s);) {
        uint64_t at = s.paddr - b->im->notes.paddr_offset;
        dom0_copy(&b->mem, at, s.data, s.filesz);
        dom0_clear(&b->mem, at + s.filesz, s.memsz - s.filesz);
    }
}

static void load_initrd(struct build *b)
{
    if (b->im->initrd_len)
        dom0_copy(&b->mem, b->plan.part[PV_INITRD].pfn << PAGE_SHIFT, b->im->initrd,
                  b->im->initrd_len);
}

/* --- page tables --- */

static uint64_t mfn_of(const void *mem, uint64_t pfn)
{
    return dom0_mfn(mem, pfn).v;
}

static void *page_of(const void *mem, uint64_t pfn)
{
    return dom0_page(mem, pfn);
}

static const char *build_tables(struct build *b)
{
    const struct pv_memory memory = { .arg = &b->mem, .mfn = mfn_of, .page = page_of };
    const struct pv_range *tables = &b->plan.part[PV_TABLES], *extra = &b->plan.part[PV_P2M_TABLES];
    int rc;

    dom0_clear(&b->mem, tables->pfn << PAGE_SHIFT, tables->pages << PAGE_SHIFT);
    if (b->plan.p2m_outside)
        dom0_clear(&b->mem, extra->pfn << PAGE_SHIFT, extra->pages << PAGE_SHIFT);
    pv_start_tables(&b->plan, &memory);
    b->l4 = dom0_mfn(&b->mem, tables->pfn);
    paging_install_slots(dom0_page(&b->mem, tables->pfn));
    do
        rc = pv_get_l4(&b->pd->x.d, b->l4);
    while (rc == -PT_ERESTART);
    /* Two uses: the first vCPU's CR3, and the pin that the ABI's initial tables have. */
    if (rc || pv_get_l4(&b->pd->x.d, b->l4))
        return "its page tables were refused";
    frame_set_pinned(frame_of(b->l4), true);
    return NULL;
}

/* --- what the kernel is told --- */

static void fill_text(struct dom0_vga_console_info *c)
{
    c->video_type = XEN_VGATYPE_TEXT_MODE_3;
    c->u.text_mode_3.font_height = 16;
    vga_cursor(&c->u.text_mode_3.cursor_x, &c->u.text_mode_3.cursor_y);
    c->u.text_mode_3.rows = 25;
    c->u.text_mode_3.columns = 80;
}

/* The ABI has 16 bits for each of these. */
static bool has_room_for(const struct boot_screen *s)
{
    /* untested: no loader of a test's sets up a picture of more */
    return s->width <= UINT16_MAX && s->height <= UINT16_MAX && s->pitch <= UINT16_MAX;
}

/* The picture that the loader set up, as a driver of Domain 0 takes it over. */
static void fill_picture(struct dom0_vga_console_info *c)
{
    const struct boot_screen *s = &boot_info.screen;
    uint64_t bytes = (uint64_t)s->pitch * s->height;
    uint8_t used = (uint8_t)(s->red_size + s->green_size + s->blue_size);

    c->video_type = boot_info.efi_system_table ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    c->u.vesa_lfb.width = (uint16_t)s->width;
    c->u.vesa_lfb.height = (uint16_t)s->height;
    c->u.vesa_lfb.bytes_per_line = (uint16_t)s->pitch;
    c->u.vesa_lfb.bits_per_pixel = s->bpp;
    c->u.vesa_lfb.lfb_base = (uint32_t)s->base;
    c->u.vesa_lfb.ext_lfb_base = (uint32_t)(s->base >> 32);
    c->u.vesa_lfb.lfb_size = (uint32_t)DIV_ROUND_UP(bytes, 0x10000ull);
    c->u.vesa_lfb.red_pos = s->red_pos;
    c->u.vesa_lfb.red_size = s->red_size;
    c->u.vesa_lfb.green_pos = s->green_pos;
    c->u.vesa_lfb.green_size = s->green_size;
    c->u.vesa_lfb.blue_pos = s->blue_pos;
    c->u.vesa_lfb.blue_size = s->blue_size;
    if (s->bpp > used) {
        c->u.vesa_lfb.rsvd_pos = used;
        c->u.vesa_lfb.rsvd_size = (uint8_t)(s->bpp - used);
    }
}

static void fill_console(struct start_info *si)
{
    struct dom0_vga_console_info *c = (struct dom0_vga_console_info *)(si + 1);

    _Static_assert(sizeof(*si) + sizeof(*c) <= PAGE_SIZE, "one page");
    if (boot_info.text_screen)
        fill_text(c);
    else if (boot_info.screen.base && has_room_for(&boot_info.screen))
        fill_picture(c);
    else
        return;
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(*c);
}

/*
 * The kernel's command line, for Linux with the smallest delta of its timers (decision 0009): left
 * alone it takes 100 us, as if a timer cost that much here. False: it does not fit.
 */
static bool fill_command_line(const struct build *b, char *out, size_t cap)
{
    struct cmdline_opt o;
    size_t n = str_copy(out, b->im->cmdline, cap);

    if (n < cap && str_eq(b->im->notes.guest_os, "linux") &&
        !cmdline_find(b->im->cmdline, "xen_timer_slop", &o))
        n = fmt_append(out, cap, " xen_timer_slop=%u", TIMER_SLOP_NS);
    return n < cap;
}

static void fill_start_info(struct build *b)
{
    struct start_info *si = dom0_page(&b->mem, b->plan.part[PV_START_INFO].pfn);

    memset(si, 0, PAGE_SIZE);
    pv_start_info(&b->plan, b->nr_pages, b->im->initrd_len, SIF_PRIVILEGED | SIF_INITDOMAIN, si);
    si->shared_info = mfn_maddr(b->pd->x.d.shared_mfn).v;
    if (!fill_command_line(b, (char *)si->cmd_line, sizeof(si->cmd_line)))
        log_warn("Dom0: the kernel's command line is cut after %zu characters",
                 sizeof(si->cmd_line) - 1);
    fill_console(si);
}

static void fill_hypercall_page(struct build *b)
{
    uint64_t va = b->plan.hypercall_page;

    if (va != PV_NO_VA)
        hypercall_page_fill(dom0_page(&b->mem, (va - b->plan.v_start) >> PAGE_SHIFT));
}

/* --- vCPUs --- */

static const char *create(struct build *b, const struct dom0_options *o)
{
    unsigned int vcpus = o->vcpus;

    b->pd = pv_domain_create(0, vcpus);
    if (!b->pd || evtchn_set_limit(&b->pd->x.d, EVTCHN_FIFO_NR_CHANNELS - 1))
        return "not enough memory for its records";
    b->pd->x.d.privileged = true;
    b->pd->x.ioports = frame_alloc_hv_order(1);
    if (!b->pd->x.ioports || !dom0_mem_init(&b->mem, &b->pd->x.d))
        return "not enough memory for its records";
    _Static_assert(NR_IOPORTS / 8 == PAGE_SIZE << 1, "two pages of bits");
    ioport_init_dom0(b->pd->x.ioports, &o->ports);
    for (unsigned int i = 0; i < vcpus; i++)
        if (!pv_vcpu_create(&b->pd->x.d, i))
            return "not enough memory for its vCPUs";
    return NULL;
}

static void start_vcpu(struct build *b)
{
    const struct pv_layout *l = &b->plan;
    struct pv_vcpu *pv = pv_vcpu(b->pd->x.d.vcpu[0]);

    pv_set_base(pv, true, mfn_maddr(b->l4).v);
    paging_show_m2p(direct(pv->cr3_kernel), true);
    pv->kernel_ss = FLAT_KERNEL_SS64;
    pv->x.regs = (struct x86_regs){
        .rip = l->entry,
        .cs = FLAT_KERNEL_CS64,
        .rflags = pv_rflags(0),
        .rsp = l->part[PV_STACK].va + (l->part[PV_STACK].pages << PAGE_SHIFT),
        .ss = FLAT_KERNEL_SS64,
        .rsi = l->part[PV_START_INFO].va,
    };
    if (b->im->notes.features_supported &
        1u << XENFEAT_pae_pgdir_above_4gb) /* its wish, by a note */
        b->pd->x.d.vm_assist = BIT64(VMASST_TYPE_pae_extended_cr3);
    pv->x.v.initialised = true;
    __atomic_fetch_and(&pv->x.v.pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    sched_wake(&pv->x.v);
}

static const char *fill(struct build *b)
{
    const char *err;

    b->pd->x.d.max_pages = MAX(b->max_pages, b->nr_pages);
    if (b->max_pages > UINT32_MAX) /* no ceiling was given */
        b->pd->x.d.max_pages = UINT32_MAX;
    if (!dom0_mem_grow(&b->mem, b->plan.used_pages))
        return "not enough memory for its kernel and initramfs";
    load_kernel(b);
    load_initrd(b);
    dom0_image_release(b->im);
    if (!dom0_mem_grow(&b->mem, b->nr_pages))
        return "there is less memory than dom0_mem asks for";
    dom0_write_p2m(&b->mem, b->plan.part[PV_P2M].pfn);
    fill_start_info(b);
    fill_hypercall_page(b);
    err = build_tables(b);
    dom0_mem_end(&b->mem);
    return err;
}

/*
 * Linux keeps what the firmware keeps out of its memory at the same addresses in its own, and its
 * kernel must be where it is: older ones stop then, with a line that does not say what to do.
 */
static void report_conflicts(const struct build *b)
{
    const struct pv_range *k = &b->plan.part[PV_KERNEL];
    uint64_t start = k->pfn << PAGE_SHIFT, end = start + (k->pages << PAGE_SHIFT);

    for (unsigned int i = 0; i < boot_info.nr_mem; i++) {
        const struct boot_memory *m = &boot_info.mem[i];

        if (m->type == 1 || m->type == 5 || m->base >= end || m->base + m->len <= start)
            continue; /* (5 is RAM that does not work, which Linux takes for RAM in a PV guest) */
        log_warn("Dom0: the firmware keeps %#lx to %#lx (type %u), where a Linux kernel has its "
                 "own place: before 6.12 it stops with \"conflicts with E820 map\"",
                 m->base, m->base + m->len, m->type);
    }
}

static void report(const struct build *b, uint64_t unpacked)
{
    const struct xen_notes *n = &b->im->notes;

    log_info("Dom0: kernel %s %s, %s, %lu KiB; initramfs %lu KiB",
             n->guest_os[0] ? n->guest_os : "?", n->guest_version,
             bz_format_name(b->im->payload.format), unpacked >> 10, b->im->initrd_len >> 10);
    log_info("Dom0: %lu MiB, %u vCPU%s, entry %lx, %u blocks of memory", b->nr_pages >> 8,
             b->pd->x.d.max_vcpus, b->pd->x.d.max_vcpus == 1 ? "" : "s", b->plan.entry, b->mem.nr);
}

const char *dom0_build(struct dom0_image *im, const struct dom0_options *o)
{
    static struct build b;
    const char *err;

    b.im = im;
    err = create(&b, o);
    if (err)
        return err;
    b.nr_pages = dom0_image_pages(im, o->mem, &b.max_pages);
    err = plan(&b);
    if (!err)
        err = fill(&b);
    if (err) {
        log_err("Dom0: of %lu MiB it would have had %lu; its kernel has %lu MiB, its initramfs %lu",
                frame_total_count() >> 8, b.nr_pages >> 8, im->elf.size >> 20,
                im->initrd_len >> 20);
        return err;
    }
    report(&b, im->elf.size);
    report_conflicts(&b);
    dom0 = &b.pd->x.d;
    domain_publish(dom0);
    start_vcpu(&b);
    return NULL;
}
