/* SPDX-License-Identifier: MIT */
/*
 * The log of a domain's writes. Domain 0 builds a domain by hand, whose code does what a page of
 * words says: write, read, raise an exception, call. With the log on it does one thing after the
 * other, and CLEAN has to name what that changed and none of the other pages, while the guest finds
 * its tables, its faults and its stack as ever.
 */
#include "domain.h"

#define WINDOW TEST_VA  /* of its pages, here */
#define BASE 0x200000ul /* and there */
#define NR_DATA 12
enum { L4, L3, L2, L1, CODE, MAIL, MAIL2, STACK, STACK2, ABSENT, DATA, NR_PAGES = DATA + NR_DATA };
#define AT(page) (BASE + (page)*PAGE_SIZE)

enum { WRITE, BREAK, CALL, READ, COUNT }; /* what it can do */

struct mail {
    volatile uint64_t asked, done, what, arg[6];
    volatile int64_t result; /* what was read, or the call's result */
    volatile uint64_t fault; /* error code + 1 of a page fault */
};

extern const char code[], on_break[], on_fault[], code_end[];
__asm__(".pushsection .rodata\n"
        "code:\n" /* r12: its mail */
        "1:  mov (%r12), %rax; cmp 8(%r12), %rax; jne 2f\n"
        "    xor %edi, %edi; xor %esi, %esi; mov $29, %eax; syscall; jmp 1b\n" /* yield */
        "2:  mov 16(%r12), %rax; mov 24(%r12), %rdx; mov 32(%r12), %rsi\n"
        "    cmp $0, %rax; je 10f; cmp $1, %rax; je 11f; cmp $2, %rax; je 12f\n"
        "    cmp $3, %rax; je 13f\n"
        "4:  incq (%rdx); jmp 4b\n"
        "10: .byte 0x48, 0x89, 0x32\n jmp 9f\n" /* mov %rsi, (%rdx) */
        "11: int3; jmp 9f\n"
        "12: mov 24(%r12), %rax; mov 32(%r12), %rdi; mov 40(%r12), %rsi; mov 48(%r12), %rdx\n"
        "    mov 56(%r12), %r10; syscall; mov %rax, 72(%r12); jmp 9f\n"
        "13: .byte 0x48, 0x8b, 0x32\n mov %rsi, 72(%r12)\n" /* mov (%rdx), %rsi */
        "9:  mov (%r12), %rax; mov %rax, 8(%r12); jmp 1b\n"
        "on_fault:\n"
        "    mov 16(%rsp), %rax; inc %rax; mov %rax, 80(%r12)\n"
        "    pop %rcx; pop %r11; add $8, %rsp; addq $3, (%rsp); jmp 8f\n"
        "on_break:\n"
        "    pop %rcx; pop %r11\n"
        "8:  push $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall\n" /* iret */
        "code_end:\n"
        ".popsection");

static xen_pfn_t pages[NR_PAGES];
static struct vcpu_guest_context context;
static uint8_t bitmap[PAGE_SIZE] __attribute__((aligned(4096)));

static long shadow_op(uint32_t op, uint32_t mode)
{
    memset(&domctl.u, 0, sizeof(domctl.u));
    memset(bitmap, 0, sizeof(bitmap));
    domctl.u.shadow_op.op = op;
    domctl.u.shadow_op.mode = mode;
    domctl.u.shadow_op.pages = NR_PAGES;
    domctl.u.shadow_op.dirty_bitmap.p = bitmap;
    return do_domctl(XEN_DOMCTL_shadow_op);
}

static bool named(unsigned int page)
{
    return bitmap[page / 8] >> page % 8 & 1;
}

/* CLEAN names this one of the pages of data (-1: none), and no other. */
static void clean(const char *when, int data)
{
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 0, "CLEAN after %s", when);
    CHECK_EQ(domctl.u.shadow_op.pages, NR_PAGES, "pages");
    for (int i = 0; i < NR_DATA; i++)
        CHECK_EQ(named(DATA + i), i == data, "after %s: page %d", when, i);
}

/* --- the domain --- */

static volatile struct mail *mail(unsigned int vcpu)
{
    return (volatile struct mail *)(WINDOW + (MAIL + vcpu) * PAGE_SIZE);
}

static void map_window(unsigned int page, xen_pfn_t mfn, pte_t flags)
{
    struct mmu_update u = { .ptr = va_pte_maddr(WINDOW + page * PAGE_SIZE, 1),
                            .val = mk_pte(mfn, flags) };

    CHECK_EQ(hc_mmu_update(&u, 1, NULL, dom), 0, "map page %u", page);
}

static void unmap_window(unsigned int page)
{
    CHECK_EQ(mmu_set(va_pte_maddr(WINDOW + page * PAGE_SIZE, 1), 0), 0, "unmap page %u", page);
    mmuext1(MMUEXT_INVLPG_ALL, WINDOW + page * PAGE_SIZE, 0);
}

#define NEVER_READ 5   /* pages of data whose entries have no Accessed and Dirty bits, */
#define READ_ONLY 6    /* neither has this one, and may not be written */
#define HELD_BY_DOM0 9 /* stays in the window */
#define COUNTED 10     /* the other vCPU counts there */

static void fill_tables(void)
{
    pte_t *t = (pte_t *)WINDOW;

    t[0] = mk_pte(pages[L3], PT_FLAGS);
    t[512] = mk_pte(pages[L2], PT_FLAGS);
    t[2 * 512 + 1] = mk_pte(pages[L1], PT_FLAGS);
    for (unsigned int i = L4; i < NR_PAGES; i++)
        if (i != ABSENT)
            t[3 * 512 + i] = mk_pte(pages[i], i <= CODE ? KERN_RO : KERN_RW);
    t[3 * 512 + DATA + NEVER_READ] &= ~0x60ul;
    t[3 * 512 + DATA + READ_ONLY] &= ~0x62ul;
    memcpy((uint8_t *)WINDOW + CODE * PAGE_SIZE, code, (size_t)(code_end - code));
}

static void tell_size(void)
{
    struct shared_info *s = (struct shared_info *)(WINDOW + ABSENT * PAGE_SIZE);

    CHECK_EQ(do_domctl(XEN_DOMCTL_getdomaininfo), 0, "getdomaininfo");
    map_window(ABSENT, domctl.u.getdomaininfo.shared_info_frame, KERN_RW);
    s->arch.max_pfn = NR_PAGES - 1;
    unmap_window(ABSENT);
}

static void create(void)
{
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE };

    domain_make(2, 4, 4 * (NR_PAGES + 2), pages, NR_PAGES);
    for (unsigned int i = 0; i < NR_PAGES; i++)
        map_window(i, pages[i], KERN_RW);
    fill_tables();
    for (unsigned int i = 0; i < NR_PAGES; i++)
        if (i != MAIL && i != MAIL2 && i != DATA + HELD_BY_DOM0)
            unmap_window(i);
    pin.arg1.mfn = pages[L4];
    CHECK_EQ(hc_mmuext_op(&pin, 1, NULL, dom), 0, "pin");
    tell_size();
}

static void start(void)
{
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = AT(CODE);
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = context.kernel_ss = FLAT_KERNEL_SS;
    context.ctrlreg[3] = pages[L4] << 12;
    context.trap_ctxt[3] = (struct trap_info){ 3, 3, FLAT_KERNEL_CS,
                                               AT(CODE) + (uint64_t)(on_break - code) };
    context.trap_ctxt[14] = (struct trap_info){ 14, 0, FLAT_KERNEL_CS,
                                                AT(CODE) + (uint64_t)(on_fault - code) };
    for (unsigned int i = 0; i < 2; i++) {
        context.user_regs.rsp = context.kernel_sp = AT(STACK + i) + PAGE_SIZE;
        context.user_regs.r12 = AT(MAIL + i);
        domctl.u.vcpucontext.vcpu = i;
        domctl.u.vcpucontext.ctxt.p = &context;
        CHECK_EQ(do_domctl(XEN_DOMCTL_setvcpucontext), 0, "setvcpucontext");
    }
    CHECK_EQ(do_domctl(XEN_DOMCTL_unpausedomain), 0, "unpausedomain");
}

static void ask(unsigned int vcpu, uint64_t what, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    volatile struct mail *m = mail(vcpu);

    m->what = what;
    m->arg[0] = a;
    m->arg[1] = b;
    m->arg[2] = c;
    m->arg[3] = d;
    m->arg[4] = DOMID_SELF; /* of mmu_update */
    m->fault = 0;
    BARRIER();
    m->asked++;
}

/* The first vCPU does it, and has done so; its result. */
static int64_t let(uint64_t what, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    volatile struct mail *m = mail(0);
    uint64_t end = system_time() + 30000000000ull;

    ask(0, what, a, b, c, d);
    while (m->done != m->asked && system_time() < end)
        hc_sched_op(SCHEDOP_yield, NULL);
    CHECK_EQ(m->done, m->asked, "it does %lu at %#lx", (long)what, (long)a);
    return m->result;
}

static uint64_t bits_of_entry(unsigned int page)
{
    return (uint64_t)let(READ, AT(L1) + page * 8, 0, 0, 0) & 0x63;
}

/* --- what it does --- */

static void writes(void)
{
    for (int i = 0; i < NR_DATA; i++) {
        if (i == READ_ONLY || i == NEVER_READ || i == COUNTED)
            continue;
        let(WRITE, AT(DATA + i), (uint64_t)i, 0, 0);
        clean("a write", i);
        CHECK(named(MAIL), "its mail is written, too");
        CHECK(!named(STACK) && !named(CODE), "stack and code are not");
        let(READ, AT(DATA + i), 0, 0, 0);
        CHECK_EQ(mail(0)->result, i, "what was written");
        clean("a read", -1);
    }
}

static void own_tables(void)
{
    CHECK_EQ(bits_of_entry(DATA + NEVER_READ), 0x03, "an entry before it is used");
    clean("reading an entry", -1);
    let(READ, AT(DATA + NEVER_READ), 0, 0, 0);
    CHECK_EQ(bits_of_entry(DATA + NEVER_READ), 0x23, "after a read");
    clean("a first read", -1);
    CHECK(named(L1), "the Accessed bit is a write to the table");
    let(WRITE, AT(DATA + NEVER_READ), 1, 0, 0);
    CHECK_EQ(bits_of_entry(DATA + NEVER_READ), 0x63, "after a write");
    clean("a first write", NEVER_READ);
    CHECK(named(L1), "the Dirty bit is, too");
    clean("nothing", -1);
    CHECK(!named(L1) && !named(L2), "tables rest");
}

static void fault(const char *what, uint64_t at, uint64_t how, uint64_t code_plus_1)
{
    let(how, at, 0, 0, 0);
    CHECK_EQ(mail(0)->fault, code_plus_1, "%s: error code + 1", what);
    clean(what, -1);
    CHECK(named(STACK), "%s: the frame is on its stack", what);
}

static void faults(void)
{
    fault("a write to code", AT(CODE), WRITE, 4);
    fault("a write to a page never seen", AT(DATA + READ_ONLY), WRITE, 4);
    fault("a write to nothing", AT(ABSENT), WRITE, 3);
    fault("a read of nothing", AT(ABSENT), READ, 1);
    for (unsigned int i = 0; i < 4; i++) {
        clean("nothing", -1);
        let(BREAK, 0, 0, 0, 0);
        clean("a breakpoint", -1);
        CHECK(named(STACK), "its frame is on the stack");
    }
}

static void calls(void)
{
    uint64_t pte = mk_pte(pages[DATA + 1], KERN_RW), l1 = pages[L1] << 12;

    let(CALL, __HYPERVISOR_xen_version, XENVER_capabilities, AT(DATA + 2), 0);
    clean("an answer of the hypervisor's", 2);
    let(WRITE, AT(DATA + 3), l1 | ABSENT * 8, 0, 0);
    let(WRITE, AT(DATA + 3) + 8, pte, 0, 0);
    clean("its arguments", 3);
    CHECK_EQ(let(CALL, __HYPERVISOR_mmu_update, AT(DATA + 3), 1, AT(DATA + 4)), 0, "mmu_update");
    clean("an entry, and its count", 4);
    CHECK(named(L1), "the entry is named");
    let(WRITE, AT(ABSENT) + 8, 7, 0, 0);
    clean("a write by another address", 1);
    CHECK_EQ(let(CALL, __HYPERVISOR_update_va_mapping, AT(ABSENT), 0, UVMF_INVLPG), 0, "unmap");
    fault("a write where nothing is any more", AT(ABSENT), WRITE, 3);
}

static void another_cpu(void)
{
    const volatile uint64_t *count = (uint64_t *)(WINDOW + (DATA + COUNTED) * PAGE_SIZE);

    map_window(DATA + COUNTED, pages[DATA + COUNTED], KERN_RO);
    ask(1, COUNT, AT(DATA + COUNTED), 0, 0, 0);
    for (unsigned int i = 0; i < 20; i++) {
        uint64_t was = *count, end = system_time() + 30000000000ull;

        while (*count == was && system_time() < end)
            hc_sched_op(SCHEDOP_yield, NULL);
        clean("counting", COUNTED);
    }
}

void guest_main(void)
{
    map_page(WINDOW, 0);
    create();
    start();
    let(WRITE, AT(DATA), 1, 0, 0);
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, 0), -EINVAL, "CLEAN without a log");
    for (unsigned int round = 0; round < 2; round++) {
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0), 0, "the log goes on");
        let(READ, AT(DATA), 0, 0, 0);
        clean("nothing", -1);
        writes();
        if (!round)
            own_tables();
        faults();
        calls();
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0,
                 "the last CLEAN");
        CHECK(named(DATA + HELD_BY_DOM0) && named(MAIL), "what Domain 0 maps is named");
        CHECK(!named(DATA) && !named(DATA + 1), "what it does not map is not");
        CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_OFF, 0), 0, "the log goes off");
        let(WRITE, AT(DATA + 1), 1, 0, 0);
        let(BREAK, 0, 0, 0, 0);
    }
    CHECK_EQ(shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0), 0, "the log goes on");
    another_cpu();
    for (unsigned int i = 0; i < NR_PAGES; i++)
        unmap_window(i);
    CHECK_EQ(do_domctl(XEN_DOMCTL_destroydomain), 0, "destroydomain");
}
