/* SPDX-License-Identifier: MIT */
/* ELF, Xen notes, and the layout that follows from them: what Dom0's kernel file decides. */
#include <stdlib.h>

#include "lib/pvlayout.h"
#include "lib/xennote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const uint8_t *p, uint64_t len)
{
    volatile uint8_t sink;

    if (len) {
        sink = p[0];
        sink = p[len - 1];
        (void)sink;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_layout_input in = { .nr_pages = 0x40000,
                                  .initrd_bytes = 123456,
                                  .dom0 = true,
                                  .hv_start = 0xffff800000000000,
                                  .hv_end = 0xffff880000000000 };
    struct elf_segment seg;
    struct xen_notes notes;
    struct elf_image e;
    struct pv_layout l;
    unsigned index = 0;

    if (elf_open(&e, data, size))
        return 0;
    size_t symbols = elf_bsd_symtab(&e, NULL);
    if (symbols && symbols <= size + 1024) {
        uint8_t *out = malloc(symbols);
        if (elf_bsd_symtab(&e, out) != symbols)
            abort();
        touch(out, symbols);
        free(out);
    }
    while (elf_next_segment(&e, &index, ELF_PT_LOAD, &seg)) {
        touch(seg.data, seg.filesz);
        if (seg.filesz > seg.memsz)
            abort();
    }
    if (xennote_parse(&e, &notes))
        return 0;
    xennote_check_pv(&notes, &e, in.hv_start, 1, true);
    elf_extent(&e, &in.kernel_low, &in.kernel_high);
    in.notes = &notes;
    if (!pv_layout_plan(&in, &l) && l.used_pages > in.nr_pages)
        abort();
    return 0;
}
