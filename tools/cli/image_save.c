/* SPDX-License-Identifier: MIT */
/* A PV guest into a stream, from its first record to its last but one; see image_saver.h. */
#include "tools/cli/image_saver.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_CPUID_LEAVES 256u
#define MAX_MSR_ENTRIES 64u

int saver_write_failed(struct image_saver *s)
{
    return error_sys(s->e, s->o->err, s->o->err == ENOSPC ? "Give it another place." : NULL,
                     "writing the guest");
}

int saver_put(struct image_saver *s, uint32_t type, const void *body, uint32_t n)
{
    return stream_out_record(s->o, type, body, n) ? 0 : saver_write_failed(s);
}

int saver_not_its_frame(struct image_saver *s, const char *what, uint64_t mfn)
{
    return error_set(s->e, EINVAL, NULL,
                     "%s names the machine's frame %#llx, which is not the guest's", what,
                     (unsigned long long)mfn);
}

static int put_policies(struct image_saver *s)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = s->domid };
    xen_cpuid_leaf_t *leaves = xen_buf(s->h->xen, MAX_CPUID_LEAVES * sizeof(*leaves));
    xen_msr_entry_t *msrs = xen_buf(s->h->xen, MAX_MSR_ENTRIES * sizeof(*msrs));
    int rc;

    op.u.cpu_policy.nr_leaves = MAX_CPUID_LEAVES;
    op.u.cpu_policy.nr_msrs = MAX_MSR_ENTRIES;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        rc = xen_error(s->e, rc, "asking for the guest's CPU policy");
    if (rc == 0 && op.u.cpu_policy.nr_leaves)
        rc = saver_put(s, STREAM_CPUID_POLICY, leaves,
                       op.u.cpu_policy.nr_leaves * (uint32_t)sizeof(*leaves));
    if (rc == 0 && op.u.cpu_policy.nr_msrs)
        rc = saver_put(s, STREAM_MSR_POLICY, msrs,
                       op.u.cpu_policy.nr_msrs * (uint32_t)sizeof(*msrs));
    xen_buf_free(s->h->xen, leaves);
    xen_buf_free(s->h->xen, msrs);
    return rc;
}

int image_save_static(struct image_saver *s)
{
    static const uint8_t pv_info[8] = { 8, 4 }; /* bytes of a word, levels of page tables */

    if (saver_put(s, STREAM_PV_INFO, pv_info, sizeof(pv_info)) != 0 || put_policies(s) != 0)
        return -1;
    return saver_put(s, STREAM_STATIC_END, NULL, 0);
}

int image_can_save(struct host *h, unsigned int domid, struct error *e)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_address_size, .domain = domid };
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(h->xen, domid, &info);

    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    if (info.flags & XEN_DOMINF_hvm_guest)
        return error_set(e, EOPNOTSUPP, "Shut it down instead: orlop shutdown.",
                         "it is a PVH or HVM guest: only PV guests are saved here");
    rc = xen_domctl(h->xen, &op);
    if (rc < 0)
        return xen_error(e, rc, "asking for the width of its words");
    if (op.u.address_size.size != 64)
        return error_set(e, EOPNOTSUPP, NULL, "it is a %u-bit guest: only 64-bit ones are saved",
                         op.u.address_size.size);
    return 0;
}

struct image_saver *image_save_open(struct host *h, unsigned int domid, struct stream_out *o,
                                    struct error *e)
{
    struct image_saver *s = mem_alloc(sizeof(*s));

    *s = (struct image_saver){ .h = h, .domid = domid, .o = o, .e = e };
    return s;
}

int image_save_rest(struct image_saver *s, bool verify)
{
    int rc = s->logging ? saver_read_log(s, true) : 0;

    rc = rc ? rc : saver_read_frames(s);
    rc = rc ? rc : saver_put_table(s);
    for (uint64_t i = 0; rc == 0 && i < (s->nr_pfns + 63) / 64; i++)
        s->todo[i] |= s->later[i];
    rc = rc ? rc : saver_put_pages(s);
    if (rc == 0 && verify) {
        rc = saver_put(s, STREAM_VERIFY, NULL, 0);
        for (uint64_t pfn = 0; pfn < s->nr_pfns; pfn++)
            if (s->mfn_of[pfn])
                saver_add(s->todo, pfn);
        rc = rc ? rc : saver_put_pages(s);
    }
    return rc ? rc : saver_put_state(s);
}

void image_save_close(struct image_saver *s)
{
    if (!s)
        return;
    saver_end_log(s);
    saver_free_frames(s);
    free(s);
}
