/* SPDX-License-Identifier: MIT */
/*
 * A guest for tests of privileged instructions: one vCPU, a few pages, a machine that records, and
 * what x86/pv provides to privop.c. Used by the unit tests and the fuzzer.
 */
#ifndef TESTS_UNIT_PRIVOP_GUEST_H
#define TESTS_UNIT_PRIVOP_GUEST_H

#include <string.h>

#include "core/guest.h"
#include "core/log.h"
#include "x86/dev/pci.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/ioport.h"
#include "x86/pv/msr.h"
#include "x86/pv/privop.h"
#include "x86/time/vtsc.h"

/* Guest memory: pages at CODE .. , one read-only, then a hole, then one more. */
#define MEM_BASE 0x400000ull
#define MEM_PAGES 8
#define CODE MEM_BASE
#define DATA (MEM_BASE + 0x1000)
#define READ_ONLY (MEM_BASE + 0x2000)
#define HOLE (MEM_BASE + 0x3000)
#define BITMAP (MEM_BASE + 0x4000) /* two pages and two bytes, then a hole again */
#define BITMAP_END (MEM_BASE + 0x6000)

struct cpu_features cpu_feat;

static uint8_t guest_mem[MEM_PAGES * 4096];
static struct pv_domain guest_domain;
static struct pv_vcpu guest_vcpu;
static struct vcpu_info guest_info;
static unsigned long guest_ports[BITMAP_LONGS(NR_IOPORTS)];
static struct x86_regs guest_regs;

/* What the hooks saw. */
static struct {
    unsigned int refusals, page_faults, debugs, uds, baseptrs, cr4_changes, xcr0s;
    uint64_t pf_addr, baseptr, debug_val, hypercall_gfn, dr6;
    bool pf_write;
    unsigned int debug_reg;
    int fail; /* what failing hooks return */
    bool no_segment;
    uint64_t dr[8], base[3], es_base;
    enum insn_mode mode; /* of a code segment that is not flat; 0: none */
} seen;

uint64_t vtsc_now(const struct x86_domain *xd)
{
    return rdtsc() + (xd->tsc.emulated ? 1 : 0);
}

static bool mapped(uint64_t addr, bool write)
{
    uint64_t page = addr & ~4095ull;

    if (addr < MEM_BASE || addr >= MEM_BASE + sizeof(guest_mem) || page == HOLE ||
        addr >= BITMAP_END + 2)
        return false;
    return !write || page != READ_ONLY;
}

static int copy(uint8_t *buf, uint64_t addr, size_t n, bool write)
{
    for (size_t i = 0; i < n; i++) {
        if (!mapped(addr + i, write))
            return -14;
        if (write)
            guest_mem[addr + i - MEM_BASE] = buf[i];
        else
            buf[i] = guest_mem[addr + i - MEM_BASE];
    }
    return 0;
}

static int test_copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    (void)v;
    return copy(dst, src.v, n, false);
}

static int test_copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    (void)v;
    return copy((uint8_t *)(uintptr_t)src, dst.v, n, true);
}

static const struct guest_ops test_guest_ops = { .name = "test",
                                                 .copy_from = test_copy_from,
                                                 .copy_to = test_copy_to };

void log_refusal(struct domain *d, const char *fmt, ...)
{
    (void)d, (void)fmt;
    seen.refusals++;
}

void spin_wait(spinlock_t *l, uint16_t ticket)
{
    (void)l, (void)ticket;
    abort(); /* nobody else is here */
}

int pv_new_baseptr(struct pv_vcpu *v, gfn_t l4)
{
    (void)v;
    seen.baseptrs++;
    seen.baseptr = l4.v;
    return seen.fail;
}

void pv_set_ts(struct pv_vcpu *v, bool on)
{
    v->ts = on;
}

void pv_cr4_changed(struct pv_vcpu *v, uint64_t old)
{
    (void)v, (void)old;
    seen.cr4_changes++;
}

void pv_set_xcr0(struct pv_vcpu *v, uint64_t val)
{
    v->x.xcr0 = val;
    seen.xcr0s++;
}

long pv_set_debugreg(struct pv_vcpu *v, unsigned int reg, uint64_t val)
{
    (void)v;
    if (reg > 7)
        return -19;
    seen.dr[reg] = val;
    return seen.fail;
}

long pv_get_debugreg(const struct pv_vcpu *v, unsigned int reg, uint64_t *val)
{
    (void)v;
    if (reg > 7)
        return -19;
    *val = seen.dr[reg];
    return 0;
}

long pv_set_segment_base(struct pv_vcpu *v, unsigned int which, uint64_t base)
{
    (void)v;
    if (!pv_canonical(base))
        return -22;
    seen.base[which] = base;
    return 0;
}

uint64_t pv_get_segment_base(struct pv_vcpu *v, unsigned int which)
{
    (void)v;
    return seen.base[which];
}

bool pv_segment_base(struct pv_vcpu *v, const struct x86_regs *regs, enum insn_seg seg,
                     uint64_t *base)
{
    (void)v, (void)regs;
    if (seen.no_segment)
        return false;
    *base = seg == SEG_FS   ? seen.base[SEGBASE_FS]
            : seg == SEG_GS ? seen.base[SEGBASE_GS_KERNEL]
                            : 0;
    if (seg == SEG_ES)
        *base = seen.es_base;
    return true;
}

bool pv_code_segment(struct pv_vcpu *v, uint16_t cs, enum insn_mode *mode, uint64_t *base)
{
    (void)v, (void)cs;
    *mode = seen.mode;
    *base = 0;
    return seen.mode != 0;
}

int pv_read_kernel(struct pv_vcpu *v, void *dst, gptr_t src, size_t n)
{
    return test_copy_from(&v->x.v, dst, src, n);
}

void pv_inject_page_fault(struct pv_vcpu *v, struct x86_regs *regs, uint64_t addr, bool write)
{
    (void)v, (void)regs;
    seen.page_faults++;
    seen.pf_addr = addr;
    seen.pf_write = write;
}

void pv_inject_debug(struct pv_vcpu *v, struct x86_regs *regs, uint64_t dr6)
{
    (void)v, (void)regs;
    seen.debugs++;
    seen.dr6 = dr6;
}

void pv_inject_ud(struct pv_vcpu *v, struct x86_regs *regs)
{
    (void)v, (void)regs;
    seen.uds++;
}

int pv_write_hypercall_page(struct pv_vcpu *v, gfn_t gfn)
{
    (void)v;
    seen.hypercall_gfn = gfn.v;
    return seen.fail;
}

/* Ports: what came last, and what to answer. */
static struct {
    unsigned int ins, outs;
    uint16_t port;
    unsigned int size;
    uint32_t val, answer, address; /* address: last written to 0xcf8 */
} ports;

static uint32_t test_in(uint16_t port, unsigned int size)
{
    ports.ins++;
    ports.port = port;
    ports.size = size;
    return ports.answer;
}

static void test_out(uint16_t port, unsigned int size, uint32_t val)
{
    ports.outs++;
    ports.port = port;
    ports.size = size;
    ports.val = val;
    if (port == 0xcf8 && size == 4)
        ports.address = val;
}

/* dev/pci.c reaches real ports; this does what its contract says with ours. */
bool pci_guest_port(uint16_t port, unsigned int size, bool write, uint32_t *v)
{
    static uint32_t address;

    if (port == 0xcf8 && size == 4) {
        if (write)
            address = *v;
        else
            *v = address;
        return true;
    }
    if (port < 0xcfc || port + size > 0xd00)
        return false;
    outl(0xcf8, address);
    if (write)
        test_out(port, size, *v);
    else
        *v = test_in(port, size);
    return true;
}

/* A guest kernel of Dom0, IOPL 1, before code at CODE. */
static void guest_reset(void)
{
    static const struct ioport_machine m = { 0x3f8, 0x604, 0 };

    memset(&guest_domain, 0, sizeof(guest_domain));
    memset(&guest_vcpu, 0, sizeof(guest_vcpu));
    memset(&guest_info, 0, sizeof(guest_info));
    memset(&seen, 0, sizeof(seen));
    memset(&ports, 0, sizeof(ports));
    memset(&host_machine, 0, sizeof(host_machine));
    memset(guest_mem, 0, sizeof(guest_mem));
    guest_domain.x.d.privileged = true;
    guest_domain.x.d.ops = &test_guest_ops;
    guest_domain.x.ioports = guest_ports;
    ioport_init_dom0(guest_ports, &m);
    guest_vcpu.x.v.domain = &guest_domain.x.d;
    guest_vcpu.x.v.info = &guest_info;
    guest_vcpu.kernel_mode = true;
    guest_vcpu.priv.iopl = 1;
    guest_vcpu.traps[VECTOR_GP].address = 0x1234;
    host_machine.in = test_in;
    host_machine.out = test_out;
    cpu_feat = (struct cpu_features){ .nx = true,
                                      .xsave = true,
                                      .fsgsbase = true,
                                      .intel = true,
                                      .xcr0_mask = 7,
                                      .phys_bits = 40,
                                      .virt_bits = 48 };
    policy_init();
    cpu_policy_at(&policy_max[POLICY_PV], 0xd, 0)->a = 7; /* its CPUID says nothing yet */
    pv_priv_init(&guest_vcpu);
    guest_vcpu.x.xcr0 = 1;
    guest_regs = (struct x86_regs){ .rip = CODE,
                                    .cs = SEL_RING3_CS64,
                                    .ss = SEL_RING3_DS,
                                    .rflags = 0x202,
                                    .vector = VECTOR_GP,
                                    .rsp = DATA + 0x800 };
}

/* Can what is at RIP go without a decoder? As traps.c asks; then its first two bytes. */
static inline bool guest_is_quick(unsigned int *two)
{
    uint64_t at = guest_regs.rip;

    if (guest_regs.vector != VECTOR_GP || guest_regs.error_code ||
        guest_regs.cs != SEL_RING3_CS64 || !mapped(at, false) || !mapped(at + 1, false))
        return false;
    *two = guest_mem[at - MEM_BASE] | (unsigned int)guest_mem[at + 1 - MEM_BASE] << 8;
    return pv_is_quick_privop(*two);
}

static inline bool guest_privop(void)
{
    unsigned int two;

    return guest_is_quick(&two) ? pv_quick_privop(&guest_vcpu, &guest_regs, two)
                                : pv_emulate_privop(&guest_vcpu, &guest_regs);
}

#endif
