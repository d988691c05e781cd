/* SPDX-License-Identifier: MIT */
#include "../hello/main.c"
