/* SPDX-License-Identifier: MIT */
/* Rings and events of real domains: Xen's devices, through the libraries with a stable interface.
 */
#ifndef CONSOLED_XEN_H
#define CONSOLED_XEN_H

struct platform;

/* NULL, or why not. */
const char *xen_open(struct platform *plat);

#endif
