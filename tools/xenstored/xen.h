/* SPDX-License-Identifier: MIT */
/* Rings of real domains: Xen's devices, through the libraries with a stable interface. */
#ifndef XENSTORED_XEN_H
#define XENSTORED_XEN_H

#include <stdbool.h>
#include <stdint.h>

struct platform;

/* NULL, or why not. */
const char *xen_open(struct platform *plat);
/* The port of Domain 0's own ring; false: its kernel offers none. */
bool xen_dom0_port(uint32_t *port);

#endif
