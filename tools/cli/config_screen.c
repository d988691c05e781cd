/* SPDX-License-Identifier: MIT */
/*
 * Keys about a guest's screen, keyboard and mouse: what shows its picture, and where a VNC viewer
 * finds it. What a file leaves out is as xl has it: an HVM guest has a Cirrus card and a VNC server
 * on the first display of the loopback address that is free; a PV guest has none, and with vfb= or
 * vnc = 1 a framebuffer, keyboard and mouse of Xen's. Pure functions.
 */
#define _GNU_SOURCE
#include "tools/cli/config_decode.h"
#include "tools/cli/config_keys.h"
#include "tools/lib/util.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOOPBACK "127.0.0.1"
#define NO_SCREEN \
    "there is no virtual screen for PVH guests yet; the guest has its text console: orlop console"

static const char *const vga_names[] = {
    [VGA_NONE] = "none",
    [VGA_CIRRUS] = "cirrus",
    [VGA_STDVGA] = "stdvga",
};

const char *vga_name(enum vga_card card)
{
    return vga_names[card];
}

static const struct usb_device {
    const char *name;
    unsigned bit;
} usb_devices[] = {
    { "tablet", USB_TABLET },
    { "mouse", USB_MOUSE },
    { "keyboard", USB_KEYBOARD },
};
enum { NR_USB = sizeof(usb_devices) / sizeof(usb_devices[0]) };

const char *usb_device_name(unsigned bit)
{
    for (unsigned i = 0; i < NR_USB; i++) {
        if (usb_devices[i].bit == bit)
            return usb_devices[i].name;
    }
    return NULL;
}

/* Whether this guest has a screen at all; a warning if not. */
static bool has_screen(struct decode *d, const struct config_setting *s)
{
    if (d->pvh)
        key_warning(d, s, NO_SCREEN);
    else if (d->vfb && !d->in_vfb)
        key_warning(d, s, "vfb= says what the screen is like; it has no effect");
    return !d->pvh && (!d->vfb || d->in_vfb);
}

static bool decode_vga(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const char *text = value_string(s->value);

    if (!key_for_hvm(d, s))
        return true;
    for (unsigned i = 0; text && i < sizeof(vga_names) / sizeof(vga_names[0]); i++) {
        if (strcmp(text, vga_names[i]) == 0) {
            d->cfg->screen.vga = i;
            return true;
        }
    }
    return key_expected(d, key, s);
}

static bool decode_hvm_bool(struct decode *d, const struct key *key, const struct config_setting *s)
{
    bool yes;

    if (!key_for_hvm(d, s))
        return true;
    if (!value_bool(d, key, s, &yes))
        return false;
    if (strcmp(s->name, "nographic") == 0)
        d->nographic = yes;
    else if (strcmp(s->name, "stdvga") == 0)
        d->stdvga = yes;
    else
        d->cfg->screen.usb |= yes;
    return true;
}

static bool decode_videoram(struct decode *d, const struct key *key, const struct config_setting *s)
{
    return !key_for_hvm(d, s) || decode_unsigned(d, key, s);
}

static bool decode_vnc(struct decode *d, const struct key *key, const struct config_setting *s)
{
    return !has_screen(d, s) || decode_bool(d, key, s);
}

static bool decode_unused(struct decode *d, const struct key *key, const struct config_setting *s)
{
    return !has_screen(d, s) || value_bool(d, key, s, &d->vncunused);
}

static bool decode_display(struct decode *d, const struct key *key, const struct config_setting *s)
{
    if (!has_screen(d, s))
        return true;
    d->has_display = true;
    return decode_unsigned(d, key, s);
}

static bool is_address(const char *text)
{
    struct in6_addr a;

    return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

/* ADDRESS, ADDRESS:DISPLAY, [ADDRESS]:DISPLAY. */
static bool decode_listen(struct decode *d, const struct key *key, const struct config_setting *s)
{
    struct screen_config *screen = &d->cfg->screen;
    char *text, *host, *colon, *end;
    int64_t n = 0;
    bool good;

    if (!has_screen(d, s))
        return true;
    if (s->value->kind == VALUE_LIST)
        return key_expected(d, key, s);
    if (!*s->value->text)
        return true;
    text = host = str_dup(s->value->text);
    colon = is_address(text) ? NULL : strrchr(text, ':');
    if (colon)
        *colon++ = '\0';
    end = host + strlen(host) - 1;
    if (*host == '[' && *end == ']') {
        host++;
        *end = '\0';
    }
    if (strcmp(host, "localhost") == 0)
        host = LOOPBACK;
    good = is_address(host) &&
           (!colon || (config_number(colon, &n) && n >= 0 && n <= CONFIG_MAX_DISPLAY));
    if (good) {
        screen->listen = str_dup(host);
        d->listens_on_display = colon;
        screen->display = colon ? (unsigned)n : screen->display;
    }
    free(text);
    return good ? true : key_expected(d, key, s);
}

static bool decode_password(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const struct config_value *v = s->value;

    if (!has_screen(d, s))
        return true;
    if (v->kind == VALUE_LIST)
        return key_error(d, s, "expected is %s", key->info.expects);
    for (const char *p = v->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            return key_error(d, s, "expected is %s", key->info.expects);
    }
    if (strlen(v->text) > CONFIG_VNC_PASSWORD)
        return key_error(d, s, "is longer than the %d letters that VNC looks at",
                         CONFIG_VNC_PASSWORD);
    if (*v->text)
        d->cfg->screen.password = str_dup(v->text);
    return true;
}

static bool decode_keymap(struct decode *d, const struct key *key, const struct config_setting *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
    const char *text = value_string(s->value);

    if (!has_screen(d, s))
        return true;
    if (!text || strlen(text) > 16 || *text == '-' || strspn(text, letters) != strlen(text))
        return key_expected(d, key, s);
    d->cfg->screen.keymap = str_dup(text);
    return true;
}

static bool add_usb(struct decode *d, const struct key *key, const struct config_setting *s,
                    const struct config_value *v)
{
    const char *text = value_string(v);

    for (unsigned i = 0; text && i < NR_USB; i++) {
        if (strcmp(usb_devices[i].name, text) == 0) {
            d->cfg->screen.usb = true;
            d->cfg->screen.usb_devices |= usb_devices[i].bit;
            return true;
        }
    }
    return key_error(d, s, "expected is %s", key->info.expects);
}

static bool decode_usbdevice(struct decode *d, const struct key *key,
                             const struct config_setting *s)
{
    bool good = true;

    if (!key_for_hvm(d, s) || value_is_nothing(s->value))
        return true;
    if (s->value->kind != VALUE_LIST)
        return add_usb(d, key, s, s->value);
    for (const struct config_value *v = s->value->first; v; v = v->next)
        good = add_usb(d, key, s, v) && good;
    return good;
}

/* The keys that a PV guest's screen has, too, beside or within vfb=. */
static const char *const vfb_keys[] = { "vnc",       "vnclisten", "vncdisplay",
                                        "vncunused", "vncpasswd", "keymap" };

/* One KEY=VALUE of vfb=, of which some are keys of their own. */
static bool decode_vfb_word(struct decode *d, const struct config_setting *s, char *word)
{
    char *value = strchr(word, '=');
    struct config_value v = { .kind = VALUE_STRING, .line = s->line };
    struct config_setting one = { .origin = s->origin, .line = s->line, .value = &v };

    if (value)
        *value++ = '\0';
    if (!value || !*word)
        return key_error(d, s, "'%s': expected are KEY=VALUE with commas between", word);
    v.text = value;
    one.name = word;
    if (strcmp(word, "type") == 0 && strcmp(value, "vnc") == 0)
        return true;
    for (unsigned i = 0; i < sizeof(vfb_keys) / sizeof(vfb_keys[0]); i++) {
        const struct key *k = config_screen_keys;

        if (strcmp(vfb_keys[i], word) != 0)
            continue;
        if (d->vfb_words & 1u << i)
            return key_error(d, s, "%s= is there twice", word);
        d->vfb_words |= 1u << i;
        while (strcmp(k->info.name, word) != 0)
            k++;
        return k->decode(d, k, &one);
    }
    if (strcmp(word, "sdl") == 0 || strcmp(word, "opengl") == 0 || strcmp(word, "type") == 0)
        return value_is_nothing(&v) ||
               key_error(d, s, "%s=%s: a screen is shown by VNC only", word, value);
    if (strcmp(word, "xauthority") == 0 || strcmp(word, "display") == 0)
        return true; /* of sdl's */
    return key_error(d, s, "there is no %s= in it", word);
}

static bool decode_vfb(struct decode *d, const struct key *key, const struct config_setting *s)
{
    const struct config_value *v = s->value->first;
    char *copy, *at, *word;
    bool good = true;

    if (s->value->kind != VALUE_LIST || (v && v->kind != VALUE_STRING))
        return key_expected(d, key, s);
    if (d->hvm)
        key_warning(d, s, "is for PV guests; this one has vga = and vnc =");
    if (d->hvm || !v)
        return true;
    if (v->next)
        return key_error(d, s, "a guest has one screen only");
    d->in_vfb = true;
    if (!has_screen(d, s))
        return true;
    d->cfg->screen.vnc = true;
    copy = at = str_dup(v->text);
    while (good && (word = strsep(&at, ",")) != NULL) {
        word += strspn(word, " ");
        good = !*word || decode_vfb_word(d, s, word);
    }
    free(copy);
    d->in_vfb = false;
    return good;
}

/* clang-format off */
const struct key config_screen_keys[] = {
    KEY("vga", "'cirrus', 'stdvga' or 'none'",
        .decode = decode_vga),
    KEY("stdvga", "0 or 1, the old way to say vga = 'stdvga'",
        .decode = decode_hvm_bool),
    KEY("nographic", "0 or 1, the old way to say vga = 'none'",
        .decode = decode_hvm_bool),
    KEY("videoram", "MiB of the guest's memory for the picture: 8 or 16 ('stdvga': 16 or 32)",
        .decode = decode_videoram, .offset = FIELD(screen.videoram_mb), .min = 1, .max = 32),
    KEY("vnc", "0 or 1: a VNC viewer can show the screen",
        .decode = decode_vnc, .offset = FIELD(screen.vnc)),
    KEY("vnclisten", "an address of Domain 0, such as '127.0.0.1' or '127.0.0.1:5' (with the display)",
        .decode = decode_listen),
    KEY("vncdisplay", "the number of a display, 0 to 9999; its port is 5900 and this",
        .decode = decode_display, .offset = FIELD(screen.display), .min = 0, .max = CONFIG_MAX_DISPLAY),
    KEY("vncunused", "0 (vncdisplay= and no other) or 1 (the first free one from there on)",
        .decode = decode_unused),
    KEY("vncpasswd", "up to 8 letters of ASCII, in quotes",
        .decode = decode_password),
    KEY("keymap", "the name of one of QEMU's keymaps, such as 'de'",
        .decode = decode_keymap),
    KEY("vfb", "a list of one string, such as ['vnc=1,vnclisten=127.0.0.1']",
        .decode = decode_vfb),
    KEY("usb", "0 or 1: a USB controller",
        .decode = decode_hvm_bool),
    KEY("usbdevice", "'tablet', 'mouse' or 'keyboard', or a list of them",
        .decode = decode_usbdevice),
    { .decode = NULL },
};
/* clang-format on */

static bool check_videoram(struct decode *d, const struct config_settings *settings)
{
    struct screen_config *screen = &d->cfg->screen;
    const struct config_setting *s = setting_find(settings, "videoram");
    unsigned least = screen->vga == VGA_STDVGA ? 16 : 8;

    if (screen->vga == VGA_NONE)
        screen->videoram_mb = 0;
    else if (!screen->videoram_mb)
        screen->videoram_mb = least;
    else if (screen->videoram_mb != least && screen->videoram_mb != 2 * least)
        return key_error(d, s, "'%s' has %u or %u MiB", vga_name(screen->vga), least, 2 * least);
    return true;
}

static void choose_vga(struct decode *d, const struct config_settings *settings)
{
    struct screen_config *screen = &d->cfg->screen;
    const struct config_setting *s = setting_find(settings, "vnc");

    if (d->nographic)
        screen->vga = VGA_NONE;
    else if (!setting_find(settings, "vga"))
        screen->vga = d->stdvga ? VGA_STDVGA : VGA_CIRRUS;
    if (screen->vga == VGA_NONE && screen->vnc)
        key_warning(d, s, "there is no picture to show with vga = 'none'; it has no effect");
    screen->vnc = screen->vga != VGA_NONE && (screen->vnc || !s);
}

/* A PV guest without a screen: what is said of one has no effect. */
static bool nothing_shown(struct decode *d, const struct config_settings *settings)
{
    for (unsigned i = 0; !d->pvh && i < sizeof(vfb_keys) / sizeof(vfb_keys[0]); i++) {
        const struct config_setting *s = setting_find(settings, vfb_keys[i]);

        if (s && strcmp(vfb_keys[i], "vnc") != 0)
            key_warning(d, s, "there is no screen without vnc = 1 or vfb =; it has no effect");
    }
    return true;
}

bool config_screen_check(struct decode *d, const struct config_settings *settings)
{
    struct screen_config *screen = &d->cfg->screen;

    if (d->hvm)
        choose_vga(d, settings);
    if (!d->hvm && !screen->vnc)
        return nothing_shown(d, settings);
    if (!screen->listen)
        screen->listen = str_dup(LOOPBACK);
    screen->only = !d->vncunused;
    if (d->listens_on_display && d->has_display)
        return key_error(
            d, setting_find(settings, d->vfb ? "vfb" : "vnclisten"),
            "vnclisten= names a display, and so does vncdisplay=; leave one of them out");
    return check_videoram(d, settings);
}
