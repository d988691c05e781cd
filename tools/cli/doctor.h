/* SPDX-License-Identifier: MIT */
/* A first look at the host: what is missing for guests, and what to do about it. */
#ifndef TOOLS_CLI_DOCTOR_H
#define TOOLS_CLI_DOCTOR_H

#include <stdbool.h>

/* This kernel runs as a domain on a hypervisor with Xen's ABI. */
bool doctor_hypervisor_runs(void);

/* What `orlop` alone says where it does not: what is missing, and how to boot it. EXIT_FAILED. */
int doctor_say_how_to_boot(void);

#endif
