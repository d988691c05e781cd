/* SPDX-License-Identifier: MIT */
/*
 * Any code and registers into the emulation of privileged instructions. A refusal changes nothing;
 * programs reach nothing that is the kernel's; a domain without ports reaches no port; RIP moves by
 * no more than an instruction.
 */
#include <stdlib.h>

#include "../unit/privop_guest.h"
#include "x86/insn/gpr.h"

#define MUST(cond)            \
    do {                      \
        if (!(cond))          \
            __builtin_trap(); \
    } while (0)

/* The first bytes of an input: */
struct setup {
    uint8_t flags; /* see below */
    uint8_t iopl;
    uint16_t offset; /* of the code within its two pages */
    uint64_t regs[8];
};
enum { USER = 1, UD = 2, CODE32 = 4, NO_PORTS = 8, TSD = 16, NO_HANDLER = 32, AMD = 64, DF = 128 };

static uint8_t saved_mem[sizeof(guest_mem)];
static struct pv_vcpu saved_vcpu;

static void prepare(const struct setup *s, const uint8_t *code, size_t n)
{
    static const uint8_t where[8] = { 0, 1, 2, 3, 5, 6, 7, 8 };

    guest_reset();
    for (unsigned int i = 0; i < 8; i++)
        *x86_gpr(&guest_regs, where[i]) = s->regs[i];
    guest_vcpu.kernel_mode = !(s->flags & USER);
    guest_vcpu.priv.iopl = s->iopl & 3;
    guest_vcpu.priv.iobitmap = GPTR(BITMAP);
    guest_vcpu.priv.iobitmap_ports = s->iopl & 4 ? 65536 : 0;
    guest_vcpu.priv.cr4 |= s->flags & TSD ? 4 : 0;
    guest_domain.x.ioports = s->flags & NO_PORTS ? NULL : guest_ports;
    guest_domain.x.d.privileged = !(s->flags & NO_PORTS);
    guest_vcpu.traps[VECTOR_GP].address = s->flags & NO_HANDLER ? 0 : 0x1000;
    cpu_feat.intel = !(s->flags & AMD);
    cpu_feat.amd = s->flags & AMD;
    guest_regs.vector = s->flags & UD ? VECTOR_UD : VECTOR_GP;
    guest_regs.cs = s->flags & CODE32 ? SEL_RING3_CS32 : SEL_RING3_CS64;
    guest_regs.rflags |= s->flags & DF ? X86_FLAGS_DF : 0;
    guest_regs.rip = CODE + s->offset % 8190;
    host_machine.nr_msr = 2;
    host_machine.msr[0] = (struct host_msr){ 0xc0000103, 0, false };
    host_machine.msr[1] = (struct host_msr){ 0x277, 0x050100070406, false };
    for (size_t i = 0; i < n && mapped(guest_regs.rip + i, false); i++)
        guest_mem[guest_regs.rip + i - MEM_BASE] = code[i];
}

/* What needs no decoder ends the same way without it, from the state before. */
static void compare_quick(const struct x86_regs *before, bool done)
{
    struct x86_regs after = guest_regs;
    static struct pv_vcpu vcpu;
    unsigned int two, ins = ports.ins, outs = ports.outs, debugs = seen.debugs;

    vcpu = guest_vcpu;
    guest_regs = *before;
    if (guest_is_quick(&two)) {
        guest_vcpu = saved_vcpu;
        ports.ins = ports.outs = seen.debugs = 0;
        MUST(pv_quick_privop(&guest_vcpu, &guest_regs, two) == done);
        MUST(memcmp(&after, &guest_regs, sizeof(after)) == 0);
        MUST(memcmp(&vcpu, &guest_vcpu, sizeof(vcpu)) == 0);
        MUST(ports.ins == ins && ports.outs == outs && seen.debugs == debugs);
    }
    guest_regs = after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x86_regs before;
    struct setup s;
    bool done;

    if (size <= sizeof(s))
        return 0;
    memcpy(&s, data, sizeof(s));
    prepare(&s, data + sizeof(s), size - sizeof(s) < 15 ? size - sizeof(s) : 15);
    before = guest_regs;
    memcpy(saved_mem, guest_mem, sizeof(guest_mem));
    saved_vcpu = guest_vcpu;

    done = pv_emulate_privop(&guest_vcpu, &guest_regs);
    compare_quick(&before, done);

    if (!done) {
        MUST(memcmp(&before, &guest_regs, sizeof(before)) == 0);
        MUST(memcmp(saved_mem, guest_mem, sizeof(guest_mem)) == 0);
        MUST(memcmp(&saved_vcpu, &guest_vcpu, sizeof(saved_vcpu)) == 0);
        MUST(ports.ins + ports.outs + seen.page_faults == 0);
    }
    MUST(guest_regs.rip - before.rip <= INSN_MAX_LEN);
    MUST(guest_regs.cs == before.cs && guest_regs.ss == before.ss);
    MUST(((guest_regs.rflags ^ before.rflags) & ~X86_FLAGS_RF) == 0);
    if (s.flags & NO_PORTS)
        MUST(ports.ins + ports.outs + host_machine.wbinvds == 0);
    if (s.flags & USER)
        MUST(seen.baseptrs + seen.cr4_changes + seen.xcr0s == 0 &&
             memcmp(&saved_vcpu.priv, &guest_vcpu.priv, sizeof(saved_vcpu.priv)) == 0 &&
             saved_vcpu.ts == guest_vcpu.ts);
    return 0;
}
