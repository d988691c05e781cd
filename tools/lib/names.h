/* SPDX-License-Identifier: MIT */
/* Domains by name: /local/domain/<id>/name, as all Xen tools have it. */
#ifndef TOOLS_LIB_NAMES_H
#define TOOLS_LIB_NAMES_H

#include "tools/lib/xen.h"
#include "tools/lib/xs.h"

struct error;

#define NAME_SIZE 128

/* The name of a domain, cleaned (text.h); "" when it has none (it is just being made, or its tools
 * died). */
void name_of(struct store *s, uint32_t domid, char name[NAME_SIZE]);

/* The domain with this name, or with this number; -1 with e. */
int name_find(struct xen *x, struct store *s, const char *name, struct error *e);

/* Whether no domain has this name; -1 with e (which says who has it) otherwise. Hold the name lock
 * between this and writing the name: name_lock. */
int name_free(struct xen *x, struct store *s, const char *name, struct error *e);
/* A file descriptor to close(), or -1 with e. */
int name_lock(struct error *e);

#endif
