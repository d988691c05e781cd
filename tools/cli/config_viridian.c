/* SPDX-License-Identifier: MIT */
/*
 * viridian=: what an HVM guest finds that takes the hypervisor for Microsoft's. 1 is all that there
 * is; a list names groups as xl does, each taken out again by a ! before it. Pure functions.
 */
#include "tools/cli/config_decode.h"

#include <string.h>

static const struct group {
    const char *name;
    unsigned bits; /* 0: not there */
} groups[] = {
    { "base", VIRIDIAN_BASE },
    { "freq", VIRIDIAN_FREQ },
    { "time_ref_count", VIRIDIAN_TIME },
    { "defaults", VIRIDIAN_BASE | VIRIDIAN_FREQ | VIRIDIAN_TIME },
    { "all", VIRIDIAN_BASE | VIRIDIAN_FREQ | VIRIDIAN_TIME },
    { "reference_tsc", 0 },
    { "hcall_remote_tlb_flush", 0 },
    { "apic_assist", 0 },
    { "crash_ctl", 0 },
    { "synic", 0 },
    { "stimer", 0 },
    { "hcall_ipi", 0 },
    { "ex_processor_masks", 0 },
    { "no_vp_limit", 0 },
    { "cpu_hotplug", 0 },
};

const char *viridian_name(unsigned bit)
{
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (groups[i].bits == bit)
            return groups[i].name;
    }
    return NULL;
}

static bool add_group(struct decode *d, const struct key *key, const struct config_setting *s,
                      const char *text)
{
    bool out = *text == '!';

    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        const struct group *g = &groups[i];

        if (strcmp(g->name, text + out) != 0)
            continue;
        if (!g->bits && !out)
            return key_error(d, s, "%s is not there: leave it out", g->name);
        d->cfg->viridian = out ? d->cfg->viridian & ~g->bits : d->cfg->viridian | g->bits;
        return true;
    }
    return key_error(d, s, "there is no group %s; expected is %s", text + out, key->info.expects);
}

bool decode_viridian(struct decode *d, const struct key *key, const struct config_setting *s)
{
    bool good = true, yes;

    if (!key_for_hvm(d, s))
        return true;
    if (s->value->kind != VALUE_LIST) {
        good = value_bool(d, key, s, &yes);
        return good && yes ? add_group(d, key, s, "defaults") : good;
    }
    for (const struct config_value *v = s->value->first; good && v; v = v->next) {
        if (!value_string(v))
            return key_expected(d, key, s);
        good = add_group(d, key, s, v->text);
    }
    if (good && d->cfg->viridian && !(d->cfg->viridian & VIRIDIAN_BASE))
        return key_error(d, s, "the others need 'base'");
    return good;
}
