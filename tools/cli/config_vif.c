/* SPDX-License-Identifier: MIT */
/* One element of vif= (xl-network-configuration(5)): KEY=VALUE and flags, with commas between. */
#include "tools/cli/config.h"
#include "tools/cli/config_spec.h"
#include "tools/lib/util.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEVID = 1023, DEFAULT_RATE_US = 50000, MAX_RATE_US = 1000000 };

void mac_format(char text[18], const uint8_t mac[6])
{
    snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

bool mac_parse(uint8_t mac[6], const char *text)
{
    for (unsigned i = 0; i < 6; i++) {
        unsigned byte;
        int used = 0;

        if (strspn(text, "0123456789abcdefABCDEF") != 2 || sscanf(text, "%2x%n", &byte, &used) != 1)
            return false;
        mac[i] = byte;
        text += used;
        if (*text++ != (i < 5 ? ':' : 0))
            return false;
    }
    return true;
}

static bool set_mac(const struct spec *s, struct vif_config *vif, const char *value)
{
    static const uint8_t none[6];

    if (!mac_parse(vif->mac, value))
        return spec_error(s, "mac=%s: six pairs of hexadecimal digits with colons between", value);
    if (vif->mac[0] & 1)
        return spec_error(s, "mac=%s is a group address: the first pair must be even", value);
    if (memcmp(vif->mac, none, 6) == 0)
        return spec_error(s, "mac=%s is no address of a card; leave it out to get one", value);
    vif->has_mac = true;
    return true;
}

/* The name of a network interface. */
static bool set_interface(const struct spec *s, char **to, const char *key, const char *value)
{
    if (strlen(value) >= IFNAMSIZ || strpbrk(value, " \t/:") || strcmp(value, ".") == 0 ||
        strcmp(value, "..") == 0)
        return spec_error(s,
                          "%s=%s is no name of an interface: up to %u letters, without blanks, "
                          "'/' and ':'",
                          key, value, IFNAMSIZ - 1);
    free(*to);
    *to = str_dup(value);
    return true;
}

/* 10.0.0.2, 10.0.0.2/24, fd00::2/64 */
static bool is_address(char *word)
{
    char *prefix = strchr(word, '/');
    unsigned char address[16];
    unsigned bits = 0;
    bool v6;

    if (prefix)
        *prefix++ = 0;
    v6 = inet_pton(AF_INET6, word, address) == 1;
    if (!v6 && inet_pton(AF_INET, word, address) != 1)
        return false;
    return !prefix || (parse_uint(prefix, &bits) && bits <= (v6 ? 128 : 32));
}

static bool set_ip(const struct spec *s, struct vif_config *vif, const char *value)
{
    char *copy = str_dup(value), *p = copy, *word;
    unsigned count = 0;
    bool good = true;

    while (good && (word = strsep(&p, " ")) != NULL) {
        if (!*word)
            continue;
        count++;
        good = is_address(word);
    }
    free(copy);
    if (!good || !count)
        return spec_error(s, "ip=%s: IPv4 or IPv6 addresses with blanks between", value);
    vif->ip = str_dup(value);
    return true;
}

/* A unit at *p of the table; its factor. */
static uint64_t unit(const char **p, const char *const *names, const uint64_t *factors)
{
    for (unsigned i = 0; names[i]; i++) {
        size_t n = strlen(names[i]);

        if (strncmp(*p, names[i], n) == 0) {
            *p += n;
            return factors[i];
        }
    }
    return 0;
}

/*
 * RATE/s[@INTERVAL] into bytes an interval. Rates are multiples of 1000, in bytes (B) or bits (b);
 * intervals are in microseconds unless they say otherwise.
 */
static bool parse_rate(const char *text, struct vif_config *vif)
{
    static const char *const rates[] = { "GB", "MB", "KB", "B", "Gb", "Mb", "Kb", "b", NULL };
    static const uint64_t bits[] = { 8000000000, 8000000, 8000, 8, 1000000000, 1000000, 1000, 1 };
    static const char *const times[] = { "ms", "us", "s", NULL };
    static const uint64_t us[] = { 1000, 1, 1000000 };
    const char *p = text;
    char *end;
    uint64_t rate = strtoull(p, &end, 10), factor, interval = DEFAULT_RATE_US;

    if (*p < '0' || *p > '9')
        return false;
    p = end;
    factor = unit(&p, rates, bits);
    if (!factor || strncmp(p, "/s", 2) != 0)
        return false;
    p += 2;
    if (*p == '@') {
        interval = strtoull(p + 1, &end, 10);
        if (p[1] < '0' || p[1] > '9' || interval > MAX_RATE_US)
            return false;
        p = end;
        if (*p)
            interval *= unit(&p, times, us);
    }
    if (*p || interval < 1 || interval > MAX_RATE_US ||
        __builtin_mul_overflow(rate, factor, &rate) ||
        __builtin_mul_overflow(rate / 8, interval, &vif->rate_bytes))
        return false;
    vif->rate_bytes /= 1000000;
    vif->rate_us = interval;
    return vif->rate_bytes > 0;
}

static bool set_rate(const struct spec *s, struct vif_config *vif, const char *value)
{
    return parse_rate(value, vif) ||
           spec_error(s,
                      "rate=%s: expected is 10Mb/s, 250KB/s or 1MB/s@20ms, with an interval "
                      "of at most 1s and at least one byte in it",
                      value);
}

static bool set_number(const struct spec *s, unsigned *to, unsigned min, unsigned max,
                       const char *key, const char *value)
{
    unsigned n;

    if (!parse_uint(value, &n) || n < min || n > max)
        return spec_error(s, "%s=%s: a number from %u to %u", key, value, min, max);
    *to = n;
    return true;
}

static bool set_kind(const struct spec *s, struct vif_config *vif, const char *value)
{
    if (strcmp(value, "ioemu") == 0)
        vif->kind = VIF_EMULATED;
    else if (strcmp(value, "vif") == 0 || strcmp(value, "netfront") == 0)
        vif->kind = VIF_PV;
    else
        return spec_error(s, "type=%s: 'ioemu' (HVM guests: emulated, and PV) or 'vif'", value);
    return true;
}

static bool set_model(const struct spec *s, struct vif_config *vif, const char *value)
{
    /* Of those that QEMU has, the ones that systems know; the first is the usual one. */
    static const char *const models[] = { "rtl8139",  "e1000", "e1000e",     "ne2k_pci",
                                          "i82559er", "pcnet", "virtio-net", NULL };

    for (unsigned i = 0; models[i]; i++) {
        if (strcmp(models[i], value) != 0)
            continue;
        vif->model = models[i];
        return true;
    }
    return spec_error(
        s, "model=%s: rtl8139, e1000, e1000e, ne2k_pci, i82559er, pcnet or virtio-net", value);
}

static const char *const keys[] = { "mac",     "bridge",  "ip",        "vifname",
                                    "rate",    "mtu",     "devid",     "script",
                                    "backend", "type",    "model",     "gatewaydev",
                                    "netdev",  "trusted", "untrusted", NULL };

static bool vif_key(const struct spec *s, struct vif_config *vif, const char *key,
                    const char *value)
{
    if (!*value)
        return true; /* an empty value is the default */
    if (strcmp(key, "mac") == 0)
        return set_mac(s, vif, value);
    if (strcmp(key, "bridge") == 0)
        return set_interface(s, &vif->bridge, key, value);
    if (strcmp(key, "vifname") == 0)
        return set_interface(s, &vif->vifname, key, value);
    if (strcmp(key, "ip") == 0)
        return set_ip(s, vif, value);
    if (strcmp(key, "rate") == 0)
        return set_rate(s, vif, value);
    if (strcmp(key, "mtu") == 0)
        return set_number(s, &vif->mtu, 68, 65535, key, value);
    if (strcmp(key, "devid") == 0)
        return set_number(s, &vif->devid, 0, MAX_DEVID, key, value);
    if (strcmp(key, "script") == 0)
        return spec_script(s, value, "vif-bridge", &vif->script);
    if (strcmp(key, "backend") == 0)
        return spec_backend(s, value);
    if (strcmp(key, "type") == 0)
        return set_kind(s, vif, value);
    if (strcmp(key, "model") == 0)
        return set_model(s, vif, value);
    if (strcmp(key, "gatewaydev") == 0 || strcmp(key, "netdev") == 0)
        return set_interface(s, &vif->gatewaydev, key, value);
    return spec_unknown(s, key, keys);
}

/* Blanks at the end go. */
static void trim(char *word)
{
    for (size_t n = strlen(word); n && strchr(" \t", word[n - 1]); n--)
        word[n - 1] = 0;
}

static bool vif_word(const struct spec *s, struct vif_config *vif, char *word, bool *seen)
{
    char *value = strchr(word, '=');

    trim(word);
    if (!*word)
        return true;
    if (!value && (strcmp(word, "trusted") == 0 || strcmp(word, "untrusted") == 0)) {
        vif->untrusted = *word == 'u';
        return true;
    }
    if (!value)
        return spec_error(s,
                          "'%s' is no KEY=VALUE; known are mac, bridge, ip, vifname, rate, mtu, "
                          "devid",
                          word);
    *value++ = 0;
    trim(word);
    value += strspn(value, " \t");
    for (unsigned i = 0; keys[i]; i++) {
        if (strcmp(word, keys[i]) != 0)
            continue;
        if (seen[i])
            return spec_error(s, "%s is given twice", word);
        seen[i] = true;
    }
    return vif_key(s, vif, word, value);
}

bool vif_config_parse(struct vif_config *vif, const char *text, const char *where,
                      struct config_errors *errors)
{
    struct spec s = { where, text, errors };
    bool seen[sizeof(keys) / sizeof(keys[0])] = { false };
    char *copy = str_dup(text), *p = copy;
    bool good = true;

    *vif = (struct vif_config){ .devid = VIF_DEVID_ANY };
    while (p) {
        char *word;

        p += strspn(p, " \t");
        word = strsep(&p, ",");
        good &= vif_word(&s, vif, word, seen);
    }
    free(copy);
    if (vif->gatewaydev && !vif->script)
        good = spec_error(&s,
                          "gatewaydev=%s is for routed cards: add script=vif-route, or name a "
                          "bridge with bridge=",
                          vif->gatewaydev);
    if (!vif->bridge)
        vif->bridge = str_dup("xenbr0");
    if (!good)
        vif_config_free(vif);
    return good;
}

void vif_config_free(struct vif_config *vif)
{
    free(vif->bridge);
    free(vif->ip);
    free(vif->vifname);
    free(vif->script);
    free(vif->gatewaydev);
    *vif = (struct vif_config){ 0 };
}
