/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "x86/irq/gsi.c"
#include "x86/irq/lapic.h"
#include "x86/irq/msi_msg.h"

static bool is(uint32_t gsi, bool level, bool low)
{
    struct gsi_mode m = gsi_mode(gsi);

    return m.level == level && m.active_low == low;
}

TEST(custom)
{
    gsi_reset();
    CHECK_EQ(gsi_of_isa(4), 4);
    CHECK(is(1, false, false));
    CHECK(is(16, true, true));
    CHECK(is(MAX_GSIS + 5, true, true));
}

/* What QEMU's and most firmware's MADT says. */
TEST(overrides)
{
    gsi_reset();
    CHECK(gsi_add_override(0, 2, 0));
    CHECK(gsi_add_override(9, 9, 0xd));
    CHECK(gsi_add_override(10, 20, 0xf));
    CHECK(gsi_add_override(11, 11, 0xc)); /* level, polarity as the bus: low for level */
    CHECK_EQ(gsi_of_isa(0), 2);
    CHECK_EQ(gsi_of_isa(9), 9);
    CHECK_EQ(gsi_of_isa(10), 20);
    CHECK(is(2, false, false));
    CHECK(is(9, true, false));
    CHECK(is(20, true, true));
    CHECK(is(11, true, true));
    CHECK_EQ(gsi_of_isa(1), 1);
}

TEST(bad_overrides)
{
    gsi_reset();
    CHECK(!gsi_add_override(16, 3, 0));
    CHECK(!gsi_add_override(3, MAX_GSIS, 0));
    CHECK(!gsi_add_override(3, UINT32_MAX, 0));
    CHECK_EQ(gsi_of_isa(3), 3);
    gsi_set_mode(UINT32_MAX, (struct gsi_mode){ true, true });
}

TEST(dom0_has_the_last_word)
{
    gsi_reset();
    gsi_set_mode(17, (struct gsi_mode){ .level = false, .active_low = false });
    CHECK(is(17, false, false));
}

TEST(message)
{
    struct msi_msg m = msi_compose(3, 0x41);

    CHECK_EQ(m.addr_lo, 0xfee03000);
    CHECK_EQ(m.addr_hi, 0);
    CHECK_EQ(m.data, 0x41);
    CHECK_EQ(msi_compose(MSI_MAX_APIC_ID, 0xdf).addr_lo, 0xfeefe000);
}
