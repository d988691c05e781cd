/* SPDX-License-Identifier: MIT */
/*
 * QEMU plugin: counts executed instructions by who executed them (hypervisor, Linux, program), and
 * the hypervisor's costly ones by kind, between marker instructions in the benchmark program.
 *
 * What a row begins and ends with is told to QEMU's log, too (-d plugin), in which exits of guests
 * are (figures.py).
 *
 * Arguments: out=FILE (required), entry=ADDRESS (the hypervisor's first instruction),
 * unpack=FROM-TO (the code that decompresses Dom0's kernel; may be repeated), linux=on (profile
 * Linux's addresses as well).
 *
 * A marker is `nopl MAGIC(%rax,%rax,1)`; its displacement's upper half is MARK, then comes an
 * event, then a row. One virtual CPU is assumed (icount needs that anyway), so nothing here is
 * atomic.
 *
 * Debian's QEMU 7.2 has the plugin interface but no header for it, hence the declarations below.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The plugin interface, version 1, as far as it is used here. --- */

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned int vcpu, void *data);
typedef void (*end_cb)(qemu_plugin_id_t id, void *data);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
                                                 void *data);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb,
                                                   int flags, void *data);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
                                                       void *ptr, uint64_t imm);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, end_cb cb, void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_outs(const char *text);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define INLINE_ADD_U64 0
#define CB_NO_REGS 0

/* --- What is counted. --- */

enum counter {
    /* clang-format off */
    HV, LINUX, PROGRAM, UNPACK,            /* instructions by executor; UNPACK is part of HV or PROGRAM */
    CR3, CR4, CR0, INVLPG, WRMSR, LOCKED, IRET, SYSRET, /* the hypervisor's instructions */
    HYPERCALL,                             /* SYSCALL executed by Linux */
    ENTRY,                                 /* into the hypervisor other than by SYSCALL: faults, interrupts */
    VMRUN, VMLOAD, VMSAVE, STGI, CLGI, INVLPGA, RDMSR, XSAVE, XRSTOR, /* the hypervisor's instructions */
    /* clang-format on */
    COUNTERS
};

static const char *const counter_names[COUNTERS] = {
    "hv",     "linux",  "program", "unpack",  "cr3",       "cr4",   "cr0",    "invlpg",
    "wrmsr",  "locked", "iret",    "sysret",  "hypercall", "fault", "vmrun",  "vmload",
    "vmsave", "stgi",   "clgi",    "invlpga", "rdmsr",     "xsave", "xrstor",
};

#define HV_START 0xffff800000000000ULL
#define HV_END 0xffff880000000000ULL
#define MARK 0x4f52
enum { EVENT_BEGIN = 1, EVENT_END = 2, EVENT_INIT = 3 };

static uint64_t counts[COUNTERS];

/* --- Profile: a counter per instruction address, in a hash table with open addressing. --- */

#define SLOTS (1U << 21)
static uint64_t slot_addr[SLOTS], slot_count[SLOTS], slot_begin[SLOTS];
#define ROWS 64
#define ROW_BOOT (ROWS - 1)
#define ROW_BEFORE (ROWS - 2)
static uint64_t *row_profile[ROWS];

static FILE *out;
static uint64_t entry_addr;
static bool profile_linux;
static struct {
    uint64_t from, to;
} unpack[8];
static unsigned int unpack_ranges;

/* Where the last block ran, to see entries into the hypervisor. */
struct block {
    bool hv;
    bool ends_in_syscall; /* or in another instruction that enters by itself */
};
static const struct block kinds[4] = {
    { false, false },
    { false, true },
    { true, false },
    { true, true },
};
static const struct block *last = &kinds[2];

static uint64_t begin_counts[COUNTERS];
static bool dom0_started, hypervisor_started, init_seen;

static unsigned int slot_of(uint64_t addr)
{
    unsigned int i = (addr * 0x9e3779b97f4a7c15ULL) >> 43;

    while (slot_addr[i] && slot_addr[i] != addr)
        i = (i + 1) & (SLOTS - 1);
    slot_addr[i] = addr;
    return i;
}

static void begin(void)
{
    memcpy(begin_counts, counts, sizeof(counts));
    memcpy(slot_begin, slot_count, sizeof(slot_count));
    qemu_plugin_outs("count: begin\n");
}

static void end(const char *event, unsigned int row)
{
    char text[32];

    snprintf(text, sizeof(text), "count: end %u\n", row);
    qemu_plugin_outs(text);
    if (!row_profile[row])
        row_profile[row] = calloc(SLOTS, sizeof(uint64_t));
    for (unsigned int i = 0; i < SLOTS; i++)
        row_profile[row][i] += slot_count[i] - slot_begin[i];
    fprintf(out, "%s %u", event, row);
    for (int i = 0; i < COUNTERS; i++)
        fprintf(out, " %s=%" PRIu64, counter_names[i], counts[i] - begin_counts[i]);
    fprintf(out, "\n");
    fflush(out);
}

static void on_marker(unsigned int vcpu, void *data)
{
    unsigned int event = ((uintptr_t)data >> 8) & 0xff, row = (uintptr_t)data & 0xff;

    (void)vcpu;
    if (event == EVENT_BEGIN && row < ROWS) {
        begin();
    } else if (event == EVENT_END && row < ROWS) {
        end("row", row);
    } else if (event == EVENT_INIT && !init_seen) {
        init_seen = true;
        end("boot", ROW_BOOT);
    }
}

/* The hypervisor's first instruction: what the firmware did is not counted. */
static void on_hypervisor_entry(unsigned int vcpu, void *data)
{
    (void)vcpu, (void)data;
    if (hypervisor_started)
        return;
    hypervisor_started = true;
    begin();
}

/* Called at each block of Linux until Domain 0 runs. */
static void on_linux(unsigned int vcpu, void *data)
{
    (void)vcpu, (void)data;
    if (dom0_started)
        return;
    dom0_started = true;
    end("before", ROW_BEFORE);
    begin();
}

static void on_block(unsigned int vcpu, void *data)
{
    const struct block *now = data;

    (void)vcpu;
    if (now->hv && !last->hv && !last->ends_in_syscall)
        counts[ENTRY]++;
    last = now;
}

static void count(struct qemu_plugin_insn *insn, enum counter what)
{
    qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &counts[what], 1);
}

/* Skips prefixes; says whether LOCK was among them. */
static const uint8_t *skip_prefixes(const uint8_t *p, const uint8_t *stop, bool *lock)
{
    *lock = false;
    for (; p < stop; p++) {
        if (*p == 0xf0)
            *lock = true;
        else if (!(*p == 0x66 || *p == 0x67 || *p == 0xf2 || *p == 0xf3 || (*p & 0xf0) == 0x40 ||
                   (*p & 0xe7) == 0x26 || *p == 0x64 || *p == 0x65))
            break;
    }
    return p;
}

/* 0f ae /form, and 0f c7 with its form behind 8. */
static void count_state(struct qemu_plugin_insn *insn, unsigned int form)
{
    switch (form) {
    case 0: /* FXSAVE, XSAVE, XSAVEOPT, XSAVEC, XSAVES */
    case 4:
    case 6:
    case 12:
    case 13:
        count(insn, XSAVE);
        break;
    case 1: /* FXRSTOR, XRSTOR, XRSTORS */
    case 5:
    case 11:
        count(insn, XRSTOR);
        break;
    }
}

static void count_two_byte(struct qemu_plugin_insn *insn, uint8_t op, uint8_t modrm)
{
    /* 0f 01 d8 and the next ones; VMMCALL and SKINIT are no hypervisor's. */
    static const enum counter svm[] = { VMRUN, COUNTERS, VMLOAD,   VMSAVE,
                                        STGI,  CLGI,     COUNTERS, INVLPGA };
    unsigned int reg = (modrm >> 3) & 7;

    if (op == 0x22 && reg == 3)
        count(insn, CR3);
    else if (op == 0x22 && reg == 4)
        count(insn, CR4);
    else if ((op == 0x22 && reg == 0) || op == 0x06)
        count(insn, CR0);
    else if (op == 0x01 && reg == 7 && modrm < 0xc0)
        count(insn, INVLPG);
    else if (op == 0x01 && modrm >= 0xd8 && modrm <= 0xdf && svm[modrm - 0xd8] != COUNTERS)
        count(insn, svm[modrm - 0xd8]);
    else if (modrm < 0xc0 && (op == 0xae || op == 0xc7))
        count_state(insn, op == 0xae ? reg : reg + 8);
    else if (op == 0x32)
        count(insn, RDMSR);
    else if (op == 0x30)
        count(insn, WRMSR);
    else if (op == 0x07)
        count(insn, SYSRET);
}

/* The hypervisor's costly instructions. */
static void count_costs(struct qemu_plugin_insn *insn)
{
    const uint8_t *data = qemu_plugin_insn_data(insn), *stop = data + qemu_plugin_insn_size(insn);
    bool lock;
    const uint8_t *p = skip_prefixes(data, stop, &lock);

    if (p >= stop)
        return;
    if (lock || ((*p == 0x86 || *p == 0x87) && p + 1 < stop && p[1] < 0xc0))
        count(insn, LOCKED);
    if (*p == 0xcf)
        count(insn, IRET);
    else if (*p == 0x0f && p + 1 < stop)
        count_two_byte(insn, p[1], p + 2 < stop ? p[2] : 0xff);
}

static bool is_syscall(struct qemu_plugin_insn *insn)
{
    const uint8_t *p = qemu_plugin_insn_data(insn);
    size_t n = qemu_plugin_insn_size(insn);

    return (n == 2 && p[0] == 0x0f && (p[1] == 0x05 || p[1] == 0x34)) || (n == 2 && p[0] == 0xcd);
}

static uint32_t marker_of(struct qemu_plugin_insn *insn)
{
    const uint8_t *p = qemu_plugin_insn_data(insn);
    uint32_t displacement;

    if (qemu_plugin_insn_size(insn) != 8 || p[0] != 0x0f || p[1] != 0x1f || p[2] != 0x84 ||
        p[3] != 0x00)
        return 0;
    memcpy(&displacement, p + 4, 4);
    return displacement >> 16 == MARK ? displacement : 0;
}

static void count_insn(struct qemu_plugin_insn *insn, uint64_t addr)
{
    bool hv = addr >= HV_START && addr < HV_END, kernel = addr >= HV_END;

    count(insn, hv ? HV : kernel ? LINUX : PROGRAM);
    if (hv || (kernel && profile_linux) || (!kernel && !dom0_started && hypervisor_started))
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &slot_count[slot_of(addr)],
                                                   1);
    if (hv)
        count_costs(insn);
    if (kernel && is_syscall(insn))
        count(insn, HYPERCALL);
    for (unsigned int r = 0; !kernel && !dom0_started && r < unpack_ranges; r++)
        if (addr >= unpack[r].from && addr < unpack[r].to)
            count(insn, UNPACK);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    bool hv = false, enters = false;

    (void)id;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t addr = qemu_plugin_insn_vaddr(insn);
        uint32_t marker;

        hv = addr >= HV_START && addr < HV_END;
        enters = is_syscall(insn);
        /* Callbacks come before the counting of the instruction itself. */
        if (addr == entry_addr && !hypervisor_started)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_hypervisor_entry, CB_NO_REGS, NULL);
        if (addr >= HV_END && !dom0_started)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_linux, CB_NO_REGS, NULL);
        marker = addr < HV_START ? marker_of(insn) : 0;
        if (marker)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, CB_NO_REGS,
                                                   (void *)(uintptr_t)(marker & 0xffff));
        count_insn(insn, addr);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS,
                                         (void *)&kinds[(hv ? 2 : 0) + (enters ? 1 : 0)]);
}

static void on_end(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    for (unsigned int row = 0; row < ROWS; row++)
        for (unsigned int i = 0; row_profile[row] && i < SLOTS; i++)
            if (row_profile[row][i])
                fprintf(out, "profile %u %" PRIx64 " %" PRIu64 "\n", row, slot_addr[i],
                        row_profile[row][i]);
    fclose(out);
}

static int take_argument(const char *arg)
{
    char *rest;

    if (!strncmp(arg, "out=", 4)) {
        out = fopen(arg + 4, "w");
        return out ? 0 : -1;
    }
    if (!strncmp(arg, "entry=", 6)) {
        entry_addr = strtoull(arg + 6, NULL, 0);
        return 0;
    }
    if (!strncmp(arg, "unpack=", 7) && unpack_ranges < sizeof(unpack) / sizeof(unpack[0])) {
        unpack[unpack_ranges].from = strtoull(arg + 7, &rest, 0);
        unpack[unpack_ranges++].to = strtoull(rest + 1, NULL, 0);
        return *rest == '-' ? 0 : -1;
    }
    if (!strcmp(arg, "linux=on") || !strcmp(arg, "linux=true")) {
        profile_linux = true;
        return 0;
    }
    return -1;
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (take_argument(argv[i])) {
            fprintf(stderr, "count plugin: bad argument %s\n", argv[i]);
            return -1;
        }
    if (!out) {
        fprintf(stderr, "count plugin: out= is missing\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
