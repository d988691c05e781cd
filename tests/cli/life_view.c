/* SPDX-License-Identifier: MIT */
/* What the device model of a PV guest's screen may ask xenstore (tools/cli/dm_store.h). */
#include "tools/cli/dm_store.h"
#include "unit.h"

#include <string.h>
#include <xen/io/xs_wire.h>

static bool may(unsigned int type, const char *path)
{
    return dm_store_allows(7, type, path, (uint32_t)strlen(path) + 1);
}

TEST(view_reads)
{
    CHECK(may(XS_READ, "/local/domain/7/device/vfb/0/page-ref"));
    CHECK(may(XS_DIRECTORY, "backend/vfb/7"));
    CHECK(may(XS_DIRECTORY, "backend/console/7"));
    CHECK(may(XS_WATCH, "/local/domain/0/backend/vkbd/7"));
    CHECK(may(XS_READ, "/local/domain/0/device-model/7/state"));
    CHECK(may(XS_GET_DOMAIN_PATH, "7"));
    CHECK(!may(XS_READ, "/local/domain/70/device/vfb/0/page-ref"));
    CHECK(!may(XS_READ, "/local/domain/0/domid"));
    CHECK(!may(XS_DIRECTORY, "/local/domain/0/backend"));
    CHECK(!may(XS_DIRECTORY, "backend"));
    CHECK(!may(XS_READ, "backend/vfb/70/0/state"));
    CHECK(!may(XS_READ, "/orlop/x/config/0"));
    CHECK(!may(XS_WATCH, "@releaseDomain"));
    CHECK(!may(XS_READ, ""));
    CHECK(!may(XS_READ, "/"));
}

TEST(view_writes)
{
    CHECK(may(XS_WRITE, "/local/domain/0/backend/vfb/7/0/state"));
    CHECK(may(XS_WRITE, "device-model/7/state"));
    CHECK(may(XS_RM, "backend/vkbd/7/0"));
    CHECK(!may(XS_WRITE, "/local/domain/7/device/vfb/0/state"));
    CHECK(!may(XS_WRITE, "backend/vbd/7/51712/params"));
    CHECK(!may(XS_WRITE, "backend/console/7/0/state"));
    CHECK(!may(XS_SET_PERMS, "/local/domain/7"));
    CHECK(!may(XS_MKDIR, "backend/vfb/8"));
    CHECK(!may(XS_WRITE, "/local/domain/0/backend/vfb/70"));
}

TEST(view_other_requests)
{
    CHECK(dm_store_allows(7, XS_TRANSACTION_START, "", 1));
    CHECK(dm_store_allows(7, XS_TRANSACTION_END, "T", 2));
    CHECK(!may(XS_INTRODUCE, "7"));
    CHECK(!may(XS_RELEASE, "7"));
    CHECK(!may(XS_SET_TARGET, "7"));
    CHECK(!may(XS_CONTROL, "log"));
    CHECK(!may(XS_RESET_WATCHES, ""));
    CHECK(!may(XS_RESUME, "7"));
    CHECK(!may(1000, "backend/vfb/7"));
    CHECK(!dm_store_allows(7, XS_READ, "backend/vfb/7", 13)); /* nothing ends the path */
    CHECK(!dm_store_allows(7, XS_READ, "", 0));
}
