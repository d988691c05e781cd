/* SPDX-License-Identifier: MIT */
/* A guest's network card on Domain 0's side: its address, its interface, the bridge. */
#ifndef TOOLS_CLI_VIF_H
#define TOOLS_CLI_VIF_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Always the same address for the same guest and card, below 00:16:3e. */
void vif_mac(const uint8_t uuid[16], unsigned int devid, uint8_t mac[6]);

struct vif_config;
/* The address that a card of the guest `uuid` has: its own, or the one by vif_mac. */
void vif_address(const struct vif_config *vif, const uint8_t uuid[16], uint8_t mac[6]);

/* Whether there is a bridge of that name. */
int vif_check_bridge(const char *bridge, struct error *e);

/* Whether Domain 0 has such an interface. */
bool vif_exists(const char *ifname);

/*
 * The interface `ifname` (vif7.0), which its backend has just made, gets its name (NULL: keeps it),
 * becomes a port of the bridge, takes its MTU (0: the bridge's) and goes up.
 */
int vif_plug(const char *ifname, const char *rename, const char *bridge, unsigned int mtu,
             struct error *e);

/*
 * The interface `ifname` of an emulated card: whoever has the descriptor that this returns sends
 * and receives for the guest, and with its last copy the interface goes. -1 with e.
 */
int vif_open_tap(const char *ifname, struct error *e);

struct store;
/* Says on stderr when a card of another guest has the address that this one of `uuid` gets. */
void vif_warn_address(struct store *s, const struct vif_config *vif, const uint8_t uuid[16]);

#endif
