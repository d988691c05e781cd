/* SPDX-License-Identifier: MIT */
#define VENDOR_INTEL 1
#include "../syscall-amd/main.c"
