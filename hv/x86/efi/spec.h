/* SPDX-License-Identifier: MIT */
/* UEFI's tables as the firmware leaves them (UEFI 2.10, chapters 4 and 8), 64-bit. */
#ifndef X86_EFI_SPEC_H
#define X86_EFI_SPEC_H

#include <stdint.h>

#define EFI_ERROR_BIT (1ull << 63)
#define EFI_SUCCESS 0ull
#define EFI_INVALID_PARAMETER (EFI_ERROR_BIT | 2)
#define EFI_UNSUPPORTED (EFI_ERROR_BIT | 3)
#define EFI_BUFFER_TOO_SMALL (EFI_ERROR_BIT | 5)

#define EFI_SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull /* "IBI SYST" */
#define EFI_RUNTIME_SIGNATURE 0x56524553544e5552ull      /* "RUNTSERV" */

struct efi_header {
    uint64_t signature;
    uint32_t revision, size, crc32, reserved;
};

struct efi_system_table {
    struct efi_header hdr;
    uint64_t vendor; /* UCS-2 */
    uint32_t firmware_revision, pad;
    uint64_t consoles[6];
    uint64_t runtime, boot;
    uint64_t nr_tables, tables;
};

/* The services after the header, by number. */
enum efi_service {
    EFI_GET_TIME,
    EFI_SET_TIME,
    EFI_GET_WAKEUP_TIME,
    EFI_SET_WAKEUP_TIME,
    EFI_SET_VIRTUAL_ADDRESS_MAP,
    EFI_CONVERT_POINTER,
    EFI_GET_VARIABLE,
    EFI_GET_NEXT_VARIABLE_NAME,
    EFI_SET_VARIABLE,
    EFI_GET_NEXT_HIGH_MONOTONIC_COUNT,
    EFI_RESET_SYSTEM,
    EFI_UPDATE_CAPSULE,
    EFI_QUERY_CAPSULE_CAPABILITIES,
    EFI_QUERY_VARIABLE_INFO,
    EFI_NR_SERVICES,
};

struct efi_runtime_table {
    struct efi_header hdr;
    uint64_t service[EFI_NR_SERVICES];
};

struct efi_config_entry {
    uint8_t guid[16];
    uint64_t table;
};

struct efi_time {
    uint16_t year;
    uint8_t month, day, hour, minute, second, pad1;
    uint32_t nanosecond;
    int16_t time_zone;
    uint8_t daylight, pad2;
};

struct efi_time_capabilities {
    uint32_t resolution, accuracy;
    uint8_t sets_to_zero;
};

enum efi_reset { EFI_RESET_COLD, EFI_RESET_WARM, EFI_RESET_SHUTDOWN };

#endif
