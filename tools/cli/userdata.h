/* SPDX-License-Identifier: MIT */
/*
 * What libxl looks for of a guest that it did not make (docs/stream.md): its configuration in a
 * file of Domain 0's, and copies of its devices' nodes. With them xl saves, migrates and ends it.
 */
#ifndef TOOLS_CLI_USERDATA_H
#define TOOLS_CLI_USERDATA_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct guest_config;
struct store;

/*
 * Writes the file as the guest's record has it now; nothing for an HVM guest, or without a domain
 * in the record. What fails is told on stderr: the guest itself does not need it.
 */
void userdata_update(struct store *s, const uint8_t uuid[16]);
/* All that libxl keeps in files of this domain, which ended. */
void userdata_remove(unsigned int domid);
/* -1 with e; code ENOENT: there is no file. *by_orlop: orlop wrote it last. */
int userdata_load(unsigned int domid, const uint8_t uuid[16], struct guest_config *cfg,
                  bool *by_orlop, struct error *e);
/* Cards without addresses get those that they have in xenstore. */
void userdata_macs(struct guest_config *cfg, const uint8_t uuid[16]);

/* In the caller's transaction, 0 or -errno: the domain's own nodes, */
int libxl_store(struct store *s, unsigned int domid, const struct guest_config *cfg);
/* and a device's: the backend's, again where the backend cannot write. */
int libxl_store_device(struct store *s, unsigned int domid, const char *class, unsigned int id,
                       const char *front, const char *back);
int libxl_rm_device(struct store *s, unsigned int domid, const char *class, unsigned int id);

#endif
