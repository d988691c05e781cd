/* SPDX-License-Identifier: MIT */
#include "../syscall-amd/main.c"
