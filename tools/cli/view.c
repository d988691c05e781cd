/* SPDX-License-Identifier: MIT */
/* All domains at one moment. */
#include "tools/cli/view.h"
#include "tools/cli/suspend.h"
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/sched.h>

int view_open(struct host *h, struct error *e)
{
    memset(h, 0, sizeof(*h));
    h->xen = xen_open(e);
    if (!h->xen)
        return -1;
    if (store_open(&h->store, e) < 0) {
        fprintf(stderr, "orlop: names of guests are not known: %s\n", e->cause);
        h->store.h = NULL;
        e->code = 0;
    }
    return 0;
}

int views_get(struct host *h, struct view **out, struct error *e)
{
    struct xen_domctl_getdomaininfo *infos = NULL;
    int n = xen_domlist(h->xen, &infos);

    *out = NULL;
    if (n < 0)
        return xen_error(e, n, "listing the domains");
    *out = mem_alloc((n + 1) * sizeof(**out));
    for (int i = 0; i < n; i++) {
        struct view *v = &(*out)[i];

        v->info = infos[i];
        if (h->store.h)
            name_of(&h->store, v->info.domain, v->name);
        else if (!v->info.domain)
            strcpy(v->name, "Domain-0");
        v->unresolved = h->store.h && shut_down_for(v->info.flags, SHUTDOWN_suspend) &&
                        store_exists(&h->store, "/local/domain/%u/" SUSPEND_UNRESOLVED,
                                     v->info.domain);
    }
    free(infos);
    return n;
}

static const struct view *find(const struct view *all, int n, const char *word)
{
    unsigned domid;
    bool number = parse_uint(word, &domid);

    for (int i = 0; i < n; i++) {
        if (number ? all[i].info.domain == domid : strcmp(all[i].name, word) == 0)
            return &all[i];
    }
    return NULL;
}

static int no_such_guest(const struct view *all, int n, const char *word, struct error *e)
{
    const char **names = mem_alloc((n + 1) * sizeof(*names));
    const char *near;

    for (int i = 0; i < n; i++)
        names[i] = all[i].name;
    near = nearest_name(word, names);
    error_set(e, ESRCH, "`orlop list` shows the guests there are.", "there is no guest %s%s%s%s",
              word, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(names);
    return -1;
}

int views_select(struct host *h, char *const *words, int n, struct view **out, struct error *e)
{
    struct view *all;
    int count = views_get(h, &all, e);

    *out = all;
    if (count < 0 || n == 0)
        return count;
    *out = mem_alloc(n * sizeof(**out));
    for (int i = 0; i < n; i++) {
        const struct view *v = find(all, count, words[i]);

        if (!v) {
            no_such_guest(all, count, words[i], e);
            free(*out);
            free(all);
            *out = NULL;
            return -1;
        }
        (*out)[i] = *v;
    }
    free(all);
    return n;
}

int view_find(struct host *h, const char *word, struct view *out, struct error *e)
{
    char *words[1] = { (char *)word };
    struct view *found;

    if (views_select(h, words, 1, &found, e) < 0)
        return -1;
    *out = found[0];
    free(found);
    return 0;
}

static bool crashed(uint32_t flags)
{
    return shut_down_for(flags, SHUTDOWN_crash);
}

const char *view_state(const struct view *v)
{
    uint32_t flags = v->info.flags;

    if (flags & XEN_DOMINF_dying)
        return "dying";
    if (v->unresolved)
        return "unresolved";
    if (flags & XEN_DOMINF_shutdown)
        return crashed(flags) ? "crashed" : "shutdown";
    if (flags & XEN_DOMINF_paused)
        return "paused";
    if (flags & XEN_DOMINF_running)
        return "running";
    return flags & XEN_DOMINF_blocked ? "blocked" : "runnable";
}

void view_letters(const struct view *v, char letters[7])
{
    uint32_t flags = v->info.flags;

    letters[0] = flags & XEN_DOMINF_running ? 'r' : '-';
    letters[1] = flags & XEN_DOMINF_blocked ? 'b' : '-';
    letters[2] = flags & XEN_DOMINF_paused ? 'p' : '-';
    letters[3] = flags & XEN_DOMINF_shutdown ? 's' : '-';
    letters[4] = crashed(flags) ? 'c' : '-';
    letters[5] = flags & XEN_DOMINF_dying ? 'd' : '-';
    letters[6] = 0;
}

struct json_object *view_json(const struct view *v)
{
    struct json_object *j = json_object_new_object();
    const struct xen_domctl_getdomaininfo *i = &v->info;
    char uuid[UUID_TEXT];

    uuid_to_text(i->handle, uuid);
    json_object_object_add(j, "name", v->name[0] ? json_object_new_string(v->name) : NULL);
    json_object_object_add(j, "domid", json_object_new_int(i->domain));
    json_object_object_add(j, "uuid", json_object_new_string(uuid));
    json_object_object_add(j, "state", json_object_new_string(view_state(v)));
    if (i->flags & XEN_DOMINF_shutdown)
        json_object_object_add(j, "shutdown_reason",
                               json_object_new_string(shutdown_name(shutdown_reason(i->flags))));
    json_object_object_add(j, "type",
                           json_object_new_string(i->flags & XEN_DOMINF_hvm_guest ? "hvm" : "pv"));
    json_object_object_add(j, "memory_kib", json_object_new_int64(pages_to_kib(i->tot_pages)));
    json_object_object_add(
        j, "max_memory_kib",
        i->max_pages > UINT64_MAX / 8 ? NULL : json_object_new_int64(pages_to_kib(i->max_pages)));
    json_object_object_add(j, "vcpus_online", json_object_new_int(i->nr_online_vcpus));
    json_object_object_add(j, "vcpus",
                           json_object_new_int(i->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID
                                                   ? 0
                                                   : (int)i->max_vcpu_id + 1));
    json_object_object_add(j, "cpu_time_ns", json_object_new_int64(i->cpu_time));
    return j;
}

const char *view_label(const struct view *v, char text[NAME_SIZE])
{
    if (v->name[0])
        return v->name;
    snprintf(text, NAME_SIZE, "(domain %u)", v->info.domain);
    return text;
}

static bool has_bit(const uint8_t *map, unsigned bit)
{
    return map[bit / 8] >> bit % 8 & 1;
}

char *cpumap_text(const uint8_t *map, unsigned bits, unsigned online)
{
    char *text = str_dup("");
    unsigned set = 0;

    while (set < online && set < bits && has_bit(map, set))
        set++;
    if (online && set == online) {
        free(text);
        return str_dup("all");
    }
    for (unsigned i = 0; i < bits; i++) {
        unsigned first = i;
        char *longer;

        if (!has_bit(map, i))
            continue;
        while (i + 1 < bits && has_bit(map, i + 1))
            i++;
        longer = first == i ? str_fmt("%s%s%u", text, *text ? "," : "", i)
                            : str_fmt("%s%s%u-%u", text, *text ? "," : "", first, i);
        free(text);
        text = longer;
    }
    return text;
}

void duration_text(uint64_t seconds, char text[48])
{
    uint64_t days = seconds / 86400;
    unsigned rest = seconds % 86400;

    if (days)
        snprintf(text, 48, "%" PRIu64 " day%s, %02u:%02u:%02u", days, days == 1 ? "" : "s",
                 rest / 3600, rest / 60 % 60, rest % 60);
    else
        snprintf(text, 48, "%02u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}
