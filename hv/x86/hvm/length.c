/* SPDX-License-Identifier: MIT */
/*
 * The length of an instruction that exited, on processors that do not tell (no NRIPS). The bytes
 * are fetched once. Another vCPU may have written over them since: only bytes that say what the
 * exit said are believed, else the guest executes what is there now.
 */
#include "core/domain.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/exits.h"

#define MAX_LEN 15
#define MAX_STUCK 1000 /* exits at one place without an instruction that fits */

/* Opcodes by exit: two bytes 0F xx, and a third where that is not all of it. */
struct shape {
    uint8_t reason;
    uint8_t bytes[3];
    uint8_t n;
    uint8_t behind; /* ModRM bytes that follow */
};

static const struct shape shapes[] = {
    /* clang-format off */
    { HVM_EXIT_CPUID,     { 0x0f, 0xa2 },       2, 0 },
    { HVM_EXIT_HYPERCALL, { 0x0f, 0x01, 0xd9 }, 3, 0 },
    { HVM_EXIT_HYPERCALL, { 0x0f, 0x01, 0xc1 }, 3, 0 },
    { HVM_EXIT_RDMSR,     { 0x0f, 0x32 },       2, 0 },
    { HVM_EXIT_WRMSR,     { 0x0f, 0x30 },       2, 0 },
    { HVM_EXIT_HLT,       { 0xf4 },             1, 0 },
    { HVM_EXIT_RDTSC,     { 0x0f, 0x31 },       2, 0 },
    { HVM_EXIT_RDTSC,     { 0x0f, 0x01, 0xf9 }, 3, 0 }, /* some report RDTSCP as RDTSC */
    { HVM_EXIT_RDTSCP,    { 0x0f, 0x01, 0xf9 }, 3, 0 },
    { HVM_EXIT_XSETBV,    { 0x0f, 0x01, 0xd1 }, 3, 0 },
    { HVM_EXIT_CACHE,     { 0x0f, 0x09 },       2, 0 },
    { HVM_EXIT_CACHE,     { 0x0f, 0x08 },       2, 0 },
    { HVM_EXIT_CR,        { 0x0f, 0x20 },       2, 1 },
    { HVM_EXIT_CR,        { 0x0f, 0x22 },       2, 1 },
    { HVM_EXIT_DR,        { 0x0f, 0x21 },       2, 1 },
    { HVM_EXIT_DR,        { 0x0f, 0x23 },       2, 1 },
    /* clang-format on */
};

static bool is_prefix(uint8_t b)
{
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
        return true;
    default:
        return false;
    }
}

/* Length of the one in bytes[0 .. n-1] if it is of the exit's kind, else 0. */
static unsigned int match(const uint8_t *bytes, size_t n, uint8_t reason, bool code64)
{
    size_t at = 0;

    while (at < n && is_prefix(bytes[at]))
        at++;
    if (code64 && at < n && (bytes[at] & 0xf0) == 0x40)
        at++;
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        const struct shape *s = &shapes[i];
        size_t same = 0;

        if (s->reason != reason || at + s->n + s->behind > n)
            continue;
        while (same < s->n && bytes[at + same] == s->bytes[same])
            same++;
        if (same == s->n)
            return (unsigned int)(at + s->n + s->behind);
    }
    return 0;
}

static bool is_code64(struct hvm_vcpu *v, uint64_t *base)
{
    struct hvm_segment cs;
    bool code64 = hvm_mode(v) == HVM_MODE_64;

    *base = 0;
    if (!code64) {
        hvm_vendor->get_seg(v, HVM_CS, &cs);
        *base = cs.base;
    }
    return code64;
}

/* The instruction is not there any more: that may be once, or a guest that gets nowhere. */
static unsigned int not_there(struct hvm_vcpu *v, const struct x86_regs *regs)
{
    if (v->stuck_rip != regs->rip)
        v->stuck_count = 0;
    v->stuck_rip = regs->rip;
    if (++v->stuck_count > MAX_STUCK)
        domain_crash(v->x.v.domain, &v->x.v, "its instruction at %lx cannot be read", regs->rip);
    return 0;
}

unsigned int hvm_insn_length(struct hvm_vcpu *v, const struct x86_regs *regs,
                             const struct hvm_exit *x)
{
    uint8_t bytes[MAX_LEN];
    uint64_t base;
    bool code64;
    unsigned int len;
    size_t n;

    if (x->len)
        return x->len;
    code64 = is_code64(v, &base);
    /* The shortest first: what lies behind may be a page that is not there. */
    n = hvm_fetch(v, base + regs->rip, bytes, MAX_LEN);
    len = match(bytes, n, x->reason, code64);
    return len ? len : not_there(v, regs);
}
