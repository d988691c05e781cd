/* SPDX-License-Identifier: MIT */
/*
 * The first CPU that panics (`panicking`, atomic) reports, stops the others by NMI one after the
 * other, and ends the machine. No locks are waited for: the log's is broken, and any other may
 * be held by a CPU that is stopped.
 */
#include "x86/panic.h"

#include "core/arch.h"
#include "core/bug.h"
#include "core/log.h"
#include "lib/format.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/irq/lapic.h"
#include "x86/mm/paging.h"
#include "x86/power.h"
#include "x86/time/tsc.h"
#include "x86/trap.h"
#include "x86/vga.h"

#define ANSWER_LIMIT_US 1000000

static uint32_t panicking; /* atomic: CPU + 1 of the first to panic */
static struct x86_regs *fault_regs;
static uint32_t stop_turn;

extern char __image_start[], __text_end[], __image_end[];

struct symbol {
    uint32_t addr; /* relative to __image_start */
    uint32_t name; /* relative to the table */
};
static const struct {
    uint32_t magic, count, size;
    struct symbol sym[];
} * symtab;

/* Bytes of the table behind the image. */
uint32_t symtab_size(void)
{
    return symtab ? symtab->size : 0;
}

void symbols_init(void)
{
    symtab = direct(image_pa(__image_end));
    if (symtab->magic != 0x4d59534f) /* "OSYM" */
        symtab = NULL;
}

const char *symbol_of(uint64_t addr, uint64_t *offset)
{
    uint64_t rel = addr - (uint64_t)__image_start;
    uint32_t lo = 0, hi;

    *offset = 0;
    if (!symtab || !symtab->count || addr < (uint64_t)__image_start || addr >= (uint64_t)__text_end)
        return "?";
    hi = symtab->count;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (symtab->sym[mid].addr <= rel)
            lo = mid;
        else
            hi = mid;
    }
    *offset = rel - symtab->sym[lo].addr;
    return (const char *)symtab + symtab->sym[lo].name;
}

void dump_regs(const struct x86_regs *r)
{
    uint64_t off;
    const char *name = symbol_of(r->rip, &off);

    log_err("RIP %04lx:[<%016lx>] %s+%#lx", r->cs & 0xffff, r->rip, name, off);
    log_err("RFLAGS %016lx  vector %u error %#x", r->rflags, r->vector, r->error_code);
    log_err("rax %016lx rbx %016lx rcx %016lx", r->rax, r->rbx, r->rcx);
    log_err("rdx %016lx rsi %016lx rdi %016lx", r->rdx, r->rsi, r->rdi);
    log_err("rbp %016lx rsp %016lx r8  %016lx", r->rbp, r->rsp, r->r8);
    log_err("r9  %016lx r10 %016lx r11 %016lx", r->r9, r->r10, r->r11);
    log_err("r12 %016lx r13 %016lx r14 %016lx", r->r12, r->r13, r->r14);
    log_err("r15 %016lx cr0 %016lx cr4 %016lx", r->r15, read_cr0(), read_cr4());
    log_err("cr2 %016lx cr3 %016lx ss  %04lx", read_cr2(), read_cr3(), r->ss & 0xffff);
}

/*
 * The mapped part of a CPU's stack slot that holds rsp, or lies above it if rsp is in a guard page:
 * sets *from and *to; false: rsp is in no stack.
 */
static bool stack_part(uint64_t rsp, uint64_t *from, uint64_t *to)
{
    unsigned int page = rsp / PAGE_SIZE % (STACK_SLOT / PAGE_SIZE);
    uint64_t slot = ALIGN_DOWN(rsp, (uint64_t)STACK_SLOT);

    if (rsp < STACKS_BASE || rsp >= STACKS_BASE + (uint64_t)MAX_CPUS * STACK_SLOT)
        return false;
    *from = ALIGN_DOWN(rsp, 8ull);
    if (page < STACK_DB_PAGE && page % 2 == 0) /* guards lie between the small stacks */
        *from = slot + ++page * PAGE_SIZE;
    else if (page > STACK_DB_PAGE && page < STACK_MAIN_PAGE)
        *from = slot + (page = STACK_MAIN_PAGE) * PAGE_SIZE;
    *to = slot + (page + 1) * PAGE_SIZE;
    if (page >= STACK_MAIN_PAGE)
        *to = slot + STACK_SLOT - sizeof(struct cpu_info);
    return true;
}

/* Without frame pointers: every word on the stack that points into text, in order. */
void dump_stack(uint64_t rsp)
{
    uint64_t from, end, last = 0;
    unsigned int shown = 0;

    if (!stack_part(rsp, &from, &end))
        return;
    log_err("Call trace (candidates):");
    for (uint64_t p = from; p < end && shown < 24; p += 8) {
        uint64_t v = *(uint64_t *)p, off;
        if (v < (uint64_t)__image_start || v >= (uint64_t)__text_end || v == last)
            continue;
        last = v;
        const char *name = symbol_of(v, &off);
        log_err("   [<%016lx>] %s+%#lx", v, name, off);
        shown++;
    }
}

bool panic_in_progress(void)
{
    return __atomic_load_n(&panicking, __ATOMIC_ACQUIRE) != 0;
}

static void stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

void panic_stop_this_cpu(struct x86_regs *regs)
{
    unsigned int id = this_cpu_id();

    if (panicking != id + 1) {
        while (__atomic_load_n(&stop_turn, __ATOMIC_ACQUIRE) != id) /* one text at a time */
            cpu_pause();
        uint64_t off;
        const char *name = symbol_of(regs->rip, &off);
        log_err("CPU %u was at %04lx:[<%016lx>] %s+%#lx", id, regs->cs & 0xffff, regs->rip, name,
                off);
        if (!(regs->cs & 3))
            dump_stack(regs->rsp);
        lapic_log_pending();
        __atomic_store_n(&stop_turn, ~0u, __ATOMIC_RELEASE);
    }
    stop();
    __builtin_unreachable();
}

/* Each other CPU says where it was; one that does not answer within a while is skipped. */
static void collect_others(unsigned int self)
{
    __atomic_store_n(&stop_turn, ~0u, __ATOMIC_RELEASE);
    if (nr_pcpus <= 1)
        return;
    lapic_send_nmi_others();
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (i == self)
            continue;
        __atomic_store_n(&stop_turn, i, __ATOMIC_RELEASE);
        for (unsigned int n = 0; n < ANSWER_LIMIT_US; n += 10) {
            if (__atomic_load_n(&stop_turn, __ATOMIC_ACQUIRE) == ~0u)
                break;
            tsc_delay_us(10);
        }
    }
}

/* Before the clock runs, a delay in TSC ticks that is rather too long. */
static void wait_seconds(unsigned int n)
{
    uint64_t start = arch_now();

    if (!start) {
        tsc_delay_us(1000000);
        return;
    }
    while (arch_now() - start < n * 1000000000ull)
        cpu_pause();
}

static void end_machine(void)
{
    log_err("****************************************");
    if (opt_noreboot) {
        log_err("Halted (noreboot).");
        stop();
    }
    log_err("Rebooting in five seconds.");
    wait_seconds(5);
    power_reboot();
}

/* Who comes second: a fault while the panic is reported cuts it short, another CPU waits for its
 * NMI. */
static void panic_again(bool same_cpu)
{
    static bool twice;

    if (same_cpu && twice)
        stop();
    while (!same_cpu)
        cpu_pause();
    twice = true;
    log_err("Another fault, within the report of the first.");
    end_machine();
}

/* On a screen that Domain 0 had: what panic() said already, and from here on everything. */
static void take_screen(unsigned int cpu, const char *msg)
{
    char line[600];

    if (!vga_reclaim())
        return;
    int n = fmt_snprintf(line, sizeof(line), "(orlop) Panic on CPU %u:\n(orlop) %s\n", cpu, msg);
    vga_write(line, MIN((size_t)n, sizeof(line) - 1));
    log_add_sink(vga_write);
}

void arch_panic(const char *msg)
{
    const struct pcpu *p = arch_this_cpu();
    unsigned int self = p ? p->id : 0; /* none yet: the first CPU, early */
    uint32_t none = 0;

    cli();
    if (!__atomic_compare_exchange_n(&panicking, &none, self + 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        panic_again(none == self + 1);
    take_screen(self, msg);
    if (fault_regs)
        dump_regs(fault_regs);
    uint64_t sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    dump_stack(fault_regs ? fault_regs->rsp : sp);
    lapic_log_pending();
    collect_others(self);
    end_machine();
    __builtin_unreachable();
}

void panic_regs(struct x86_regs *regs, const char *fmt, ...)
{
    char msg[200];
    va_list ap;

    fault_regs = regs;
    va_start(ap, fmt);
    fmt_vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    panic("%s", msg);
}
