/* SPDX-License-Identifier: MIT */
/*
 * The way in: start_info, both forms of hypercall, the shared page, the tables that the builder
 * made, a first fault. The folders hello-low and hello-linux boot the same with other notes.
 */
#include "guest.h"

static void check_start_info(void)
{
    CHECK(!strncmp(si->magic, "xen-", 4), "magic %s", si->magic);
    CHECK(si->flags & SIF_PRIVILEGED, "flags %#x", si->flags);
    CHECK(si->flags & SIF_INITDOMAIN, "flags %#x", si->flags);
    CHECK(si->nr_pages > 4096, "nr_pages %lu", si->nr_pages);
    CHECK(si->pt_base && !(si->pt_base & 4095), "pt_base %#lx", si->pt_base);
    CHECK(si->nr_pt_frames >= 4, "nr_pt_frames %lu", si->nr_pt_frames);
    CHECK(si->shared_info && !(si->shared_info & 4095), "shared_info %#lx", si->shared_info);
    CHECK(option("guest-word"), "command line '%s'", (char *)si->cmd_line);
}

static void check_tables(void)
{
    uint64_t image = (uint64_t)_image_start;
    uint8_t v;

    CHECK_EQ(virt_to_mfn((void *)si->pt_base), va_pte((uint64_t)si->pt_base, 1) >> 12 & 0xfffffffff,
             "the L4's own mapping");
    CHECK(!(va_pte(si->pt_base, 1) & PTE_RW), "the L4 is mapped writable");
    CHECK_EQ((va_pte(image, 1) & PTE_MFN) >> 12, virt_to_mfn(_image_start), "image frame");
    CHECK_EQ(try_read8((void *)(image + (1ul << 30)), &v), VEC_PF, "far beyond the image");
    for (unsigned long pfn = 0; pfn < si->nr_pages; pfn += 97)
        if (M2P[p2m[pfn]] != pfn) {
            CHECK_EQ(M2P[p2m[pfn]], pfn, "M2P");
            break;
        }
    CHECK_EQ(try_write8((void *)si->pt_base, 0), VEC_PF, "write to the L4");
    CHECK_EQ(try_write8((void *)M2P, 0), VEC_PF, "write to the M2P");
}

static void check_hypercalls(void)
{
    long raw = hypercall_raw(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);

    CHECK(raw >> 16 == 4, "version %#lx", raw);
#ifndef NOTE_NO_HYPERCALL_PAGE
    long page = hypercall_page_call(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);

    CHECK_EQ(page, raw, "hypercall page");
#endif
    CHECK_EQ(hypercall_raw(63, 0, 0, 0, 0, 0), -ENOSYS, "hypercall 63");
}

void guest_main(void)
{
    printk("hello from %s: %lu pages\n", guest_name, si->nr_pages);
    check_start_info();
    check_hypercalls();
    check_tables();
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "ud2");
    for (int i = 0; i < 100; i++)
        CHECK(alloc_pfn() < si->nr_pages);
}
