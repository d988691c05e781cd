/* SPDX-License-Identifier: MIT */
/*
 * What exits cost by the guest's own time-stamp counter, which in Bochs counts executed
 * instructions: bench/bochs reads it off Debian's Xen and us. As a test: each exit comes back with
 * what it should. In the case `trace` each is made once between two magic breakpoints of Bochs
 * (xchg %bx,%bx), so that its debugger sees the hypervisor's instructions.
 */
#include "pvh.h"

#define TIMES 1000
#define SERIES 3
#define HOLE ((volatile uint32_t *)0xe8100000ul)
#define NO_PORT 0x1234
#define IPI_VECTOR 0x50
#define X2APIC_SELF_IPI 0x83f

static uint64_t tsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static uint32_t in(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

/* The handler has run when it returns. */
static void self_ipi(void)
{
    unsigned int was = irq_hits[IPI_VECTOR];

    wrmsr(X2APIC_SELF_IPI, IPI_VECTOR);
    while (irq_hits[IPI_VECTOR] == was)
        ;
}

static bool traced;
static uint64_t empty;
/* Told at the end: an event of the console's that waits meanwhile would cost each exit a look. */
static struct {
    const char *name;
    uint64_t ticks;
} result[8];
static unsigned int nr_results;

/* Interrupts of the machine come within a series; hardly within each of them. */
#define TICKS(statement)                           \
    ({                                             \
        uint64_t best_ = ~0ul;                     \
                                                   \
        for (int s_ = 0; s_ < SERIES; s_++) {      \
            uint64_t from_ = tsc();                \
            for (int i_ = 0; i_ < TIMES; i_++) {   \
                statement;                         \
                __asm__ volatile("" ::: "memory"); \
            }                                      \
            from_ = tsc() - from_;                 \
            best_ = from_ < best_ ? from_ : best_; \
        }                                          \
        best_;                                     \
    })

#define ROW(what, statement)                                       \
    do {                                                           \
        statement; /* once: caches, TLBs */                        \
        if (traced) {                                              \
            __asm__ volatile("xchg %%bx, %%bx" ::: "memory");      \
            statement;                                             \
            __asm__ volatile("xchg %%bx, %%bx" ::: "memory");      \
        } else {                                                   \
            result[nr_results].name = what;                        \
            result[nr_results++].ticks = TICKS(statement) - empty; \
        }                                                          \
    } while (0)

void guest_main(void)
{
    struct cpuid r = { 0 };
    uint32_t port = 0, hole = 0;
    long rc = 0;

    traced = option("case=trace");
    pvh_x2apic_on();
    empty = TICKS((void)0);
    ROW("nops", __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop; nop; nop"));
    ROW("cpuid", r = cpuid(0x40000000, 0));
    CHECK_EQ(r.b, 0x566e6558, "CPUID");
    ROW("hypercall", rc = HC2(__HYPERVISOR_xen_version, XENVER_version, 0));
    CHECK(rc >> 16 == 4, "xen_version");
    ROW("port", port = in(NO_PORT));
    CHECK_EQ(port, ~0u, "a port that nobody claims");
    ROW("ept", hole = *HOLE);
    CHECK_EQ(hole, ~0u, "a hole in memory");
    irq_on();
    ROW("self-ipi", self_ipi());
    irq_off();
    CHECK(irq_hits[IPI_VECTOR], "an interrupt");
    for (unsigned int i = 0; i < nr_results; i++)
        printk("ticks %s %lu\n", result[i].name, (unsigned long)result[i].ticks);
}
