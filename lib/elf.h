/* SPDX-License-Identifier: MIT */
/*
 * Reads an ELF64 or ELF32 little-endian image in memory. The image is hostile: elf_open checks
 * every header against the image's size and against overflow, and what the iterators return has
 * been checked. Nothing is changed or allocated. Terms are those of the System V ABI's ELF
 * chapters.
 */
#ifndef LIB_ELF_H
#define LIB_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_PT_LOAD 1
#define ELF_PT_NOTE 4
#define ELF_SHT_SYMTAB 2
#define ELF_SHT_STRTAB 3
#define ELF_SHT_NOTE 7
#define ELF_EM_386 3
#define ELF_EM_X86_64 62
#define ELF_EM_AARCH64 183

#define ELF_PF_X 1
#define ELF_PF_W 2
#define ELF_PF_R 4

#define ELF_MAX_SEGMENTS 128 /* more are refused: kernels have about five */

enum elf_kind { ELF_NONE, ELF_32, ELF_64 };

struct elf_image {
    const uint8_t *data;
    size_t size;
    enum elf_kind kind;
    uint16_t machine;
    uint64_t entry;
    uint64_t phoff, shoff;
    uint16_t shstrndx;
    unsigned phnum, shnum; /* shnum is 0 if the section table is missing or damaged */
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t vaddr, paddr;
    uint64_t filesz, memsz; /* of a PT_LOAD: filesz <= memsz, paddr + memsz does not overflow */
    uint64_t align;
    const uint8_t *data; /* filesz bytes of the image */
};

struct elf_note {
    const char *name; /* without its padding; name_len counts a terminator if there is one */
    uint32_t name_len;
    uint32_t type;
    const uint8_t *desc;
    uint32_t desc_len;
};

/*
 * A walk over all notes: those of PT_NOTE segments, then those of SHT_NOTE sections. Starts as all
 * zero.
 */
struct elf_note_iter {
    unsigned segment, section;
    const uint8_t *pos;
    size_t left;
    size_t align;
};

/* What the first bytes say; no further check. */
enum elf_kind elf_identify(const void *data, size_t size);

/*
 * Checks the image and fills `*e`, which refers to `data` from then on. Returns NULL or what is
 * wrong. elf_open takes 64-bit images only, elf_open_any those of 32 bits as well; of these
 * segments and notes are found, not sections and symbols.
 */
const char *elf_open(struct elf_image *e, const void *data, size_t size);
const char *elf_open_any(struct elf_image *e, const void *data, size_t size);

/* The next segment of this type at index `*index` (0 at first) or later; false at the end. */
bool elf_next_segment(const struct elf_image *e, unsigned *index, uint32_t type,
                      struct elf_segment *seg);

/*
 * The lowest physical address of all non-empty PT_LOADs and the end of the highest; elf_open saw at
 * least one.
 */
void elf_extent(const struct elf_image *e, uint64_t *low, uint64_t *high);

/*
 * The next note; false at the end. A damaged note ends its segment or section, and the walk goes on
 * behind it.
 */
bool elf_next_note(const struct elf_image *e, struct elf_note_iter *it, struct elf_note *note);

/* The bytes of the first section of this name, in the image; false if there is none inside it. */
bool elf_find_section(const struct elf_image *e, const char *name, const uint8_t **data,
                      size_t *len);

/*
 * The image's symbols in the form in which BSD kernels find theirs behind themselves (note
 * BSD_SYMTAB): a 32-bit count of the bytes that follow; an ELF header with three section headers,
 * none, symbol table and its strings; these two. Returns the length, 0 if there are no symbols, or
 * too many; with `out` not NULL it is stored there.
 */
size_t elf_bsd_symtab(const struct elf_image *e, uint8_t *out);

/* True if the note's name is `name`, with or without the terminator that the standard asks for. */
bool elf_note_named(const struct elf_note *note, const char *name);

/* The description as an unsigned number of 1, 2, 4 or 8 bytes; false if it has another length. */
bool elf_note_number(const struct elf_note *note, uint64_t *out);

#endif
