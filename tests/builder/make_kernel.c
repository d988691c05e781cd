/* SPDX-License-Identifier: MIT */
#include "make_kernel.h"

#include <elf.h>
#include <fcntl.h>
#include <lz4hc.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <xen/elfnote.h>

#include "lib/macros.h"

#define LZ4_BLOCK (8u << 20)

uint8_t test_byte(const struct test_segment *s, uint64_t i)
{
    return i >= s->filesz || (i >= s->hole && i < s->hole_end)
               ? 0
               : (uint8_t)(1 + (i * 7 + (i >> 12) * 13 + s->paddr / 4096) % 255);
}

static void add_note(uint8_t *p, size_t *at, uint32_t type, const void *desc, uint32_t len)
{
    Elf64_Nhdr h = { .n_namesz = 4, .n_descsz = len, .n_type = type };

    memcpy(p + *at, &h, sizeof(h));
    memcpy(p + *at + sizeof(h), "Xen", 4);
    memcpy(p + *at + sizeof(h) + 4, desc, len);
    *at += ALIGN_UP(sizeof(h) + 4 + len, 4);
}

static void add_number(uint8_t *p, size_t *at, uint32_t type, uint64_t v)
{
    add_note(p, at, type, &v, sizeof(v));
}

static void add_text(uint8_t *p, size_t *at, uint32_t type, const char *text)
{
    if (text)
        add_note(p, at, type, text, (uint32_t)strlen(text) + 1);
}

static size_t add_notes(const struct test_kernel *k, uint8_t *p)
{
    size_t at = 0;

    if (k->no_notes)
        return 0;
    add_text(p, &at, XEN_ELFNOTE_GUEST_OS, k->guest_os);
    add_text(p, &at, XEN_ELFNOTE_GUEST_VERSION, "1.2");
    add_text(p, &at, XEN_ELFNOTE_FEATURES, k->features);
    add_number(p, &at, XEN_ELFNOTE_VIRT_BASE, k->virt_base);
    add_number(p, &at, XEN_ELFNOTE_PADDR_OFFSET, k->paddr_offset);
    add_number(p, &at, XEN_ELFNOTE_ENTRY, k->entry);
    if (k->init_p2m)
        add_number(p, &at, XEN_ELFNOTE_INIT_P2M, k->init_p2m);
    if (k->hypercall_page)
        add_number(p, &at, XEN_ELFNOTE_HYPERCALL_PAGE, k->hypercall_page);
    if (k->phys32_entry)
        add_number(p, &at, XEN_ELFNOTE_PHYS32_ENTRY, k->phys32_entry);
    add_number(p, &at, XEN_ELFNOTE_MOD_START_PFN, k->mod_start_pfn);
    add_text(p, &at, XEN_ELFNOTE_BSD_SYMTAB, k->symbols ? "yes" : NULL);
    return at;
}

/* Sections at `at`: none, their names, symbols, strings, __xen_guest. The length of all. */
static size_t add_sections(const struct test_kernel *k, uint8_t *p, size_t at)
{
    static const char names[] = "\0__xen_guest";
    const char *legacy = k->legacy ? k->legacy : "";
    Elf64_Shdr sh[5] = { { 0 } };
    size_t start = at;

    at += sizeof(sh);
    sh[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = sizeof(names) };
    at += sizeof(names);
    sh[2] = (Elf64_Shdr){ .sh_type = k->symbols ? SHT_SYMTAB : SHT_NULL,
                          .sh_offset = at,
                          .sh_size = TEST_SYMBOLS,
                          .sh_link = 3 };
    at += TEST_SYMBOLS;
    sh[3] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = TEST_STRINGS };
    at += TEST_STRINGS;
    sh[4] = (Elf64_Shdr){ .sh_name = k->legacy ? 1 : 0,
                          .sh_type = SHT_PROGBITS,
                          .sh_offset = at,
                          .sh_size = strlen(legacy) + 1 };
    at += strlen(legacy) + 1;
    if (!p)
        return at - start;
    memcpy(p + start, sh, sizeof(sh));
    memcpy(p + sh[1].sh_offset, names, sizeof(names));
    memset(p + sh[2].sh_offset, 0x5a, TEST_SYMBOLS);
    memset(p + sh[3].sh_offset, 0x43, TEST_STRINGS);
    strcpy((char *)p + sh[4].sh_offset, legacy);
    return at - start;
}

uint8_t *make_elf(const struct test_kernel *k, size_t *len)
{
    size_t at = 8192;
    uint8_t *p;
    Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', k->elf32 ? 1 : 2, 1, 1 },
                     .e_type = ET_EXEC,
                     .e_machine = EM_X86_64,
                     .e_version = 1,
                     .e_entry = 1,
                     .e_phoff = sizeof(h),
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = k->nr_segs + 1 };
    Elf64_Phdr ph = { .p_type = PT_NOTE, .p_offset = 4096, .p_align = 4 };

    for (unsigned int i = 0; i < k->nr_segs; i++)
        at = ALIGN_UP(at, 4096) + k->seg[i].paddr % 4096 + k->seg[i].filesz;
    h.e_shoff = at;
    h.e_shentsize = sizeof(Elf64_Shdr);
    h.e_shnum = 5;
    h.e_shstrndx = 1;
    *len = at + add_sections(k, NULL, at);
    p = calloc(1, *len);
    add_sections(k, p, at);
    memcpy(p, &h, sizeof(h));
    ph.p_filesz = ph.p_memsz = add_notes(k, p + 4096);
    memcpy(p + sizeof(h), &ph, sizeof(ph));
    at = 8192;
    for (unsigned int i = 0; i < k->nr_segs; i++) {
        const struct test_segment *s = &k->seg[i];

        at = ALIGN_UP(at, 4096) + s->paddr % 4096;
        ph = (Elf64_Phdr){ .p_type = PT_LOAD,
                           .p_offset = at,
                           .p_paddr = s->paddr,
                           .p_filesz = s->filesz,
                           .p_memsz = s->memsz,
                           .p_align = 4096 };
        memcpy(p + sizeof(h) + (i + 1) * sizeof(ph), &ph, sizeof(ph));
        for (uint64_t j = 0; j < s->filesz; j++)
            p[at + j] = test_byte(s, j);
        at += s->filesz;
    }
    return p;
}

static size_t pack_lz4(const uint8_t *in, size_t len, uint8_t *out)
{
    uint32_t magic = 0x184c2102u;
    size_t at = 4;

    memcpy(out, &magic, 4);
    for (size_t done = 0; done < len; done += MIN(len - done, LZ4_BLOCK)) {
        int n = (int)MIN(len - done, LZ4_BLOCK);
        uint32_t got = (uint32_t)LZ4_compress_default((const char *)in + done, (char *)out + at + 4,
                                                      n, LZ4_COMPRESSBOUND(LZ4_BLOCK));
        memcpy(out + at, &got, 4);
        at += 4 + got;
    }
    return at;
}

static size_t pack_gzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    z_stream z = { .next_in = (uint8_t *)in, .avail_in = (uInt)len, .next_out = out };

    z.avail_out = (uInt)room;
    deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return z.total_out;
}

uint8_t *make_gzip(const uint8_t *elf, size_t elf_len, size_t *len)
{
    uint8_t *p = malloc(elf_len + 4096);

    *len = pack_gzip(elf, elf_len, p, elf_len + 4096);
    return p;
}

static size_t pack(enum bz_format format, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    uint32_t size = (uint32_t)len;
    size_t n = 0;

    switch (format) {
    case BZ_XZ:
        lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, len, out, &n, room);
        break;
    case BZ_ZSTD:
        n = ZSTD_compress(out, room, in, len, 1);
        break;
    case BZ_LZ4:
        n = pack_lz4(in, len, out);
        break;
    case BZ_GZIP:
        return pack_gzip(in, len, out, room); /* ends in the size anyway */
    default:
        memcpy(out, in, len);
        return len;
    }
    memcpy(out + n, &size, 4);
    return n + 4;
}

uint8_t *make_bzimage(const uint8_t *elf, size_t elf_len, enum bz_format format, size_t *len)
{
    size_t room = elf_len * 2 + (32u << 20), code = 1024;
    uint8_t *p = calloc(1, room + code);
    uint32_t n = (uint32_t)pack(format, elf, elf_len, p + code, room);

    p[0x1f1] = 1;
    memcpy(p + 0x1fe, "\x55\xaa", 2);
    memcpy(p + 0x202, "HdrS\x0f\x02", 6);
    p[0x211] = 1;
    memcpy(p + 0x24c, &n, 4);
    *len = code + n;
    return p;
}

void write_file(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len) {
        perror(path);
        exit(1);
    }
    close(fd);
}
