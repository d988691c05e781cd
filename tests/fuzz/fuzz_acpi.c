/* SPDX-License-Identifier: MIT */
/*
 * The input is memory from 0xe0000 on, where the root pointer is searched. So that the fuzzer gets
 * past checksums, it is told which tables to seal: the first bytes list offsets whose table's
 * checksum is then made right.
 */
#include <stdlib.h>
#include <string.h>

#include "x86/acpi/acpi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0xe0000u
#define SIZE 0x4000u
#define SEALS 8

static uint8_t memory[SIZE];
static uint8_t *mapping;
static unsigned maps;

static const void *map(uint64_t pa, size_t len)
{
    if (++maps > 200000 || len > ACPI_MAX_TABLE)
        abort();
    free(mapping);
    mapping = NULL;
    if (pa < BASE || pa - BASE > SIZE || len > SIZE - (pa - BASE))
        return NULL;
    mapping = malloc(len ? len : 1);
    memcpy(mapping, memory + (pa - BASE), len);
    return mapping;
}

static void seal(uint32_t at, uint32_t len, uint32_t field)
{
    uint8_t sum = 0;

    if (at + len > SIZE || len < field || at + field >= SIZE)
        return;
    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + memory[at + i]);
    memory[at + field] = (uint8_t)(memory[at + field] - sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct acpi_info info;

    if (size < SEALS || size - SEALS > SIZE)
        return 0;
    memset(memory, 0, sizeof(memory));
    memcpy(memory, data + SEALS, size - SEALS);
    for (unsigned i = 1; i < SEALS; i++) {
        uint32_t at = data[i] * 16u, len;

        memcpy(&len, memory + at + 4, 4);
        if (len <= SIZE)
            seal(at, len, 9);
    }
    seal(data[0] * 16u, 20, 8);
    seal(data[0] * 16u, 36, 32);
    maps = 0;
    acpi_parse(map, NULL, 0, &info);
    if (info.nr_cpus > ACPI_MAX_CPUS || info.nr_warnings > ACPI_MAX_WARNINGS)
        abort();
    free(mapping);
    mapping = NULL;
    return 0;
}
