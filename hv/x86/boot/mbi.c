/* SPDX-License-Identifier: MIT */
/* Multiboot 1 and 2 information, read into struct boot_info. */
#include "lib/macros.h"
#include "lib/string.h"
#include "lib/strutil.h"
#include "x86/boot/boot.h"
#include "x86/layout.h"

#define MB1_MAGIC 0x2BADB002
#define MB2_MAGIC 0x36D76289

struct boot_info boot_info;

static const void *low(uint64_t pa)
{
    return (const void *)(DIRECT_BASE + pa);
}

/* The command line without its first word, which names the file (or GRUB's placeholder). */
static const char *after_first_word(const char *s)
{
    while (*s == ' ')
        s++;
    while (*s && *s != ' ')
        s++;
    while (*s == ' ')
        s++;
    return s;
}

static void add_memory(uint64_t base, uint64_t len, uint32_t type)
{
    struct boot_info *b = &boot_info;
    unsigned int i;

    if (!len || b->nr_mem == MAX_MEMMAP || base + len < base)
        return;
    for (i = b->nr_mem; i > 0 && b->mem[i - 1].base > base; i--)
        b->mem[i] = b->mem[i - 1];
    b->mem[i] = (struct boot_memory){ base, len, type };
    b->nr_mem++;
}

static void add_module(uint64_t start, uint64_t end, const char *cmdline)
{
    if (boot_info.nr_modules < MAX_MODULES && end >= start)
        boot_info.module[boot_info.nr_modules++] = (struct boot_module){ start, end, cmdline };
}

struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives[2], config_table, loader_name;
};
struct mb1_module {
    uint32_t start, end, cmdline, reserved;
};
struct mb1_mmap {
    uint32_t size;
    uint64_t base, len;
    uint32_t type;
} __attribute__((packed));

static const char *parse_mb1(uint32_t info)
{
    const struct mb1_info *m = low(info);

    boot_info.info_len = 0x4000; /* does not say; strings and lists lie around it */
    if (m->flags & BIT(2))
        str_copy(boot_info.cmdline, after_first_word(low(m->cmdline)), sizeof(boot_info.cmdline));
    if (m->flags & BIT(9))
        boot_info.loader = low(m->loader_name);
    boot_info.text_screen = true;
    if (m->flags & BIT(3)) {
        const struct mb1_module *mod = low(m->mods_addr);
        for (uint32_t i = 0; i < m->mods_count && i < MAX_MODULES; i++)
            add_module(mod[i].start, mod[i].end, mod[i].cmdline ? low(mod[i].cmdline) : "");
    }
    if (!(m->flags & BIT(6)))
        return "the boot loader gave no memory map";
    for (uint32_t off = 0; off + sizeof(struct mb1_mmap) <= m->mmap_length;) {
        const struct mb1_mmap *e = low(m->mmap_addr + off);
        add_memory(e->base, e->len, e->type);
        off += e->size + 4;
    }
    return NULL;
}

struct mb2_tag {
    uint32_t type, size;
};

static void parse_mb2_mmap(const struct mb2_tag *t)
{
    const uint32_t *head = (const uint32_t *)(t + 1);
    uint32_t entry = head[0];

    if (entry < 24)
        return;
    for (uint32_t off = 16; off + entry <= t->size; off += entry) {
        const uint8_t *e = (const uint8_t *)t + off;
        uint64_t base, len;
        uint32_t type;
        memcpy(&base, e, 8);
        memcpy(&len, e + 8, 8);
        memcpy(&type, e + 16, 4);
        add_memory(base, len, type);
    }
}

/* Framebuffer: 1 is a picture by colour masks, 2 is EGA text. */
static void parse_mb2_screen(const struct mb2_tag *t)
{
    const uint8_t *b = (const uint8_t *)(t + 1);
    struct boot_screen *s = &boot_info.screen;

    if (t->size < sizeof(*t) + 24)
        return;
    boot_info.text_screen = b[21] == 2;
    if (b[21] != 1 || t->size < sizeof(*t) + 30)
        return;
    memcpy(&s->base, b, 8);
    memcpy(&s->pitch, b + 8, 4);
    memcpy(&s->width, b + 12, 4);
    memcpy(&s->height, b + 16, 4);
    s->bpp = b[20];
    memcpy(&s->red_pos, b + 24, 6);
}

static void parse_mb2_efi_map(const struct mb2_tag *t)
{
    const uint32_t *head = (const uint32_t *)(t + 1);

    if (t->size >= 16)
        boot_info.efi_map = (struct efi_map){ head + 2, t->size - 16, head[0] };
}

static const char *parse_mb2(uint32_t info)
{
    uint32_t total = *(const uint32_t *)low(info);

    boot_info.info_len = total;
    for (uint32_t off = 8; off + sizeof(struct mb2_tag) <= total;) {
        const struct mb2_tag *t = low(info + off);
        const uint32_t *w = (const uint32_t *)(t + 1);

        if (t->type == 0 || t->size < sizeof(*t))
            break;
        switch (t->type) {
        case 1:
            str_copy(boot_info.cmdline, after_first_word((const char *)w),
                     sizeof(boot_info.cmdline));
            break;
        case 2:
            boot_info.loader = (const char *)w;
            break;
        case 3:
            add_module(w[0], w[1], (const char *)(w + 2));
            break;
        case 6:
            parse_mb2_mmap(t);
            break;
        case 8:
            parse_mb2_screen(t);
            break;
        case 12: /* UEFI's system table, 64 bits */
            memcpy(&boot_info.efi_system_table, w, 8);
            break;
        case 14:
        case 15: /* a copy of the RSDP, inside the information */
            if (t->type == 15 || !boot_info.rsdp)
                boot_info.rsdp = info + off + sizeof(*t);
            break;
        case 17:
            parse_mb2_efi_map(t);
            break;
        }
        off += ALIGN_UP(t->size, 8);
    }
    return boot_info.nr_mem ? NULL : "the boot loader gave no memory map";
}

/* RAM entries that touch or overlap what is not RAM are cut to whole pages outside of it. */
static void trim_memory(void)
{
    struct boot_info *b = &boot_info;

    for (unsigned int i = 0; i < b->nr_mem; i++) {
        struct boot_memory *m = &b->mem[i];
        if (m->type != 1)
            continue;
        uint64_t start = ALIGN_UP(m->base, 4096), end = ALIGN_DOWN(m->base + m->len, 4096);
        for (unsigned int j = 0; j < b->nr_mem; j++) {
            const struct boot_memory *o = &b->mem[j];
            uint64_t o_end = ALIGN_UP(o->base + o->len, 4096), o_start = ALIGN_DOWN(o->base, 4096);
            if (j == i || (o->type == 1 && j > i) || o_end <= start || o_start >= end)
                continue;
            if (o_start <= start)
                start = o_end;
            else
                end = o_start;
        }
        m->base = start;
        m->len = end > start ? end - start : 0;
    }
}

const char *boot_parse(uint32_t magic, uint32_t info)
{
    const char *err;

    if (magic == MB1_MAGIC)
        err = parse_mb1(info);
    else if (magic == MB2_MAGIC)
        err = parse_mb2(info);
    else
        err = "not started by a multiboot loader";
    if (!err)
        trim_memory();
    return err;
}
