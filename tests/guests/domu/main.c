/* SPDX-License-Identifier: MIT */
/*
 * A hostile domain without privilege. Domain 0 builds it by hand: a page of code that makes each
 * call of a list, which Domain 0 writes and whose results it reads. It asks for what is others',
 * for the machine, with addresses of the hypervisor; then it touches a port and is to crash; at
 * last two of its vCPUs call without end, and it is destroyed at some moment, time and again.
 */
#include "domain.h"

#include <xen/nmi.h>
#include <xen/sysctl.h>

#define WINDOW TEST_VA /* of its pages, here */
#define TABLE_VA (WINDOW + NR_PAGES * PAGE_SIZE)
#define BASE 0x200000ul /* and there */
enum { L4, L3, L2, L1, CODE, LIST, LIST2, ARGS, SPARE, BUFFER, NR_PAGES };
#define AT(page) (BASE + (page)*PAGE_SIZE)
#define HV_VA 0xffff830000000000ul /* the hypervisor's direct map */
#define CANARY 0x5ca1ab1e

#define ONCE 0
#define FOR_EVER 1

/* A call of the list, and what is to become of it: a number, or ... */
struct call {
    uint64_t nr, arg[5];
    int64_t result, want;
};
#define AN_ERROR 1000 /* ... any negative one */
#define ANYTHING 1001
#define MAX_CALLS (2 * PAGE_SIZE / sizeof(struct call))

extern const char domu_code[], domu_code_end[];
/* rdi: the list, rsi: its length, rdx: ONCE, then a forbidden port, or FOR_EVER. */
__asm__(".pushsection .rodata\n"
        "domu_code:\n"
        "    mov %rdi, %rbx; mov %rsi, %r14; mov %rdx, %r15\n"
        "1:  mov %rbx, %r12; mov %r14, %r13\n"
        "2:  mov (%r12), %rax; mov 8(%r12), %rdi; mov 16(%r12), %rsi; mov 24(%r12), %rdx\n"
        "    mov 32(%r12), %r10; mov 40(%r12), %r8\n"
        "    syscall\n"
        "    mov %rax, 48(%r12); add $64, %r12; dec %r13; jnz 2b\n"
        "    test %r15, %r15; jnz 1b\n"
        "    mov $0x64, %edx; mov $0xfe, %al; out %al, %dx\n" /* resets a PC */
        "    ud2\n"
        "domu_code_end:\n"
        ".popsection");

static xen_pfn_t pages[NR_PAGES];
static struct vcpu_guest_context context;
static unsigned int nr_calls;
static const char *names[MAX_CALLS];
static uint64_t args_used;
static unsigned long victim; /* a page of Domain 0 */

static struct call *list(void)
{
    return (struct call *)(WINDOW + LIST * PAGE_SIZE);
}

/* --- the list --- */

static void add_call(const char *name, int64_t want, uint64_t nr, uint64_t a, uint64_t b,
                     uint64_t c, uint64_t d)
{
    if (!CHECK(nr_calls < MAX_CALLS, "room in the list"))
        return;
    names[nr_calls] = name;
    list()[nr_calls++] = (struct call){ nr, { a, b, c, d }, 0, want };
}
#define CALL_(name, want, nr, a, b, c, d, ...)                                           \
    add_call(name, want, __HYPERVISOR_##nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), \
             (uint64_t)(d))
#define CALL(name, want, nr, ...) CALL_(name, want, nr, __VA_ARGS__, 0, 0, 0, 0)

/* Puts an argument where the domain has it; its address there. */
static uint64_t put_bytes(const void *p, size_t n)
{
    uint64_t at = args_used;

    args_used += (n + 7) & ~7ul;
    if (!CHECK(args_used <= PAGE_SIZE, "room for arguments"))
        return AT(ARGS);
    memcpy((uint8_t *)WINDOW + ARGS * PAGE_SIZE + at, p, n);
    return AT(ARGS) + at;
}
#define PUT(...)                        \
    ({                                  \
        __VA_ARGS__;                    \
        put_bytes(&(arg), sizeof(arg)); \
    })

static int16_t *status_of(uint64_t arg, size_t offset)
{
    return (int16_t *)(WINDOW + (arg - BASE) + offset);
}

static void machine_calls(void)
{
    uint64_t pause = PUT(
        struct xen_domctl arg = { .cmd = XEN_DOMCTL_pausedomain,
                                  .interface_version = XEN_DOMCTL_INTERFACE_VERSION });
    uint64_t info = PUT(
        struct xen_sysctl arg = { .cmd = XEN_SYSCTL_physinfo,
                                  .interface_version = XEN_SYSCTL_INTERFACE_VERSION });
    uint64_t off = PUT(struct sched_remote_shutdown arg = { .domain_id = 0, .reason = 0 });
    uint64_t irq = PUT(struct physdev_map_pirq arg = { .domid = DOMID_SELF, .index = 4 });
    uint64_t nmi = PUT(struct xennmi_callback arg = { .handler_address = BASE });

    CALL("domctl", -EPERM, domctl, pause);
    CALL("sysctl", -EPERM, sysctl, info);
    CALL("platform_op", -EPERM, platform_op, info);
    CALL("machine checks", -EPERM, arch_0, info);
    CALL("map_pirq", -EPERM, physdev_op, PHYSDEVOP_map_pirq, irq);
    CALL("setup_gsi", -EPERM, physdev_op, PHYSDEVOP_setup_gsi, irq);
    CALL("an NMI's callback", -EINVAL, nmi_op, XENNMI_register_callback, nmi);
    CALL("console read", -EPERM, console_io, CONSOLEIO_read, 16, AT(BUFFER));
    CALL("console write", 0, console_io, CONSOLEIO_write, 16, AT(BUFFER));
    CALL("console write from the hypervisor", -EFAULT, console_io, CONSOLEIO_write, 64, HV_VA);
    CALL("remote_shutdown", -EPERM, sched_op, SCHEDOP_remote_shutdown, off);
    CALL("version into the hypervisor", -EFAULT, xen_version, XENVER_capabilities, HV_VA);
    CALL("version into the M2P", -EFAULT, xen_version, XENVER_capabilities, MACH2PHYS_VIRT_START);
    CALL("multicall of the hypervisor's", -EFAULT, multicall, HV_VA, 8);
    CALL("multicall to the end", AN_ERROR, multicall, ~63ul, 0xffffffff);
    CALL("iopl", 0, physdev_op, PHYSDEVOP_set_iopl, put_bytes(&(uint32_t){ 3 }, 4));
    CALL("vCPU 7", -ENOENT, vcpu_op, VCPUOP_up, 7, 0);
    CALL("vCPU 4294967295", -ENOENT, vcpu_op, VCPUOP_initialise, 0xffffffff, AT(ARGS));
}

static void memory_calls(void)
{
    static const unsigned int of_dom0[] = { XENMEM_current_reservation, XENMEM_maximum_reservation,
                                            XENMEM_maximum_gpfn, XENMEM_get_pod_target };
    uint64_t zero = put_bytes(&(uint64_t){ 0 }, 8), self;
    xen_pfn_t mfn = p2m[victim];
    uint64_t frames = put_bytes(&mfn, sizeof(mfn));
    struct xen_memory_reservation r = { .nr_extents = 1 };
    struct xen_memory_exchange e = { 0 };
    struct xen_mem_acquire_resource a = { .domid = 0, .nr_frames = 1 };

    for (unsigned int i = 0; i < ARRAY_SIZE(of_dom0); i++)
        CALL("memory_op on Domain 0", -EPERM, memory_op, of_dom0[i], zero);
    r.extent_start.p = (void *)frames;
    CALL("populate_physmap of Domain 0", 0, memory_op, XENMEM_populate_physmap,
         put_bytes(&r, sizeof(r)));
    r.domid = DOMID_SELF;
    self = put_bytes(&r, sizeof(r));
    CALL("decrease by a frame of Domain 0", 0, memory_op, XENMEM_decrease_reservation, self);
    CALL("claim_pages", -EPERM, memory_op, XENMEM_claim_pages, self);
    e.in = e.out = r;
    CALL("exchange of a frame of Domain 0", AN_ERROR, memory_op, XENMEM_exchange,
         put_bytes(&e, sizeof(e)));
    CALL("the machine's memory map", -EPERM, memory_op, XENMEM_machine_memory_map, zero);
    CALL("a memory map for Domain 0", -EPERM, memory_op, XENMEM_set_memory_map, zero);
    a.frame_list.p = (void *)frames;
    CALL("acquire_resource", -EPERM, memory_op, XENMEM_acquire_resource, put_bytes(&a, sizeof(a)));
    CALL("far extents", ANYTHING, memory_op, XENMEM_populate_physmap | ~0ul << 6, self);
    CALL("arguments of the hypervisor's", AN_ERROR, memory_op, XENMEM_machphys_mapping, HV_VA);
}

/* One mmu_update in the name of `foreign`. */
static void update(const char *name, int64_t want, uint64_t ptr, uint64_t val, unsigned int foreign)
{
    struct mmu_update u = { .ptr = ptr, .val = val };

    CALL(name, want, mmu_update, put_bytes(&u, sizeof(u)), 1, 0, foreign);
}

static void mmuext(const char *name, int64_t want, unsigned int cmd, uint64_t arg1, uint64_t arg2,
                   unsigned int foreign)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = arg1;
    op.arg2.src_mfn = arg2;
    CALL(name, want, mmuext_op, put_bytes(&op, sizeof(op)), 1, 0, foreign);
}

static void table_calls(void)
{
    uint64_t mfn = p2m[victim], entry = pages[L1] << 12 | SPARE * 8;
    uint64_t l4 = p2m[kernel_l4_pfn], frames = put_bytes(&mfn, sizeof(mfn));

    update("map a frame of Domain 0", AN_ERROR, entry, mk_pte(mfn, KERN_RW), DOMID_SELF);
    update("map it read-only", AN_ERROR, entry, mk_pte(mfn, KERN_RO), DOMID_SELF);
    update("map it as Domain 0's", -EPERM, entry, mk_pte(mfn, KERN_RW), 0);
    update("map it as a device's", -EPERM, entry, mk_pte(mfn, KERN_RW), DOMID_IO);
    update("write to Domain 0's table", -EPERM, l4 << 12, 0, 1u << 16 | DOMID_SELF);
    update("write to it as if its own", AN_ERROR, l4 << 12, 0, DOMID_SELF);
    update("map its own table writable", AN_ERROR, entry, mk_pte(pages[L1], KERN_RW), DOMID_SELF);
    update("map the local APIC", AN_ERROR, entry, mk_pte(0xfee00, KERN_RW), DOMID_SELF);
    update("map the first page of memory", AN_ERROR, entry, mk_pte(0, KERN_RW), DOMID_SELF);
    update("map beyond all memory", AN_ERROR, entry, mk_pte(0xffffffffff, KERN_RW), DOMID_SELF);
    update("a superpage", AN_ERROR, pages[L2] << 12 | 16, mk_pte(0, KERN_RW | PTE_PSE), DOMID_SELF);
    update("a linear table", AN_ERROR, pages[L4] << 12 | 8, mk_pte(pages[L4], PT_FLAGS),
           DOMID_SELF);
    update("the hypervisor's slot", AN_ERROR, pages[L4] << 12 | 260 * 8,
           mk_pte(pages[L3], PT_FLAGS), DOMID_SELF);
    update("Domain 0's frame number", AN_ERROR, mfn << 12 | MMU_MACHPHYS_UPDATE, 1, DOMID_SELF);
    mmuext("pin for Domain 0", -EPERM, MMUEXT_PIN_L1_TABLE, mfn, 0, 0);
    mmuext("pin a frame of Domain 0", AN_ERROR, MMUEXT_PIN_L1_TABLE, mfn, 0, DOMID_SELF);
    mmuext("unpin Domain 0's tables", AN_ERROR, MMUEXT_UNPIN_TABLE, l4, 0, DOMID_SELF);
    mmuext("Domain 0's tables", AN_ERROR, MMUEXT_NEW_BASEPTR, l4, 0, DOMID_SELF);
    mmuext("its own data as tables", AN_ERROR, MMUEXT_NEW_BASEPTR, pages[BUFFER], 0, DOMID_SELF);
    mmuext("clear a frame of Domain 0", AN_ERROR, MMUEXT_CLEAR_PAGE, mfn, 0, DOMID_SELF);
    mmuext("copy it", AN_ERROR, MMUEXT_COPY_PAGE, pages[BUFFER], mfn, DOMID_SELF);
    mmuext("overwrite it", AN_ERROR, MMUEXT_COPY_PAGE, mfn, pages[BUFFER], DOMID_SELF);
    mmuext("clear its own table", AN_ERROR, MMUEXT_CLEAR_PAGE, pages[L2], 0, DOMID_SELF);
    mmuext("flush caches", AN_ERROR, MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0, DOMID_SELF);
    mmuext("LDT of the hypervisor's", AN_ERROR, MMUEXT_SET_LDT, HV_VA, 512, DOMID_SELF);
    CALL("update_va_mapping", AN_ERROR, update_va_mapping, AT(SPARE), mk_pte(mfn, KERN_RW), 0);
    CALL("update_va_mapping of the hypervisor", AN_ERROR, update_va_mapping, HV_VA, 0, 0);
    CALL("update_va_mapping for Domain 0", -EPERM, update_va_mapping_otherdomain, AT(SPARE),
         mk_pte(mfn, KERN_RW), 0);
    CALL("set_gdt", AN_ERROR, set_gdt, frames, 512);
    CALL("update_descriptor", AN_ERROR, update_descriptor, mfn << 12, 0);
}

static void event_calls(unsigned int port)
{
    uint64_t unbound = PUT(struct evtchn_alloc_unbound arg = { .dom = 0, .remote_dom = 0 });
    uint64_t status = PUT(struct evtchn_status arg = { .dom = 0, .port = 1 });
    uint64_t reset = PUT(struct evtchn_reset arg = { .dom = 0 });
    uint64_t virq = PUT(struct evtchn_bind_virq arg = { .virq = VIRQ_DOM_EXC });
    uint64_t pirq = PUT(struct evtchn_bind_pirq arg = { .pirq = 4 });
    uint64_t inter = PUT(
        struct evtchn_bind_interdomain arg = { .remote_dom = 0, .remote_port = port });
    uint64_t fifo = PUT(struct evtchn_init_control arg = { .control_gfn = p2m[victim] });
    uint64_t send = put_bytes(&(uint32_t){ 0x1ffff }, 4);

    CALL("a port of Domain 0", -EPERM, event_channel_op, EVTCHNOP_alloc_unbound, unbound);
    CALL("its status", -EPERM, event_channel_op, EVTCHNOP_status, status);
    CALL("its reset", -EPERM, event_channel_op, EVTCHNOP_reset, reset);
    CALL("its VIRQ", -EPERM, event_channel_op, EVTCHNOP_bind_virq, virq);
    CALL("a PIRQ", -EPERM, event_channel_op, EVTCHNOP_bind_pirq, pirq);
    CALL("a port for another", -EINVAL, event_channel_op, EVTCHNOP_bind_interdomain, inter);
    CALL("FIFO in a frame of Domain 0", AN_ERROR, event_channel_op, EVTCHNOP_init_control, fifo);
    CALL("port 131071", AN_ERROR, event_channel_op, EVTCHNOP_send, send);
}

/* Grants: the results are in the arguments; the addresses of their statuses. */
static unsigned int grant_calls(int16_t *statuses[])
{
    uint64_t table = PUT(struct gnttab_setup_table arg = { .dom = 0, .nr_frames = 1 });
    uint64_t size = PUT(struct gnttab_query_size arg = { .dom = 0 });
    uint64_t dump = PUT(struct gnttab_dump_table arg = { .dom = 0 });
    uint64_t map = PUT(struct gnttab_map_grant_ref arg = {
                           .host_addr = AT(SPARE), .flags = GNTMAP_host_map, .ref = 9 });
    uint64_t far = PUT(struct gnttab_map_grant_ref arg = {
                           .host_addr = HV_VA, .flags = GNTMAP_host_map, .ref = ~0u });
    uint64_t unmap = PUT(struct gnttab_unmap_grant_ref arg = { .handle = 0 });
    uint64_t transfer = PUT(struct gnttab_transfer arg = { .mfn = p2m[victim], .ref = 9 });
    struct gnttab_copy c = { .len = 64, .source.domid = 0, .dest.domid = DOMID_SELF };
    unsigned int n = 0;

    c.source.u.gmfn = p2m[victim];
    c.dest.u.gmfn = pages[BUFFER];
    CALL("Domain 0's grant table", 0, grant_table_op, GNTTABOP_setup_table, table, 1);
    CALL("its size", 0, grant_table_op, GNTTABOP_query_size, size, 1);
    CALL("its contents", 0, grant_table_op, GNTTABOP_dump_table, dump, 1);
    CALL("map", 0, grant_table_op, GNTTABOP_map_grant_ref, map, 1);
    CALL("map far", 0, grant_table_op, GNTTABOP_map_grant_ref, far, 1);
    CALL("unmap", 0, grant_table_op, GNTTABOP_unmap_grant_ref, unmap, 1);
    CALL("transfer", 0, grant_table_op, GNTTABOP_transfer, transfer, 1);
    statuses[n++] = status_of(table, offsetof(struct gnttab_setup_table, status));
    statuses[n++] = status_of(size, offsetof(struct gnttab_query_size, status));
    statuses[n++] = status_of(dump, offsetof(struct gnttab_dump_table, status));
    statuses[n++] = status_of(map, offsetof(struct gnttab_map_grant_ref, status));
    statuses[n++] = status_of(far, offsetof(struct gnttab_map_grant_ref, status));
    statuses[n++] = status_of(unmap, offsetof(struct gnttab_unmap_grant_ref, status));
    statuses[n++] = status_of(transfer, offsetof(struct gnttab_transfer, status));
    for (int i = 0; i < 2; i++) { /* Domain 0's frame as the source, and as the destination */
        uint64_t copy = put_bytes(&c, sizeof(c));

        CALL("copy", 0, grant_table_op, GNTTABOP_copy, copy, 1);
        statuses[n++] = status_of(copy, offsetof(struct gnttab_copy, status));
        c.dest.u.gmfn = p2m[victim];
        c.dest.domid = 0;
        c.source.u.gmfn = pages[BUFFER];
        c.source.domid = DOMID_SELF;
    }
    return n;
}

/* What it may do, and is in the middle of when it is destroyed: pages, ports, grants in use. */
static void busy_calls(unsigned int port)
{
    uint64_t inter = PUT(struct evtchn_bind_interdomain arg = { .remote_port = port });
    uint64_t fifo = PUT(struct evtchn_init_control arg = { .control_gfn = pages[BUFFER] });
    uint64_t words = PUT(struct evtchn_expand_array arg = { .array_gfn = pages[BUFFER] });
    uint64_t reset = PUT(struct evtchn_reset arg = { .dom = DOMID_SELF });
    uint64_t info = PUT(
        struct vcpu_register_vcpu_info arg = { .mfn = pages[BUFFER], .offset = 2048 });
    uint64_t period = PUT(struct vcpu_set_periodic_timer arg = { .period_ns = 1000000 });
    uint64_t virq = PUT(struct evtchn_bind_virq arg = { .virq = VIRQ_TIMER });
    uint64_t map = PUT(
        struct gnttab_map_grant_ref arg = {
            .host_addr = AT(SPARE), .flags = GNTMAP_host_map, .ref = 8, .dom = DOMID_SELF });
    uint64_t list = put_bytes(&(xen_pfn_t){ 99 }, 8);
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

    r.extent_start.p = (void *)list;
    list = put_bytes(&r, sizeof(r));
    CALL("FIFO", ANYTHING, event_channel_op, EVTCHNOP_init_control, fifo);
    CALL("words", ANYTHING, event_channel_op, EVTCHNOP_expand_array, words);
    CALL("bind", ANYTHING, event_channel_op, EVTCHNOP_bind_interdomain, inter);
    CALL("virq", ANYTHING, event_channel_op, EVTCHNOP_bind_virq, virq);
    CALL("timer", ANYTHING, vcpu_op, VCPUOP_set_periodic_timer, 0, period);
    CALL("info", ANYTHING, vcpu_op, VCPUOP_register_vcpu_info, 1, info);
    CALL("map a grant", ANYTHING, grant_table_op, GNTTABOP_map_grant_ref, map, 1);
    mmuext("pin", ANYTHING, MMUEXT_PIN_L4_TABLE, pages[SPARE], 0, DOMID_SELF);
    mmuext("user base", ANYTHING, MMUEXT_NEW_USER_BASEPTR, pages[SPARE], 0, DOMID_SELF);
    CALL("one more page", ANYTHING, memory_op, XENMEM_populate_physmap, list);
    CALL("send", ANYTHING, event_channel_op, EVTCHNOP_send, put_bytes(&(uint32_t){ 1 }, 4));
    mmuext("no user base", ANYTHING, MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF);
    mmuext("unpin", ANYTHING, MMUEXT_UNPIN_TABLE, pages[SPARE], 0, DOMID_SELF);
    CALL("one page less", ANYTHING, memory_op, XENMEM_decrease_reservation, list);
    CALL("reset", ANYTHING, event_channel_op, EVTCHNOP_reset, reset);
}

/* An entry of its grant table lets it map a page of its own. */
static void offer_grant(void)
{
    xen_pfn_t frame = 0;
    struct xen_mem_acquire_resource a = { .domid = dom,
                                          .type = XENMEM_resource_grant_table,
                                          .nr_frames = 1 };
    struct mmu_update u = { .ptr = va_pte_maddr(TABLE_VA, 1) };
    grant_entry_v1_t *table = (grant_entry_v1_t *)TABLE_VA;

    a.frame_list.p = &frame;
    CHECK_EQ(hc_memory_op(XENMEM_acquire_resource, &a), 0, "acquire_resource");
    u.val = mk_pte(frame, KERN_RW);
    CHECK_EQ(hc_mmu_update(&u, 1, NULL, dom), 0, "map the table");
    table[8].domid = dom;
    table[8].frame = (uint32_t)pages[BUFFER];
    table[8].flags = GTF_permit_access;
    CHECK_EQ(mmu_set(va_pte_maddr(TABLE_VA, 1), 0), 0, "unmap the table");
    mmuext1(MMUEXT_INVLPG_ALL, TABLE_VA, 0);
}

/* --- the domain --- */

static void map_window(unsigned int page)
{
    struct mmu_update u = { .ptr = va_pte_maddr(WINDOW + page * PAGE_SIZE, 1),
                            .val = mk_pte(pages[page], KERN_RW) };

    CHECK_EQ(hc_mmu_update(&u, 1, NULL, dom), 0, "map page %u", page);
}

static void unmap_window(unsigned int page)
{
    CHECK_EQ(mmu_set(va_pte_maddr(WINDOW + page * PAGE_SIZE, 1), 0), 0, "unmap page %u", page);
    mmuext1(MMUEXT_INVLPG_ALL, WINDOW + page * PAGE_SIZE, 0);
}

static void fill_tables(void)
{
    pte_t *t = (pte_t *)WINDOW;

    t[0] = mk_pte(pages[L3], PT_FLAGS);
    t[512] = mk_pte(pages[L2], PT_FLAGS);
    t[2 * 512 + 1] = mk_pte(pages[L1], PT_FLAGS);
    for (unsigned int i = CODE; i < NR_PAGES; i++)
        if (i != SPARE)
            t[3 * 512 + i] = mk_pte(pages[i], i == CODE ? KERN_RO : KERN_RW);
    memcpy((uint8_t *)WINDOW + CODE * PAGE_SIZE, domu_code, (size_t)(domu_code_end - domu_code));
}

static void create(void)
{
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE };

    domain_make(2, 4, 4 * (NR_PAGES + 2), pages, NR_PAGES);
    for (unsigned int i = 0; i < NR_PAGES; i++)
        map_window(i);
    fill_tables();
    for (unsigned int i = L4; i <= CODE; i++)
        unmap_window(i);
    pin.arg1.mfn = pages[L4];
    CHECK_EQ(hc_mmuext_op(&pin, 1, NULL, dom), 0, "pin");
    nr_calls = 0;
    args_used = 0;
}

static void start(unsigned int vcpus, unsigned int how)
{
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = AT(CODE);
    context.user_regs.rsp = context.kernel_sp = AT(BUFFER) + PAGE_SIZE;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = context.kernel_ss = FLAT_KERNEL_SS;
    context.user_regs.rdi = AT(LIST);
    context.user_regs.rsi = nr_calls;
    context.user_regs.rdx = how;
    context.ctrlreg[3] = pages[L4] << 12;
    for (unsigned int i = 0; i < vcpus; i++) {
        domctl.u.vcpucontext.vcpu = i;
        domctl.u.vcpucontext.ctxt.p = &context;
        CHECK_EQ(do_domctl(XEN_DOMCTL_setvcpucontext), 0, "setvcpucontext");
    }
    CHECK_EQ(do_domctl(XEN_DOMCTL_unpausedomain), 0, "unpausedomain");
}

static void destroy(void)
{
    for (unsigned int i = LIST; i < NR_PAGES; i++)
        unmap_window(i);
    CHECK_EQ(do_domctl(XEN_DOMCTL_destroydomain), 0, "destroydomain");
    domain_await_gone();
}

/* Its shutdown code, -1: it does not end. */
static int wait_end(void)
{
    uint64_t end = system_time() + 60000000000ull;

    while (system_time() < end) {
        uint32_t flags;

        CHECK_EQ(do_domctl(XEN_DOMCTL_getdomaininfo), 0, "getdomaininfo");
        flags = domctl.u.getdomaininfo.flags;
        if (flags & XEN_DOMINF_shutdown)
            return flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
        hc_sched_op(SCHEDOP_yield, NULL);
    }
    return -1;
}

static unsigned int write_list(unsigned int port, int16_t *statuses[])
{
    machine_calls();
    memory_calls();
    table_calls();
    event_calls(port);
    return grant_calls(statuses);
}

static void check_results(void)
{
    for (unsigned int i = 0; i < nr_calls; i++) {
        const struct call *c = &list()[i];

        if (c->want == AN_ERROR)
            CHECK(c->result < 0 && c->result > -1000, "%s: %ld", names[i], c->result);
        else if (c->want != ANYTHING)
            CHECK_EQ(c->result, c->want, "call %u, %s", i, names[i]);
    }
}

static void check_victim(void)
{
    const volatile uint64_t *p = pfn_virt(victim);

    for (unsigned int i = 0; i < 512; i++)
        if (!CHECK_EQ(p[i], CANARY, "word %u of Domain 0's page", i))
            return;
}

void guest_main(void)
{
    struct evtchn_alloc_unbound unbound = { .dom = DOMID_SELF, .remote_dom = 0x7000 };
    int16_t *statuses[16];
    struct account before;
    unsigned int n;

    map_page(WINDOW, 0);
    victim = alloc_pfn();
    for (unsigned int i = 0; i < 512; i++)
        ((uint64_t *)pfn_virt(victim))[i] = CANARY;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &unbound), 0, "alloc_unbound");
    create();
    n = write_list(unbound.port, statuses);
    start(1, ONCE);
    CHECK_EQ(wait_end(), SHUTDOWN_crash, "how it ended");
    check_results();
    for (unsigned int i = 0; i < n; i++)
        CHECK(*statuses[i] < 0, "grant operation %u: status %d", i, *statuses[i]);
    destroy();
    check_victim();
    account_take(&before);
    for (unsigned int round = 0; round < 20; round++) {
        create();
        unbound.remote_dom = dom;
        CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &unbound), 0, "alloc_unbound");
        offer_grant();
        busy_calls(unbound.port);
        if (round % 2)
            write_list(unbound.port, statuses);
        start(2, FOR_EVER);
        delay_ns(round * 1300000ull);
        CHECK_EQ(do_domctl(XEN_DOMCTL_getdomaininfo), 0, "getdomaininfo");
        CHECK(!(domctl.u.getdomaininfo.flags & XEN_DOMINF_shutdown), "it runs");
        destroy();
        event_close(unbound.port);
        check_victim();
    }
    account_check(&before, "20 domains");
}
