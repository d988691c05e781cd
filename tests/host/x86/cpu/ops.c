/* SPDX-License-Identifier: MIT */
#include "x86/cpu/ops.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define ANY 0xffffffffu

struct host_machine host_machine;

static struct host_msr *find_msr(uint32_t msr)
{
    for (unsigned int i = 0; i < host_machine.nr_msr; i++) {
        if (host_machine.msr[i].msr == msr)
            return &host_machine.msr[i];
    }
    return NULL;
}

bool rdmsr_safe(uint32_t msr, uint64_t *val)
{
    struct host_msr *m = find_msr(msr);

    *val = m ? m->val : 0;
    return m;
}

bool wrmsr_safe(uint32_t msr, uint64_t val)
{
    struct host_msr *m = find_msr(msr);

    if (m && !m->read_only)
        m->val = val;
    if (m && host_machine.msr_written)
        host_machine.msr_written(msr);
    return m;
}

/* On the real machine a missing register here would be the hypervisor's #GP. */
uint64_t rdmsr(uint32_t msr)
{
    uint64_t val;

    if (!rdmsr_safe(msr, &val)) {
        fprintf(stderr, "rdmsr %#x: no such register\n", msr);
        abort();
    }
    return val;
}

void wrmsr(uint32_t msr, uint64_t val)
{
    if (!wrmsr_safe(msr, val)) {
        fprintf(stderr, "wrmsr %#x: no such register\n", msr);
        abort();
    }
}

void cpuid(uint32_t leaf, uint32_t sub, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    const struct host_cpuid *t = host_machine.cpuid;

    *a = *b = *c = *d = 0;
    for (; t && !(t->leaf == ANY && t->sub == ANY); t++) {
        if (t->leaf == leaf && (t->sub == sub || t->sub == ANY)) {
            *a = t->a;
            *b = t->b;
            *c = t->c;
            *d = t->d;
            return;
        }
    }
}

static uint32_t port_in(uint16_t port, unsigned int size)
{
    return host_machine.in ? host_machine.in(port, size) : 0;
}

static void port_out(uint16_t port, unsigned int size, uint32_t val)
{
    if (host_machine.out)
        host_machine.out(port, size, val);
}

uint8_t inb(uint16_t port)
{
    return (uint8_t)port_in(port, 1);
}

uint16_t inw(uint16_t port)
{
    return (uint16_t)port_in(port, 2);
}

uint32_t inl(uint16_t port)
{
    return port_in(port, 4);
}

void outb(uint16_t port, uint8_t v)
{
    port_out(port, 1, v);
}

void outw(uint16_t port, uint16_t v)
{
    port_out(port, 2, v);
}

void outl(uint16_t port, uint32_t v)
{
    port_out(port, 4, v);
}

uint64_t rdtsc(void)
{
    return host_machine.tsc;
}

uint64_t read_cr0(void)
{
    return host_machine.cr0;
}

void write_cr0(uint64_t v)
{
    host_machine.cr0 = v;
}

uint64_t read_cr2(void)
{
    return host_machine.cr2;
}

uint64_t read_cr3(void)
{
    return host_machine.cr3;
}

void write_cr3(uint64_t v)
{
    host_machine.cr3 = v;
}

uint64_t read_cr4(void)
{
    return host_machine.cr4;
}

void write_cr4(uint64_t v)
{
    host_machine.cr4 = v;
}

void invlpg(uint64_t va)
{
    host_machine.invlpgs++;
    host_machine.last_invlpg = va;
}

void wbinvd(void)
{
    host_machine.wbinvds++;
}

void cpu_pause(void)
{
}

void cli(void)
{
}

void sti_hlt_cli(void)
{
}

void clts(void)
{
    host_machine.cr0 &= ~8ull;
}

void stts(void)
{
    host_machine.cr0 |= 8;
}
