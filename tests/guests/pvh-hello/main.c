/* SPDX-License-Identifier: MIT */
/* The way in as PVH: start_info, memory map, command line, both ways to a hypercall, a first fault.
 */
#include "pvh.h"

static void check_start_info(void)
{
    const struct hvm_start_info *s = start_info;
    const struct hvm_memmap_table_entry *map = (const void *)s->memmap_paddr;
    uint64_t ram = 0;

    CHECK_EQ(s->magic, XEN_HVM_START_MAGIC_VALUE, "magic");
    CHECK(s->version >= 1, "version %u", s->version);
    CHECK(s->flags & SIF_INITDOMAIN, "flags %#x", s->flags);
    CHECK(option("guest-word"), "command line '%s'", guest_cmdline);
    for (unsigned int i = 0; i < s->memmap_entries; i++)
        if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
            ram += map[i].size;
    CHECK(ram > 60ul << 20 && ram <= 64ul << 20, "%lu bytes of RAM", ram);
}

static void check_hypercalls(void)
{
    long raw = hypercall_raw(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);

    CHECK(raw >> 16 == 4, "version %#lx", raw);
    CHECK_EQ(hypercall_page_call(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0), raw,
             "hypercall page");
    CHECK_EQ(hypercall_raw(63, 0, 0, 0, 0, 0), -ENOSYS, "hypercall 63");
    CHECK_EQ(hypercall_raw(__HYPERVISOR_mmu_update, 0, 0, 0, 0, 0), -ENOSYS, "mmu_update");
}

void guest_main(void)
{
    printk("hello from %s\n", guest_name);
    check_start_info();
    check_hypercalls();
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "ud2");
    CHECK_EQ(try_read8((void *)0x100000000ul, NULL), VEC_PF, "beyond what is mapped");
}
