/* SPDX-License-Identifier: MIT */
/* FADT, HPET, MCFG, and the register bases of DMAR and IVRS. */
#include "x86/acpi/view.h"

/* A generic address structure. */
static struct acpi_reg read_gas(const struct acpi_view *t, size_t off)
{
    uint8_t space = view_u8(t, off);
    struct acpi_reg r = { ACPI_SPACE_OTHER, view_u8(t, off + 1), view_u64(t, off + 4) };

    if (space <= ACPI_SPACE_PCI)
        r.space = (enum acpi_space)space;
    return r;
}

/*
 * A register block that the FADT gives twice: extended (wins unless 0) and as a bare port number.
 */
static struct acpi_reg read_block(struct acpi_info *info, const struct acpi_view *t,
                                  size_t port_off, size_t len_off, size_t gas_off)
{
    struct acpi_reg r = read_gas(t, gas_off);
    uint32_t port = view_u32(t, port_off);

    if (r.address &&
        (r.space == ACPI_SPACE_MEMORY || (r.space == ACPI_SPACE_IO && r.address <= 0xffff)))
        return r;
    if (r.address)
        acpi_warn(info, "FACP", "a register block has an impossible extended address");
    r = (struct acpi_reg){ ACPI_SPACE_IO, (uint16_t)(view_u8(t, len_off) * 8), port };
    if (port > 0xffff) {
        acpi_warn(info, "FACP", "a register block's port is above 0xffff and ignored");
        r.address = 0;
    }
    return r;
}

static void read_flags(struct acpi_info *info, const struct acpi_view *t)
{
    struct acpi_fadt *f = &info->fadt;
    uint16_t boot = view_u16(t, 109);
    uint32_t flags = view_u32(t, 112);

    f->has_8042 = boot & 1 << 1;
    f->no_vga = boot & 1 << 2;
    f->no_msi = boot & 1 << 3;
    f->no_rtc = boot & 1 << 5;
    f->pm_timer_32bit = flags & 1u << 8;
    f->hardware_reduced = flags & 1u << 20;
    f->reset = read_gas(t, 116);
    f->reset_value = view_u8(t, 128);
    f->reset_supported = (flags & 1u << 10) && f->reset.address &&
                         f->reset.space != ACPI_SPACE_OTHER;
    if ((flags & 1u << 10) && !f->reset_supported)
        acpi_warn(info, "FACP", "the reset register is announced but has no usable address");
}

void acpi_read_fadt(struct acpi_info *info, const struct acpi_view *t)
{
    struct acpi_fadt *f = &info->fadt;

    if (t->len < 116) {
        acpi_warn(info, "FACP", "the table is too short");
        return;
    }
    f->present = true;
    f->revision = view_u8(t, 8);
    f->sci_irq = view_u16(t, 46);
    f->smi_command = view_u32(t, 48);
    f->acpi_enable = view_u8(t, 52);
    f->acpi_disable = view_u8(t, 53);
    f->pm1a_event = read_block(info, t, 56, 88, 148);
    f->pm1b_event = read_block(info, t, 60, 88, 160);
    f->pm1a_control = read_block(info, t, 64, 89, 172);
    f->pm1b_control = read_block(info, t, 68, 89, 184);
    f->pm2_control = read_block(info, t, 72, 90, 196);
    f->pm_timer = read_block(info, t, 76, 91, 208);
    f->gpe0 = read_block(info, t, 80, 92, 220);
    f->gpe1 = read_block(info, t, 84, 93, 232);
    f->century = view_u8(t, 108);
    f->dsdt = view_u64(t, 140) ? view_u64(t, 140) : view_u32(t, 40);
    read_flags(info, t);
    if (!f->pm1a_control.address && !f->hardware_reduced)
        acpi_warn(info, "FACP", "no PM1a control block: power-off will not work");
}

void acpi_read_hpet(struct acpi_info *info, const struct acpi_view *t)
{
    struct acpi_reg r = read_gas(t, 40);

    if (t->len < 56) {
        acpi_warn(info, "HPET", "the table is too short");
        return;
    }
    if (r.space != ACPI_SPACE_MEMORY || r.address == 0 || r.address % 8) {
        acpi_warn(info, "HPET", "the timer has an impossible address");
        return;
    }
    info->hpet_present = true;
    info->hpet_address = r.address;
    info->hpet_id = view_u8(t, 52);
    info->hpet_min_tick = view_u16(t, 53);
}

void acpi_read_mcfg(struct acpi_info *info, const struct acpi_view *t)
{
    for (size_t off = 44; off < t->len; off += 16) {
        struct acpi_view e = view_part(t, off, 16);
        struct acpi_mcfg m = { view_u64(&e, 0), view_u16(&e, 8), view_u8(&e, 10), view_u8(&e, 11) };

        if (e.len < 16 || m.base == 0 || m.base % (1u << 20) ||
            m.base > UINT64_MAX - (256u << 20) || m.bus_first > m.bus_last)
            acpi_warn(info, "MCFG", "an entry is impossible and ignored");
        else if (info->nr_mcfg == ACPI_MAX_MCFG)
            acpi_warn(info, "MCFG", "more than 16 entries, the rest is ignored");
        else
            info->mcfg[info->nr_mcfg++] = m;
    }
}

static void add_iommu(struct acpi_info *info, const char *table, uint64_t base)
{
    for (unsigned i = 0; i < info->nr_iommus; i++) {
        if (info->iommus[i] == base)
            return; /* IVRS describes each unit up to three times */
    }
    if (base == 0)
        acpi_warn(info, table, "an IOMMU has no address");
    else if (info->nr_iommus == ACPI_MAX_IOMMUS)
        acpi_warn(info, table, "more than 16 IOMMUs, the rest is ignored");
    else
        info->iommus[info->nr_iommus++] = base;
}

void acpi_read_dmar(struct acpi_info *info, const struct acpi_view *t)
{
    size_t len;

    for (size_t off = 48; off < t->len; off += len) {
        len = view_u16(t, off + 2);
        if (len < 4 || len > t->len - off) {
            acpi_warn(info, "DMAR", "a structure's length is impossible; the rest is ignored");
            return;
        }
        if (view_u16(t, off) == 0 && len >= 16) /* a DRHD */
            add_iommu(info, "DMAR", view_u64(t, off + 8));
    }
}

void acpi_read_ivrs(struct acpi_info *info, const struct acpi_view *t)
{
    size_t len;

    for (size_t off = 48; off < t->len; off += len) {
        uint8_t type = view_u8(t, off);

        len = view_u16(t, off + 2);
        if (len < 4 || len > t->len - off) {
            acpi_warn(info, "IVRS", "a block's length is impossible; the rest is ignored");
            return;
        }
        if ((type == 0x10 || type == 0x11 || type == 0x40) && len >= 16) /* an IVHD */
            add_iommu(info, "IVRS", view_u64(t, off + 8));
    }
}
