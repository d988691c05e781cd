/* SPDX-License-Identifier: MIT */
/* Included before every file: all symbols are reached RIP-relative, none through a GOT. */
#pragma GCC visibility push(hidden)
