/* SPDX-License-Identifier: MIT */
/* Dispatch of traps, and recovery from faults that a test provokes. */
#include "guest.h"

bool (*trap_hook)(struct regs *r);
void (*event_hook)(struct regs *r);

int guarded_call(void (*fn)(void *), void *arg, struct recover *r);
void trap_dispatch(struct regs *r);

struct ex_entry {
    uint64_t from, to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

struct cpu *this_cpu(void)
{
    uint64_t rsp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return (struct cpu *)(rsp & -(uint64_t)CPU_AREA_SIZE);
}

static bool fix_up(struct regs *r)
{
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
        if (e->from == r->rip) {
            r->rip = e->to;
            return true;
        }
    }
    return false;
}

static void unexpected(struct regs *r)
{
    static bool again;

    if (again)
        finish();
    again = true;
    check_failed("trap.c", 0, "", "unexpected trap %#lx error %#lx rip %p rsp %p cr2 %p", r->vector,
                 r->error, (void *)r->rip, (void *)r->rsp, (void *)this_cpu()->cr2);
    printk("cs %#x ss %#lx rflags %#lx rax %#lx rcx %#lx rdx %#lx rdi %#lx rsi %#lx\n", r->cs,
           r->ss, r->rflags, r->rax, r->rcx, r->rdx, r->rdi, r->rsi);
    finish();
}

void trap_dispatch(struct regs *r)
{
    struct cpu *cpu = this_cpu();
    uint64_t cr2 = trap_cr2(cpu);

    if (trap_hook && trap_hook(r))
        return;
    if (r->vector == VEC_EVENT) {
        cpu->upcalls++;
        if (event_hook)
            event_hook(r);
        return;
    }
    cpu->vector = (int)r->vector;
    cpu->error = r->error;
    cpu->cr2 = cr2;
    cpu->regs = *r;
    if (fix_up(r))
        return;
    if (cpu->recover)
        guarded_resume(cpu->recover);
    unexpected(r);
}

int try_call(void (*fn)(void *), void *arg)
{
    struct cpu *cpu = this_cpu();
    struct recover here, *outer = cpu->recover;
    int trapped;

    cpu->recover = &here;
    cpu->vector = NO_FAULT;
    trapped = guarded_call(fn, arg, &here);
    cpu->recover = outer;
    return trapped ? cpu->vector : NO_FAULT;
}

int try_read8(const volatile void *p, uint8_t *value)
{
    uint8_t v = 0;

    fault_clear();
    __asm__ volatile(EX("movb (%1), %0") : "+q"(v) : "r"(p) : "memory");
    if (value)
        *value = v;
    return faulted();
}

int try_write8(volatile void *p, uint8_t value)
{
    return TRY("movb %0, (%1)", "q"(value), "r"(p) : "memory");
}

int try_write64(volatile void *p, uint64_t value)
{
    return TRY("movq %0, (%1)", "r"(value), "r"(p) : "memory");
}

int try_rdmsr(uint32_t msr, uint64_t *value)
{
    uint32_t lo = 0, hi = 0;

    fault_clear();
    __asm__ volatile(EX("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr));
    *value = ((uint64_t)hi << 32) | lo;
    return faulted();
}

int try_wrmsr(uint32_t msr, uint64_t value)
{
    return TRY("wrmsr", "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}
