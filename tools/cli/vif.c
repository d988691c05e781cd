/* SPDX-License-Identifier: MIT */
/* Network cards on Domain 0's side. */
#include "tools/cli/vif.h"
#include "tools/cli/config.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* FNV-1a over the uuid and the number of the card; the top bit stays 0 as Xen's tools keep it. */
void vif_mac(const uint8_t uuid[16], unsigned int devid, uint8_t mac[6])
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (int i = 0; i < 20; i++) {
        h ^= i < 16 ? uuid[i] : devid >> 8 * (i - 16) & 0xff;
        h *= 0x100000001b3ull;
    }
    h ^= h >> 32;
    mac[0] = 0x00;
    mac[1] = 0x16;
    mac[2] = 0x3e;
    mac[3] = h >> 16 & 0x7f;
    mac[4] = h >> 8;
    mac[5] = h;
}

void vif_address(const struct vif_config *vif, const uint8_t uuid[16], uint8_t mac[6])
{
    if (vif->has_mac)
        memcpy(mac, vif->mac, 6);
    else
        vif_mac(uuid, vif->devid, mac);
}

int vif_check_bridge(const char *bridge, struct error *e)
{
    char path[64 + IFNAMSIZ];

    if (strlen(bridge) >= IFNAMSIZ)
        return error_set(e, EINVAL, NULL, "bridge \"%s\": longer than an interface's name may be",
                         bridge);
    snprintf(path, sizeof(path), "/sys/class/net/%s", bridge);
    if (access(path, F_OK) != 0) {
        error_set(e, ENODEV, NULL, "bridge \"%s\": there is no such interface in Domain 0", bridge);
        return error_remedy(e,
                            "Make it (ip link add %s type bridge; ip link set %s up), or name "
                            "another one with bridge= in vif=.",
                            bridge, bridge);
    }
    snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", bridge);
    if (access(path, F_OK) != 0)
        return error_set(e, EINVAL, "Name a bridge: bridge link shows them.",
                         "\"%s\" is an interface, but no bridge", bridge);
    return 0;
}

bool vif_exists(const char *ifname)
{
    return if_nametoindex(ifname) != 0;
}

static int request(int sock, unsigned long nr, struct ifreq *r)
{
    return ioctl(sock, nr, r) == 0 ? 0 : -errno;
}

static int set_up(int sock, const char *name)
{
    struct ifreq r = { 0 };
    int rc;

    memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    rc = request(sock, SIOCGIFFLAGS, &r);
    r.ifr_flags |= IFF_UP;
    return rc ? rc : request(sock, SIOCSIFFLAGS, &r);
}

static int join(int sock, const char *name, const char *bridge)
{
    struct ifreq r = { 0 };
    int rc;

    memcpy(r.ifr_name, bridge, strnlen(bridge, IFNAMSIZ - 1));
    r.ifr_ifindex = if_nametoindex(name);
    if (!r.ifr_ifindex)
        return -ENODEV;
    rc = request(sock, SIOCBRADDIF, &r);
    return rc == -EBUSY ? 0 : rc; /* it is in a bridge already: an administrator's doing */
}

static int set_mtu(int sock, const char *name, const char *bridge, unsigned int mtu)
{
    struct ifreq r = { 0 };

    if (!mtu) {
        memcpy(r.ifr_name, bridge, strnlen(bridge, IFNAMSIZ - 1));
        if (request(sock, SIOCGIFMTU, &r) != 0 || r.ifr_mtu == 1500)
            return 0;
        mtu = r.ifr_mtu;
        memset(&r, 0, sizeof(r));
    }
    memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    r.ifr_mtu = mtu;
    return request(sock, SIOCSIFMTU, &r);
}

static int rename_if(int sock, const char *from, const char *to)
{
    struct ifreq r = { 0 };

    if (if_nametoindex(to))
        return -EEXIST;
    memcpy(r.ifr_name, from, strnlen(from, IFNAMSIZ - 1));
    memcpy(r.ifr_newname, to, strnlen(to, IFNAMSIZ - 1));
    return request(sock, SIOCSIFNAME, &r);
}

int vif_plug(const char *ifname, const char *rename, const char *bridge, unsigned int mtu,
             struct error *e)
{
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
    const char *what = "opening a socket", *name = ifname;

    rc = sock < 0 ? -errno : 0;
    if (rc == 0 && rename && strcmp(rename, ifname) != 0 && !if_nametoindex(ifname)) {
        name = rename; /* a former attempt got that far */
    } else if (rc == 0 && rename && strcmp(rename, ifname) != 0) {
        what = "giving it the name of vifname=";
        rc = rename_if(sock, ifname, rename);
        name = rename;
    }
    if (rc == 0) {
        what = "setting its MTU";
        rc = set_mtu(sock, name, bridge, mtu);
    }
    if (rc == 0) {
        what = "adding it to the bridge";
        rc = join(sock, name, bridge);
    }
    if (rc == 0) {
        what = "bringing it up";
        rc = set_up(sock, name);
    }
    if (sock >= 0)
        close(sock);
    if (rc == 0)
        return 0;
    return error_sys(e, -rc,
                     rc == -EEXIST ? "Another interface has that name: change vifname=." : NULL,
                     "%s, bridge %s: %s", name, bridge, what);
}

int vif_open_tap(const char *ifname, struct error *e)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };

    memcpy(r.ifr_name, ifname, strnlen(ifname, IFNAMSIZ - 1));
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0)
        return fd;
    error_sys(e, errno,
              "Emulated cards need the kernel's module tun (modprobe tun); with type=vif the guest "
              "has a PV card only.",
              "making the interface %s", ifname);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The guest with the uuid itself is passed over: it may be coming back. */
static bool other_has(struct store *s, const char *guest, const char *card, const char *mac,
                      const char *uuid_text)
{
    char *there = store_text(s, "/local/domain/0/backend/vif/%s/%s/mac", guest, card);
    char *vm = store_text(s, "/local/domain/%s/vm", guest);
    bool has = strcasecmp(there, mac) == 0 &&
               (strlen(vm) < 4 || strcmp(vm + strlen("/vm/"), uuid_text) != 0);

    free(there);
    free(vm);
    return has;
}

void vif_warn_address(struct store *s, const struct vif_config *vif, const uint8_t uuid[16])
{
    unsigned int guests, cards;
    char **guest = store_list(s, &guests, "/local/domain/0/backend/vif");
    char text[18], uuid_text[UUID_TEXT], name[NAME_SIZE];
    uint8_t mac[6];

    vif_address(vif, uuid, mac);
    mac_format(text, mac);
    uuid_to_text(uuid, uuid_text);
    for (unsigned int i = 0; i < guests; i++) {
        char **card = store_list(s, &cards, "/local/domain/0/backend/vif/%s", guest[i]);

        for (unsigned int j = 0; j < cards; j++) {
            if (!other_has(s, guest[i], card[j], text, uuid_text))
                continue;
            name_of(s, (uint32_t)atoi(guest[i]), name);
            fprintf(stderr,
                    "orlop: warning: network card %u has the address %s, and so has card %s of %s: "
                    "on one bridge neither is reached reliably\n",
                    vif->devid, text, card[j], name[0] ? name : guest[i]);
        }
        free(card);
    }
    free(guest);
}
