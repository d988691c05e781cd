/* SPDX-License-Identifier: MIT */
/*
 * The PV model with libFuzzer's bytes in place of chance. The machine is built once; before each
 * input its memory and all variables of the hypervisor and the model (which the linker gathered in
 * two sections, see tests/model/pv.mk) are as they were then.
 */
#include <stdlib.h>

#include "core/audit.h"
#include "model/pv_ops.h"

#define STEPS 300
#define AT_LEAST 24 /* also of a short input: chance goes on where it ends */

extern uint8_t __start_pvdata[], __stop_pvdata[], __start_pvbss[], __stop_pvbss[];

static struct {
    uint8_t *at, *copy;
    size_t n;
} kept[4];

/* Over the sanitizer's red zones as well. */
static void copy_bytes(uint8_t *to, const uint8_t *from, size_t n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void keep(unsigned int i, uint8_t *at, size_t n)
{
    kept[i].at = at;
    kept[i].n = n;
    kept[i].copy = malloc(n);
    copy_bytes(kept[i].copy, at, n);
}

static void boot(void)
{
    pv_machine_boot(false);
    pv_model_setup();
    keep(0, __start_pvdata, (size_t)(__stop_pvdata - __start_pvdata));
    keep(1, __start_pvbss, (size_t)(__stop_pvbss - __start_pvbss));
    keep(2, host_ram, PV_RAM * PAGE_SIZE);
    keep(3, (uint8_t *)frame_table, PV_RAM * sizeof(struct frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kept[0].at)
        boot();
    for (unsigned int i = 0; i < 4; i++)
        copy_bytes(kept[i].at, kept[i].copy, kept[i].n);
    pv_model_forget();
    host_be(0);
    pv_model_choices(data, size);
    for (uint64_t i = 1; i <= AT_LEAST || (i <= STEPS && pv_model_choices_left() >= 2); i++) {
        pv_model_step(i * 0x9e3779b97f4a7c15ull);
        if (i % 16 == 0 && audit())
            pv_fail("audit after step %lu: %s", i, pv_last);
    }
    if (audit())
        pv_fail("audit after the last step: %s", pv_last);
    return 0;
}
