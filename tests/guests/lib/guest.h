/* SPDX-License-Identifier: MIT */
/*
 * What a micro-guest can use. A guest defines guest_main() and guest_name; it reports with CHECK()
 * and returns. One line "RESULT ok NAME" or "RESULT FAIL NAME: why" follows, then it shuts down.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"
#include "layout.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE 4096ul
#define BARRIER() __asm__ volatile("" ::: "memory")

/* ---- the guest ---- */
extern const char guest_name[]; /* set by the build */
void guest_main(void);

/* ---- console.c: output and verdict ---- */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void check_failed(const char *file, int line, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void finish(void) __attribute__((noreturn)); /* result line, then power off */
bool option(const char *name);               /* a word of the guest's command line */
const char *option_value(const char *name);  /* name=VALUE; NULL when absent */

/* One of a guest's ways to its end. */
struct guest_case {
    const char *name;
    void (*fn)(void);
};
/* Runs the one that case= names; fails if there is none. */
void run_case(const struct guest_case *list, size_t n);

extern unsigned int checks_done;
extern const char *guest_cmdline;
/* Where text goes; NULL: to the hypervisor's log, as Domain 0's. Set by start.c. */
extern void (*own_console)(const char *text, size_t n);
struct xencons_interface;
/* To a guest's own console: the ring that the console daemon empties, told by an event on `port`.
 */
void console_ring_write(volatile struct xencons_interface *c, uint32_t port, const char *text,
                        size_t n);

/* Counts a check; reports it when it does not hold. Evaluates to the condition. */
#define CHECK(cond, ...)                                              \
    ({                                                                \
        bool ok_ = (cond);                                            \
        checks_done++;                                                \
        if (!ok_)                                                     \
            check_failed(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
        ok_;                                                          \
    })

/* Two numbers that must be equal; both are shown otherwise. */
#define CHECK_EQ(got, want, what, ...)                                                        \
    ({                                                                                        \
        long got_ = (long)(got), want_ = (long)(want);                                        \
        checks_done++;                                                                        \
        if (got_ != want_)                                                                    \
            check_failed(__FILE__, __LINE__, "",                                              \
                         what ": got %ld (%#lx), want %ld (%#lx)" __VA_OPT__(, ) __VA_ARGS__, \
                         got_, got_, want_, want_);                                           \
        got_ == want_;                                                                        \
    })

/* A row of a table of answers: what a hypercall gives. */
#define ANSWER(call, want) CHECK_EQ(call, want, "%s", #call)
/* Xen's answer on Xen, ours on ours (whose runner asks for an audit): docs/abi.md says why it
 * differs. */
#define EITHER(call, xens, ours)                                                            \
    ({                                                                                      \
        long rc_ = (long)(call);                                                            \
        CHECK(rc_ == (ours) || (rc_ == (xens) && !option("audit")), "%s: %ld", #call, rc_); \
    })

/* ---- string.c ---- */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);

/* ---- trap.c ---- */
struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip;
    uint16_t cs, cs_pad;
    uint8_t saved_mask, mask_pad[3];
    uint64_t rflags, rsp;
    uint64_t ss;
};

enum {
    /* clang-format off */
    VEC_DE = 0, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF,
    VEC_TS = 10, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM,
    VEC_EVENT = 0x100, VEC_SYSCALL, VEC_SYSCALL32, VEC_SYSENTER, VEC_FAILSAFE, VEC_NMI_CALLBACK,
    NO_FAULT = -1,
    /* clang-format on */
};

struct recover {
    uint64_t rsp;
};

struct cpu {
    unsigned int id;
    struct recover *recover; /* a guarded call is running */
    int vector;              /* the last trap, NO_FAULT when cleared */
    uint64_t error, cr2;
    struct regs regs; /* its whole frame */
    unsigned int upcalls;
    bool user_running;
    void (*ap_fn)(void *); /* what a secondary CPU runs */
    void *ap_arg;
    volatile bool ap_begun, ap_done;
};

struct cpu *this_cpu(void);
extern struct cpu *cpus[];

extern char trap_stubs[], event_entry[], syscall_entry[], syscall32_entry[], sysenter_entry[];
extern char failsafe_entry[], nmi_entry[];
void regs_return(void);
void regs_enter(struct regs *r) __attribute__((noreturn));
void guarded_resume(struct recover *r) __attribute__((noreturn));

extern struct trap_info trap_table[257];
void trap_init(void); /* table and callbacks of this vCPU */
uint64_t trap_cr2(const struct cpu *cpu);
/* Called first for each trap; true when it was dealt with and the frame is to be resumed. */
extern bool (*trap_hook)(struct regs *r);
extern void (*event_hook)(struct regs *r); /* instead of the counting default */

/* Calls fn(arg). The trap that ended it (an exception's or a callback's vector), or NO_FAULT. */
int try_call(void (*fn)(void *), void *arg);

/* In an asm template: the next instruction may fault and is then skipped; see faulted(). */
#define EX(insn)            \
    "771: " insn "\n772:\n" \
    ".pushsection .ex_table, \"a\"\n .quad 771b, 772b\n .popsection\n"

static inline void fault_clear(void)
{
    this_cpu()->vector = NO_FAULT;
    BARRIER();
}

/* Vector of the trap since fault_clear(), or NO_FAULT. */
static inline int faulted(void)
{
    BARRIER();
    return *(volatile int *)&this_cpu()->vector;
}

/* One instruction without outputs: the vector of its fault, or NO_FAULT. */
#define TRY(insn, ...)                              \
    ({                                              \
        fault_clear();                              \
        __asm__ volatile(EX(insn) : : __VA_ARGS__); \
        faulted();                                  \
    })

int try_read8(const volatile void *p, uint8_t *value);
int try_write8(volatile void *p, uint8_t value);
int try_write64(volatile void *p, uint64_t value);
int try_rdmsr(uint32_t msr, uint64_t *value);
int try_wrmsr(uint32_t msr, uint64_t value);

/* ---- user.c: guest user mode ---- */
#define USER_CODE 0x0000000000400000ul /* one page, read, execute */
#define USER_DATA 0x0000000000401000ul /* two pages, read, write */
#define USER_STACK (USER_DATA + 0x2000)
void user_init(void); /* a user L4 with these pages */
extern unsigned long user_l4_pfn;
void *user_code(void), *user_data(void); /* the kernel's view of the pages */
void user_regs_init(struct regs *r);     /* start at USER_CODE on USER_STACK */
/* Runs user code until it traps: the vector. r receives the registers at the trap. */
int user_run(struct regs *r);
/* Copies code into the user page, runs it: user_run() from its start. */
int user_run_code(const void *start, const void *end, struct regs *r);
/* Machine code named NAME for it, at file level; and its run. */
#define USER_CODE_BYTES(name, text)         \
    extern const char name[], name##_end[]; \
    __asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n .popsection")
#define USER_RUN(name, r) user_run_code(name, name##_end, r)

/* ---- mm.c ---- */
typedef uint64_t pte_t;
#define PTE_P 0x001ul
#define PTE_RW 0x002ul
#define PTE_US 0x004ul
#define PTE_PWT 0x008ul
#define PTE_PCD 0x010ul
#define PTE_A 0x020ul
#define PTE_D 0x040ul
#define PTE_PSE 0x080ul
#define PTE_PAT 0x080ul
#define PTE_G 0x100ul
#define PTE_NX (1ul << 63)
#define PTE_MFN 0x000ffffffffff000ul
#define PT_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D) /* of a link to a table */
#define KERN_RW (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define KERN_RO (PTE_P | PTE_US | PTE_A | PTE_D)

#define DIRECT_BASE 0xffff888000000000ul /* all of the domain's pages */
#define TEST_VA 0x0000100000000000ul     /* an empty L4 slot for tests */
#define M2P ((volatile unsigned long *)MACH2PHYS_VIRT_START)

extern struct start_info *si;
extern struct shared_info *shared;
extern unsigned long *p2m;
extern char _image_start[], _image_end[];

void mm_init(void);
unsigned long alloc_pfn(void);    /* zeroed; writable in the direct map */
void free_pfn(unsigned long pfn); /* must be writable in the direct map again */
unsigned long virt_to_pfn(const void *va);
unsigned long virt_to_mfn(const void *va);
uint64_t virt_to_maddr(const void *va);
static inline void *pfn_virt(unsigned long pfn)
{
    return (void *)(DIRECT_BASE + (pfn << 12));
}
static inline pte_t mk_pte(unsigned long mfn, uint64_t flags)
{
    return (mfn << 12) | flags;
}
static inline pte_t pfn_pte(unsigned long pfn, uint64_t flags)
{
    return mk_pte(p2m[pfn], flags);
}

/* Changes the direct map's entry of a page: KERN_RW, KERN_RO, or 0 to take it out. */
long direct_set(unsigned long pfn, uint64_t flags);
/* Machine address of the level's entry for va in an L4, 0 when a table lacks. Level 1 to 4. */
uint64_t pte_maddr(unsigned long l4_pfn, uint64_t va, int level);
pte_t pte_read(uint64_t maddr);       /* through the direct map */
pte_t va_pte(uint64_t va, int level); /* in the kernel's tables */
uint64_t va_pte_maddr(uint64_t va, int level);
long mmu_set(uint64_t maddr, pte_t val); /* one MMU_NORMAL_PT_UPDATE */
long mmu_set_cmd(uint64_t maddr, pte_t val, unsigned int cmd);
long mmuext1(unsigned int cmd, unsigned long arg1, unsigned long arg2);
void map_page(uint64_t va, pte_t pte); /* builds tables; fails the test if refused */
void map_page_in(unsigned long l4_pfn, uint64_t va, pte_t pte);
extern unsigned long kernel_l4_pfn;

/* A new page, read-only in the direct map, so that it can become a page table. */
unsigned long alloc_table(void);
void free_table(unsigned long pfn); /* unlinked and unpinned */

/* ---- account.c: what must be the same before and after ---- */
struct account {
    uint64_t free_pages;
    long reservation;
};
void account_take(struct account *a);
void account_check(const struct account *before, const char *what);

/* ---- smp.c ---- */
unsigned int vcpu_count(void); /* vCPUs that the domain has */
/* Brings the vCPU up, running fn(arg) on its own stack, and waits until it began; false: refused.
 */
bool cpu_start(unsigned int id, void (*fn)(void *), void *arg);
void cpu_wait(unsigned int id); /* until fn returned; then it is down */
void cpu_nothing(void *arg);    /* for cpu_start(): comes up and goes down */
void cpu_context(unsigned int id, struct vcpu_guest_context *ctx);
static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

/* ---- event.c ---- */
void event_port_unmask(unsigned int port);
void event_port_mask(unsigned int port);
bool event_pending(unsigned int port);
void event_clear(unsigned int port);
void events_on(void); /* upcalls to this vCPU */
void events_off(void);
long event_bind_virq(unsigned int virq, unsigned int vcpu); /* port or error */
long event_close(unsigned int port);
extern volatile unsigned int port_hits[4096];

/* ---- time.c ---- */
uint64_t system_time(void); /* ns, by the time page of this vCPU */
void delay_ns(uint64_t ns);
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((uint64_t)hi << 32) | lo;
}

#endif
