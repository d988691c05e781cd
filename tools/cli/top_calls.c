/* SPDX-License-Identifier: MIT */
/* What hypercalls cost, for `orlop top --hypercalls`. */
#include "tools/cli/top.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

void top_calls_read(struct host *h, struct top_sample *s)
{
    struct perfc p;

    if (perfc_read(h->xen, &p) < 0)
        return;
    for (unsigned int nr = 0; nr < CALL_NUMBERS; nr++) {
        struct top_call *c = &s->calls[nr];

        c->name = perfc_call(&p, nr, &c->all) ? hypercall_name(nr) : NULL;
    }
    perfc_free(&p);
}

/* A counter begins anew when somebody sets it back. */
static uint32_t more(uint32_t before, uint32_t now)
{
    return now > before ? now - before : 0;
}

static void compare(const struct call_cost *old, struct top_call *c, int64_t ms)
{
    uint64_t ns = c->all.ns > old->ns ? c->all.ns - old->ns : 0;
    uint64_t measured = 0;

    for (unsigned int i = 0; i < CALL_COSTS; i++) {
        c->took[i] = more(old->took[i], c->all.took[i]);
        measured += c->took[i];
    }
    c->per_second = more(old->calls, c->all.calls) * 1000.0 / ms;
    c->mean_ns = measured ? (double)ns / measured : 0;
    c->cpu_percent = ns / 1e4 / ms;
}

void top_calls_compare(const struct top_sample *before, struct top_sample *now)
{
    int64_t ms = now->when_ms - before->when_ms;

    for (unsigned int nr = 0; ms > 0 && nr < CALL_NUMBERS; nr++)
        compare(&before->calls[nr].all, &now->calls[nr], ms);
}

static int dearer(const void *x, const void *y)
{
    const struct top_call *a = *(const struct top_call *const *)x;
    const struct top_call *b = *(const struct top_call *const *)y;
    int order = (a->cpu_percent < b->cpu_percent) - (a->cpu_percent > b->cpu_percent);

    return order ? order : (a->per_second < b->per_second) - (a->per_second > b->per_second);
}

int top_calls_sorted(const struct top_sample *s, const struct top_call *out[CALL_NUMBERS])
{
    int n = 0;

    for (unsigned int nr = 0; nr < CALL_NUMBERS; nr++) {
        if (s->calls[nr].name && s->calls[nr].per_second > 0)
            out[n++] = &s->calls[nr];
    }
    qsort(out, n, sizeof(*out), dearer);
    return n;
}

const char top_calls_columns[] =
    "HYPERCALL                     CALLS/s  MEAN ns   CPU%  <128ns <512ns <2.0us <8.2us  <33us "
    "<131us <524us longer";

/* The histogram in percent of the calls that were measured. */
void top_call_text(const struct top_call *c, char *text, size_t size)
{
    uint64_t measured = 0;
    size_t n;

    n = snprintf(text, size, "%-27.27s %9.0f %8.0f %6.2f ", c->name, c->per_second, c->mean_ns,
                 c->cpu_percent);
    for (unsigned int i = 0; i < CALL_COSTS; i++)
        measured += c->took[i];
    for (unsigned int i = 0; i < CALL_COSTS && n < size; i++) {
        if (c->took[i])
            n += snprintf(text + n, size - n, " %6.1f", 100.0 * c->took[i] / measured);
        else
            n += snprintf(text + n, size - n, "      -");
    }
}

struct json_object *top_call_json(const struct top_call *c)
{
    struct json_object *j = json_object_new_object(), *took = json_object_new_array();

    json_object_object_add(j, "hypercall", json_object_new_string(c->name));
    json_object_object_add(j, "per_second", json_object_new_double(c->per_second));
    json_object_object_add(j, "mean_ns", json_object_new_double(c->mean_ns));
    json_object_object_add(j, "cpu_percent", json_object_new_double(c->cpu_percent));
    for (unsigned int i = 0; i < CALL_COSTS; i++) {
        struct json_object *place = json_object_new_object();

        json_object_object_add(place, "below_ns",
                               i < CALL_COSTS - 1 ? json_object_new_int64(call_cost_below_ns(i))
                                                  : NULL);
        json_object_object_add(place, "calls", json_object_new_int64(c->took[i]));
        json_object_array_add(took, place);
    }
    json_object_object_add(j, "took", took);
    return j;
}
