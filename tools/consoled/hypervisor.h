/* SPDX-License-Identifier: MIT */
/* The hypervisor's own console: VIRQ_CON_RING and the sysctl that reads it, as a console that
 * nobody types to. */
#ifndef CONSOLED_HYPERVISOR_H
#define CONSOLED_HYPERVISOR_H

struct consoled;

void hypervisor_start(struct consoled *d);
/* Takes what is new. */
void hypervisor_read(struct consoled *d);
/* Once a second: for the case that there is no event. */
void hypervisor_tick(struct consoled *d);
void hypervisor_stop(struct consoled *d);

#endif
