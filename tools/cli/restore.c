/* SPDX-License-Identifier: MIT */
/* What restore and migrate-receive have in common. */
#include "tools/cli/restore.h"
#include "tools/cli/command.h"
#include "tools/cli/config_libxl.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"

#include <errno.h>
#include <unistd.h>

bool restore_read(void *arg, void *buf, size_t n)
{
    const int *fd = arg;

    for (uint8_t *p = buf; n;) {
        ssize_t got = read(*fd, p, n);

        if (got < 0 && errno == EINTR && interrupt_check(NULL) == 0)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

int restore_open(struct stream *s, struct guest_config *cfg, struct error *e)
{
    struct config_errors errors = { 0 };
    bool good;

    if (!stream_open(s, true))
        return error_set(e, EPROTO, NULL, "%s", s->why);
    good = config_from_libxl(cfg, s->config, &errors);
    cmd_warnings(&errors);
    if (!good)
        error_set(e, EINVAL, NULL, "%s",
                  errors.count ? errors.text[0] : "the configuration is not understood");
    config_errors_free(&errors);
    if (good && cfg->type != GUEST_PV)
        return error_set(e, EOPNOTSUPP, NULL, "it is a %s guest: only PV guests are restored here",
                         guest_type_name(cfg->type));
    return good ? 0 : -1;
}
