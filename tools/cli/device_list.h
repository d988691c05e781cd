/* SPDX-License-Identifier: MIT */
/* What devices a guest has, by the backends' nodes in xenstore: whoever attached them. */
#ifndef TOOLS_CLI_DEVICE_LIST_H
#define TOOLS_CLI_DEVICE_LIST_H

#include "tools/cli/device.h"

struct device_info {
    unsigned int id;
    unsigned int backend; /* the domain that serves it */
    int state, backend_state;
    char *name;   /* vdev; the card's interface in Domain 0 */
    char *target; /* path; bridge */
    char *mode;   /* r or w; MAC address */
};

/* In order of their numbers; their count. Free with device_list_free. */
unsigned int device_list(struct store *s, unsigned int domid, enum device_kind kind,
                         struct device_info **out);
void device_list_free(struct device_info *list, unsigned int n);

/* XenbusState in words: "connected". */
const char *device_state_name(int state);

#endif
