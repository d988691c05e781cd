/* SPDX-License-Identifier: MIT */
/*
 * PVH guests on the fake hypervisor, looked at as their kernel would: from the start info in ebx
 * on, by guest-physical addresses.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <dirent.h>
#include <stdint.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "lib/macros.h"
#include "test_guest.h"

/* Like Debian's kernel in small; its virtual addresses do not matter. */
static const struct test_kernel linux_like = {
    .seg = { { 0x1000000, 0x123456, 0x123456, 0x8000, 0x40000 },
             { 0x1200000, 0x3000, 0x200000, 0, 0 },
             { 0x1523000, 0x801, 0x1000, 0, 0 } },
    .nr_segs = 3,
    .virt_base = 0xffffffff80000000ul,
    .phys32_entry = 0x1000040,
    .guest_os = "linux",
};

static void prepare(struct guest *g, const struct test_kernel *spec, uint64_t mib, size_t initrd)
{
    size_t len;
    uint8_t *elf = make_elf(spec, &len);

    guest_prepare(g, BUILDER_PVH, elf, len, initrd, mib);
    free(elf);
    g->req.vcpus = FAKE_VCPUS;
}

/* --- the guest's eyes --- */

static void check_segment(const struct test_segment *s)
{
    uint64_t bad = 0;

    for (uint64_t i = 0; i < s->memsz; i += 4096 - (s->paddr + i) % 4096) {
        const uint8_t *p = guest_at(s->paddr + i);

        for (uint64_t j = 0; j < MIN(4096 - (s->paddr + i) % 4096, s->memsz - i); j++)
            bad += p[j] != test_byte(s, i + j);
    }
    CHECK_EQ(bad, 0);
}

static const void *record(uint16_t type, uint16_t instance)
{
    struct hvm_save_descriptor d;

    for (uint32_t i = 0; i + sizeof(d) <= fake->context_len; i += sizeof(d) + d.length) {
        memcpy(&d, fake->context + i, sizeof(d));
        if (d.typecode == type && d.instance == instance)
            return fake->context + i + sizeof(d);
    }
    return NULL;
}

/* The first vCPU's registers, as start_info.h wants them. */
static uint32_t check_vcpu(void)
{
    struct hvm_hw_cpu c;
    struct hvm_hw_mtrr m;

    CHECK(fake->started && record(HVM_SAVE_CODE(HEADER), 0) && record(HVM_SAVE_CODE(END), 0));
    CHECK(record(HVM_SAVE_CODE(CPU), 0) && !record(HVM_SAVE_CODE(CPU), 1));
    memcpy(&c, record(HVM_SAVE_CODE(CPU), 0), sizeof(c));
    CHECK_EQ(c.rip, linux_like.phys32_entry);
    CHECK_EQ(c.cr0, 0x11);
    CHECK_EQ(c.cr4 | c.msr_efer | c.cs_base | c.ds_base | c.es_base | c.ss_base, 0);
    CHECK_EQ(c.rflags, 2);
    CHECK_EQ(c.cs_limit & c.ds_limit & c.es_limit & c.ss_limit, ~0u);
    CHECK_EQ(c.cs_arbytes, 0xc9b);
    CHECK_EQ(c.ss_arbytes, 0xc93);
    CHECK_EQ(c.tr_limit, 0x67);
    CHECK_EQ(c.tr_arbytes, 0x8b);
    for (uint16_t i = 0; i < FAKE_VCPUS; i++) {
        CHECK(record(HVM_SAVE_CODE(MTRR), i) != NULL);
        memcpy(&m, record(HVM_SAVE_CODE(MTRR), i), sizeof(m));
        CHECK_EQ(m.msr_mtrr_def_type, 0x806); /* write-back, fixed ranges off */
        CHECK_EQ(m.msr_pat_cr, 0x7040600070406);
    }
    CHECK(c.rbx <= UINT32_MAX);
    return (uint32_t)c.rbx;
}

static void check_map(const struct guest *g, const struct hvm_start_info *si)
{
    struct hvm_memmap_table_entry e;
    struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) told;
    uint64_t ram = 0, end = 0, frames = 0;

    CHECK_EQ(si->memmap_entries, fake->map_entries);
    for (unsigned int i = 0; i < si->memmap_entries; i++) {
        guest_bytes(&e, si->memmap_paddr + i * sizeof(e), sizeof(e));
        memcpy(&told, fake->map + i * sizeof(told), sizeof(told));
        CHECK(e.addr == told.addr && e.size == told.size && e.type == told.type);
        CHECK(e.addr >= end && e.addr % 4096 == 0 && e.size % 4096 == 0);
        end = e.addr + e.size;
        ram += e.type == XEN_HVM_MEMMAP_TYPE_RAM ? e.size : 0;
        for (uint64_t a = e.addr; a < end; a += 4096, frames++)
            guest_at(a);
    }
    CHECK_EQ(ram, g->req.memory_kib << 10);
    CHECK_EQ(frames, fake->pages); /* it has no frame that no range tells of */
}

static bool sum_is_zero(uint64_t addr, uint32_t len)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < len; i++)
        sum += *guest_at(addr + i);
    return sum == 0;
}

/* The table at addr, if it is one of this signature. */
static uint32_t check_table(uint64_t addr, const char *signature)
{
    char head[8] = "";
    uint32_t len;

    guest_bytes(head, addr, 4);
    CHECK_STR(head, signature);
    guest_bytes(&len, addr + 4, 4);
    CHECK(len >= 36 && len < 4096 && sum_is_zero(addr, len));
    return len;
}

static void check_acpi(uint64_t rsdp)
{
    uint64_t xsdt, table[2], dsdt;
    uint32_t len, flags;
    char head[9] = "";

    guest_bytes(head, rsdp, 8);
    CHECK_STR(head, "RSD PTR ");
    CHECK(sum_is_zero(rsdp, 20) && sum_is_zero(rsdp, 36));
    guest_bytes(&xsdt, rsdp + 24, 8);
    CHECK_EQ(check_table(xsdt, "XSDT"), 36 + 16);
    guest_bytes(table, xsdt + 36, 16);
    CHECK_EQ(check_table(table[0], "FACP"), 268);
    guest_bytes(&flags, table[0] + 112, 4);
    CHECK(flags & 1u << 20); /* hardware-reduced */
    guest_bytes(&dsdt, table[0] + 140, 8);
    check_table(dsdt, "DSDT");
    len = check_table(table[1], "APIC");
    CHECK_EQ(len, 44 + 8 * FAKE_VCPUS);
    for (unsigned int i = 0; i < FAKE_VCPUS; i++) {
        const uint8_t expected[8] = { 0, 8, (uint8_t)i, (uint8_t)(2 * i), 1, 0, 0, 0 };
        uint8_t entry[8];

        guest_bytes(entry, table[1] + 44 + 8 * i, 8);
        CHECK(memcmp(entry, expected, 8) == 0);
    }
}

static void check_rings(const struct guest *g)
{
    const grant_entry_v1_t *grant = fake_frame(FAKE_GRANTS);

    CHECK_EQ(fake->params[HVM_PARAM_CONSOLE_PFN], g->res.console_mfn);
    CHECK_EQ(fake->params[HVM_PARAM_STORE_PFN], g->res.store_mfn);
    CHECK_EQ(fake->params[HVM_PARAM_CONSOLE_EVTCHN], 3);
    CHECK_EQ(fake->params[HVM_PARAM_STORE_EVTCHN], 4);
    CHECK(sum_is_zero(g->res.console_mfn << 12, 4096) && sum_is_zero(g->res.store_mfn << 12, 4096));
    CHECK(g->res.console_mfn != g->res.store_mfn);
    CHECK_EQ(grant[GNTTAB_RESERVED_CONSOLE].frame, g->res.console_mfn);
    CHECK_EQ(grant[GNTTAB_RESERVED_CONSOLE].domid, 0);
    CHECK_EQ(grant[GNTTAB_RESERVED_XENSTORE].frame, g->res.store_mfn);
    CHECK_EQ(grant[GNTTAB_RESERVED_XENSTORE].domid, 9);
}

static void check_guest(const struct guest *g)
{
    struct hvm_start_info si;
    struct hvm_modlist_entry module;
    char line[64];
    uint64_t bad = 0;

    CHECK_EQ(g->rc, 0);
    if (g->rc) {
        printf("%s\n", g->e.cause);
        return;
    }
    for (unsigned int i = 0; i < linux_like.nr_segs; i++)
        check_segment(&linux_like.seg[i]);
    guest_bytes(&si, check_vcpu(), sizeof(si));
    CHECK_EQ(si.magic, XEN_HVM_START_MAGIC_VALUE);
    CHECK_EQ(si.version, 1);
    CHECK_EQ(si.flags, 0);
    guest_bytes(line, si.cmdline_paddr, sizeof(line));
    CHECK_STR(line, "console=hvc0 x=y");
    CHECK_EQ(si.nr_modules, g->req.ramdisk != NULL);
    if (g->req.ramdisk) {
        guest_bytes(&module, si.modlist_paddr, sizeof(module));
        CHECK_EQ(module.size, g->initrd_len);
        CHECK_EQ(module.paddr % 4096, 0);
        for (size_t i = 0; i < g->initrd_len; i++)
            bad += *guest_at(module.paddr + i) != g->initrd[i];
        CHECK_EQ(bad, 0);
    }
    check_map(g, &si);
    check_acpi(si.rsdp_paddr);
    check_rings(g);
    CHECK_EQ(fake->pool, (g->req.memory_kib >> 10) * 8192 + FAKE_VCPUS * 1048576ul);
}

static void one(uint64_t mib, size_t initrd, bool dirty, bool single)
{
    struct guest g;

    prepare(&g, &linux_like, mib, initrd);
    CHECK(g.req.kernel != NULL);
    fake->dirty = dirty;
    fake->no_chunks = single;
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
}

TEST(memory_and_initramfs)
{
    one(64, 3000001, false, false);
    one(97, 0, false, false);
}

TEST(memory_in_single_pages)
{
    one(48, 5000, false, true);
}

TEST(dirty_memory_is_cleared)
{
    one(64, 5000, true, false);
}

/* --- refusals --- */

static void refused(struct guest *g, const char *cause, const char *remedy)
{
    guest_build(g);
    CHECK_EQ(g->rc, -1);
    CHECK(strstr(g->e.cause, cause) != NULL);
    CHECK(strstr(g->e.remedy, remedy) != NULL);
    CHECK_EQ(fake->calls, 0);
    guest_finish(g);
}

TEST(kernels_that_cannot)
{
    struct test_kernel k = linux_like;
    struct guest g;

    k.phys32_entry = 0;
    prepare(&g, &k, 64, 0);
    refused(&g, "no note PHYS32_ENTRY", "type = 'pv'");
    k.phys32_entry = 0x1524000; /* just behind it */
    prepare(&g, &k, 64, 0);
    refused(&g, "entry point", "another kernel");
    k.phys32_entry = 0xffffff;
    prepare(&g, &k, 64, 0);
    refused(&g, "entry point", "another kernel");
    k = linux_like;
    k.seg[2].paddr = 0xf0000000;
    prepare(&g, &k, 64, 0);
    refused(&g, "3.75 GiB", "another kernel");
}

TEST(requests_that_contradict)
{
    struct guest g;
    uint64_t least;

    prepare(&g, &linux_like, 64, 0);
    g.req.max_kib = 65 << 10;
    refused(&g, "as much memory as it may have", "maxmem=");
    prepare(&g, &linux_like, 64, 0);
    g.req.vcpus = BUILDER_PVH_VCPUS + 1;
    refused(&g, "1 to 127 vCPUs", "maxvcpus=");
    prepare(&g, &linux_like, 16, 5000000);
    least = builder_least_memory(g.req.kernel, 5000000);
    g.req.memory_kib = least - 4;
    refused(&g, "too little", "Set memory=");
    prepare(&g, &linux_like, 16, 5000000);
    g.req.memory_kib = least;
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
}

static unsigned int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

TEST(each_call_fails_once)
{
    struct guest g;
    unsigned int n = 1, before = open_files();

    for (; n < FAKE_CALLS; n++) {
        prepare(&g, &linux_like, 32, 5000);
        fake->fail_at = n;
        guest_build(&g);
        if (fake->calls < n) {
            check_guest(&g);
            guest_finish(&g);
            break;
        }
        if (g.rc == 0) /* only an extent of 2 MiB that did not come; single pages did */
            check_guest(&g);
        else
            CHECK(g.e.cause[0] && g.rc == -1);
        guest_finish(&g);
    }
    CHECK(n > 12 && n < FAKE_CALLS);
    CHECK_EQ(open_files(), before);
}
