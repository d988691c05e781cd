/* SPDX-License-Identifier: MIT */
#include "xenstored/wire.h"

#include <stdio.h>
#include <string.h>

enum wire_state wire_next(const uint8_t *p, size_t len, struct xsd_sockmsg *msg, size_t *need)
{
    if (len < sizeof(*msg)) {
        *need = sizeof(*msg) - len;
        return WIRE_MORE;
    }
    memcpy(msg, p, sizeof(*msg));
    if (msg->len > XENSTORE_PAYLOAD_MAX)
        return WIRE_BAD;
    if (len - sizeof(*msg) < msg->len) {
        *need = msg->len - (len - sizeof(*msg));
        return WIRE_MORE;
    }
    return WIRE_MESSAGE;
}

int wire_strings(const uint8_t *p, size_t len, const char **out, int max)
{
    int n = 0;

    while (len && n < max) {
        const uint8_t *nul = memchr(p, 0, len);

        if (!nul)
            return -1;
        out[n++] = (const char *)p;
        len -= nul + 1 - p;
        p = nul + 1;
    }
    return len ? -1 : n;
}

const char *wire_error(int err)
{
    for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
        if (xsd_errors[i].errnum == err)
            return xsd_errors[i].errstring;
    }
    return "EINVAL";
}

void wire_put(struct buf *b, uint32_t type, uint32_t req, uint32_t tx, const void *p, size_t len)
{
    struct xsd_sockmsg msg = { type, req, tx, len };

    buf_add(b, &msg, sizeof(msg));
    buf_add(b, p, len);
}

bool wire_number(const char *s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (max - (*s - '0')) / 10)
            return false;
        v = v * 10 + (*s - '0');
    }
    *out = v;
    return true;
}

static bool path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '/' || c == '@';
}

/* No empty component, no slash at the end, only the characters that the protocol has. */
static bool path_ok(const char *s)
{
    for (size_t i = 0; s[i]; i++) {
        if (!path_char(s[i]) || (s[i] == '/' && (s[i + 1] == '/' || s[i + 1] == 0)))
            return false;
    }
    return true;
}

int path_resolve(struct path *out, const char *in, unsigned domid, bool special_ok)
{
    size_t len = strnlen(in, XENSTORE_ABS_PATH_MAX + 1);

    out->rel = 0;
    if (!len || len > (in[0] == '/' ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX))
        return EINVAL;
    if (strcmp(in, "/") == 0) {
        out->s[0] = 0;
        return 0;
    }
    if (!path_ok(in) || (in[0] == '@' && !special_ok))
        return EINVAL;
    if (in[0] == '/' || in[0] == '@') {
        memcpy(out->s, in, len + 1);
        return 0;
    }
    out->rel = snprintf(out->s, sizeof(out->s), "/local/domain/%u/", domid);
    memcpy(out->s + out->rel, in, len + 1); /* fits: REL_PATH_MAX leaves 1,024 bytes */
    return 0;
}

bool path_below(const char *parent, const char *path)
{
    size_t n = strlen(parent);

    return strncmp(parent, path, n) == 0 && path[n] == '/';
}

bool path_up(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash || path[0] == '@')
        return false;
    *slash = 0;
    return true;
}
