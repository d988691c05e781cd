/* SPDX-License-Identifier: MIT */
/*
 * What the calls that give a frame a type refuse, and no other test meets: frames of others,
 * without references or with all that fit, of the hypervisor's, in use.
 */
#include "core/types.h"

#include <xen/errno.h>

#include "core/audit.h"
#include "core/ptype.h"
#include "host/host.h"
#include "host/step.h"
#include "unit.h"

static struct domain *a, *b;
static struct frame *f;
static uint64_t plain; /* its state */

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    a = host_domain(0, 1, 2, true);
    b = host_domain(1, 1, 2, false);
    f = frame_alloc(0, 0);
    frame_assign(f, 0, a);
    plain = f->state;
}

static uint64_t of_type(enum frame_type t)
{
    return plain | (uint64_t)t << FRAME_TYPE_SHIFT;
}

/* With the reference of its allocation its count is full. */
static const uint64_t full_refs = FRAME_REF_MASK - 1;

static int typed(uint64_t state, struct domain *d)
{
    int rc;

    f->state = state;
    rc = frame_get_typed(f, d, FT_WRITABLE);
    if (rc)
        CHECK_EQ(f->state, state);
    return rc;
}

static int validated(uint64_t state, struct domain *d)
{
    int rc;

    f->state = state;
    rc = frame_get_validated(f, d, FT_L1);
    if (rc)
        CHECK_EQ(f->state, state);
    return rc;
}

static int begun(uint64_t state, struct domain *d)
{
    int rc;

    f->state = state;
    rc = frame_begin_type(f, d, FT_L1, FRAME_PARTIAL);
    if (rc)
        CHECK_EQ(f->state, state);
    return rc;
}

TEST(a_use)
{
    uint64_t data = of_type(FT_WRITABLE) + FRAME_TYPED_ONE + FRAME_REF_ONE;

    CHECK_EQ(typed(data, a), 0);
    CHECK_EQ(f->state, data + FRAME_TYPED_ONE + FRAME_REF_ONE);
    CHECK_EQ(typed(data, b), -XEN_EINVAL);
    CHECK_EQ(typed(data & ~FRAME_REF_MASK, a), -XEN_EINVAL);
    CHECK_EQ(typed(plain + full_refs, a), -XEN_ENOSPC);
    CHECK_EQ(typed(data | FRAME_TYPED_MASK, a), -XEN_ENOSPC);
    f->state = plain;
}

TEST(a_use_that_was_checked)
{
    uint64_t table = (of_type(FT_L1) | FRAME_VALIDATED) + FRAME_TYPED_ONE + FRAME_REF_ONE;

    CHECK_EQ(validated(table, a), 0);
    CHECK_EQ(f->state, table + FRAME_TYPED_ONE + FRAME_REF_ONE);
    CHECK_EQ(validated(table, b), -XEN_EINVAL);
    CHECK_EQ(validated(table & ~FRAME_REF_MASK, a), -XEN_EINVAL);
    CHECK_EQ(validated(table | FRAME_REF_MASK, a), -XEN_ENOSPC);
    CHECK_EQ(validated(table | FRAME_TYPED_MASK, a), -XEN_ENOSPC);
    f->state = plain;
}

TEST(a_type_that_begins)
{
    CHECK_EQ(begun(plain, a), 0);
    CHECK_EQ(f->state, (of_type(FT_L1) | FRAME_PARTIAL) + FRAME_REF_ONE);
    CHECK_EQ(begun(plain, b), -XEN_EINVAL);
    CHECK_EQ(begun(plain & ~FRAME_REF_MASK, a), -XEN_EINVAL);
    CHECK_EQ(begun(plain | FRAME_HV, a), -XEN_EINVAL);
    CHECK_EQ(begun(of_type(FT_WRITABLE) + FRAME_TYPED_ONE, a), -XEN_EBUSY);
    CHECK_EQ(begun(plain | FRAME_CHANGING, a), -XEN_EBUSY);
    CHECK_EQ(begun(plain + full_refs, a), -XEN_ENOSPC);
    f->state = plain;
}

static bool touched;

static void begin_foreign(void *arg)
{
    *(int *)arg = frame_begin_type(f, b, FT_L1, FRAME_PARTIAL);
}

static void watch(void *arg)
{
    (void)arg;
    touched |= f->state != plain;
}

/* Not for a moment: its owner may be about to use it. */
TEST(a_type_of_anothers)
{
    int rc = 0;

    f->state = plain;
    host_step(begin_foreign, watch, &rc, 1);
    CHECK_EQ(rc, -XEN_EINVAL);
    CHECK(!touched);
}

/* --- a table becomes data, and another domain's meanwhile --- */

static int got;
static bool passed;

static void get_it(void *arg)
{
    (void)arg;
    got = frame_get_typed(f, a, FT_WRITABLE);
}

static void pass_it(void *arg)
{
    (void)arg;
    if (!passed && (f->state & FRAME_CHANGING)) {
        passed = true;
        f->owner = b->id;
    }
}

TEST(a_table_that_changes_hands)
{
    uint64_t table = of_type(FT_L1) | FRAME_VALIDATED;

    f->state = table;
    host_step(get_it, pass_it, NULL, 1);
    CHECK(passed);
    CHECK_EQ(got, -XEN_EINVAL);
    CHECK_EQ(f->owner, b->id);
    CHECK_EQ(f->state, table);
    f->owner = a->id;
    f->state = plain;
    CHECK(frame_release(f, a));
    CHECK_EQ(audit(), 0);
}
