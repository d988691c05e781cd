/* SPDX-License-Identifier: MIT */
/*
 * HVM guests on the fake hypervisor: what hvmloader finds at its start, by the headers
 * (start_info.h, hvm_info_table.h).
 */
#define _GNU_SOURCE
#include "unit.h"

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_info_table.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "lib/macros.h"
#include "test_guest.h"

#define LOADER_AT 0x100000u
#define LOADER_FILE 0x2345u
#define LOADER_MEMORY 0x6000u
#define BIOS_BYTES 0x20000u

static uint8_t loader[4096 + LOADER_FILE];

static void make_loader(uint32_t at, uint32_t entry)
{
    Elf32_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', 1, 1, 1 },
                     .e_type = ET_EXEC,
                     .e_machine = EM_386,
                     .e_version = 1,
                     .e_entry = entry,
                     .e_phoff = sizeof(h),
                     .e_phentsize = sizeof(Elf32_Phdr),
                     .e_phnum = 1 };
    Elf32_Phdr p = { .p_type = PT_LOAD,
                     .p_offset = 4096,
                     .p_vaddr = at,
                     .p_paddr = at,
                     .p_filesz = LOADER_FILE,
                     .p_memsz = LOADER_MEMORY };

    memcpy(loader, &h, sizeof(h));
    memcpy(loader + sizeof(h), &p, sizeof(p));
    for (uint32_t i = 0; i < LOADER_FILE; i++)
        loader[4096 + i] = (uint8_t)(i * 7 + 1);
}

static void prepare(struct guest *g, uint64_t mib, uint32_t at, uint32_t entry)
{
    make_loader(at, entry);
    guest_prepare(g, BUILDER_HVM, loader, sizeof(loader), BIOS_BYTES, mib);
    g->req.vcpus = FAKE_VCPUS;
    g->req.vcpus_online = 2;
}

static void check_info(uint64_t mib)
{
    struct hvm_info_table t;
    uint8_t sum = 0;

    guest_bytes(&t, HVM_INFO_PADDR, sizeof(t));
    CHECK(memcmp(t.signature, "HVM INFO", 8) == 0);
    CHECK_EQ(t.length, sizeof(t));
    for (size_t i = 0; i < sizeof(t); i++)
        sum = (uint8_t)(sum + ((uint8_t *)&t)[i]);
    CHECK_EQ(sum, 0);
    CHECK_EQ(t.apic_mode, 1);
    CHECK_EQ(t.nr_vcpus, FAKE_VCPUS);
    CHECK_EQ(t.vcpu_online[0], 3);
    CHECK_EQ(t.low_mem_pgend, mib << 8);
    CHECK_EQ(t.high_mem_pgend, 0);
    CHECK(t.reserved_mem_pgstart <= fake->params[HVM_PARAM_CONSOLE_PFN] &&
          t.reserved_mem_pgstart <= fake->params[HVM_PARAM_STORE_PFN]);
}

static uint32_t check_vcpu(uint32_t entry)
{
    struct hvm_save_descriptor d;
    struct hvm_hw_cpu c = { 0 };
    unsigned int mtrrs = 0;

    for (uint32_t i = 0; i + sizeof(d) <= fake->context_len; i += (uint32_t)sizeof(d) + d.length) {
        memcpy(&d, fake->context + i, sizeof(d));
        mtrrs += d.typecode == HVM_SAVE_CODE(MTRR);
        if (d.typecode == HVM_SAVE_CODE(CPU))
            memcpy(&c, fake->context + i + sizeof(d), sizeof(c));
    }
    CHECK_EQ(c.rip, entry);
    CHECK_EQ(c.cr0, 0x11);
    CHECK_EQ(mtrrs, 0); /* hvmloader sets them up */
    return (uint32_t)c.rbx;
}

static void check_guest(const struct guest *g, uint64_t mib)
{
    struct hvm_start_info si;
    struct hvm_modlist_entry m;
    char name[9];
    uint64_t bad = 0;

    CHECK_EQ(g->rc, 0);
    if (g->rc) {
        printf("%s\n", g->e.cause);
        return;
    }
    for (uint32_t i = 0; i < LOADER_MEMORY; i++)
        bad += *guest_at(LOADER_AT + i) != (i < LOADER_FILE ? (uint8_t)(i * 7 + 1) : 0);
    guest_bytes(&si, check_vcpu(LOADER_AT + 0x20), sizeof(si));
    CHECK_EQ(si.magic, XEN_HVM_START_MAGIC_VALUE);
    CHECK_EQ(si.nr_modules, 1);
    CHECK_EQ(si.rsdp_paddr, 0);
    guest_bytes(&m, si.modlist_paddr, sizeof(m));
    CHECK_EQ(m.size, BIOS_BYTES);
    for (uint32_t i = 0; i < BIOS_BYTES; i++)
        bad += *guest_at(m.paddr + i) != g->initrd[i];
    CHECK_EQ(bad, 0);
    guest_bytes(name, m.cmdline_paddr, sizeof(name));
    CHECK_STR(name, "firmware");
    check_info(mib);
    for (uint64_t gfn = 0xa0; gfn < 0xc0; gfn++) /* a PC's screen */
        CHECK_EQ(fake->mfn_of[gfn], FAKE_FREE);
    CHECK_EQ(fake->pages, (mib << 8) - 0x20 + 2);
    CHECK_EQ(fake->map_entries, 1);
    CHECK_EQ(fake->params[HVM_PARAM_HPET_ENABLED], 1);
    CHECK_EQ(fake->params[HVM_PARAM_PAE_ENABLED], 1);
    CHECK_EQ(fake->params[HVM_PARAM_CONSOLE_EVTCHN], 3);
    CHECK_EQ(fake->params[HVM_PARAM_STORE_EVTCHN], 4);
    guest_at(fake->params[HVM_PARAM_CONSOLE_PFN] << 12);
    guest_at(fake->params[HVM_PARAM_STORE_PFN] << 12);
}

static void one(uint64_t mib, bool dirty, bool single)
{
    struct guest g;

    prepare(&g, mib, LOADER_AT, LOADER_AT + 0x20);
    CHECK(g.req.kernel != NULL);
    fake->dirty = dirty;
    fake->no_chunks = single;
    guest_build(&g);
    check_guest(&g, mib);
    guest_finish(&g);
}

TEST(hvm_guest)
{
    one(32, false, false);
    one(9, false, false);
}

TEST(hvm_in_single_pages)
{
    one(16, false, true);
}

TEST(hvm_dirty_memory_is_cleared)
{
    one(32, true, false);
}

TEST(hvm_refusals)
{
    struct guest g;

    prepare(&g, 32, LOADER_AT, LOADER_AT + LOADER_MEMORY);
    guest_build(&g);
    CHECK(g.rc == -1 && strstr(g.e.cause, "entry point"));
    guest_finish(&g);
    prepare(&g, 32, 0x80000, 0x80000);
    guest_build(&g);
    CHECK(g.rc == -1 && strstr(g.e.cause, "first MiB"));
    guest_finish(&g);
    prepare(&g, 32, LOADER_AT, LOADER_AT);
    g.req.memory_kib = 1100;
    guest_build(&g);
    CHECK(g.rc == -1 && strstr(g.e.cause, "too little"));
    guest_finish(&g);
    prepare(&g, 32, LOADER_AT, LOADER_AT);
    builder_kernel_close(g.req.kernel);
    write_file(g.kernel, "no program", 10);
    g.req.kernel = builder_kernel_open(g.kernel, NULL, BUILDER_HVM, &g.e);
    CHECK(!g.req.kernel);
    guest_finish(&g);
}

TEST(hvm_each_call_fails_once)
{
    struct guest g;
    unsigned int n = 1;

    for (; n < FAKE_CALLS; n++) {
        prepare(&g, 16, LOADER_AT, LOADER_AT + 0x20);
        fake->fail_at = n;
        guest_build(&g);
        if (g.rc == 0)
            check_guest(&g, 16);
        else
            CHECK(g.e.cause[0] && g.rc == -1);
        guest_finish(&g);
        if (fake->calls < n)
            break;
    }
    CHECK(n > 12 && n < FAKE_CALLS);
}
