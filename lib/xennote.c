/* SPDX-License-Identifier: MIT */
#include "lib/xennote.h"

#include <stddef.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "lib/macros.h"
#include "lib/string.h"
#include "lib/strutil.h"

static const struct {
    const char *name;
    unsigned bit;
} feature_names[] = {
    { "writable_page_tables", XENFEAT_writable_page_tables },
    { "writable_descriptor_tables", XENFEAT_writable_descriptor_tables },
    { "auto_translated_physmap", XENFEAT_auto_translated_physmap },
    { "supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel },
    { "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb },
    { "mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad },
    { "highmem_assist", XENFEAT_highmem_assist },
    { "gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits },
    { "hvm_callback_vector", XENFEAT_hvm_callback_vector },
    { "hvm_safe_pvclock", XENFEAT_hvm_safe_pvclock },
    { "hvm_pirqs", XENFEAT_hvm_pirqs },
    { "dom0", XENFEAT_dom0 },
    { "memory_op_vnode_supported", XENFEAT_memory_op_vnode_supported },
    { "linux_rsdp_unrestricted", XENFEAT_linux_rsdp_unrestricted },
    { "not_direct_mapped", XENFEAT_not_direct_mapped },
    { "direct_mapped", XENFEAT_direct_mapped },
};

/* The feature's bit as a mask, or 0. The name is not terminated. */
static uint32_t feature_mask(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(feature_names); i++) {
        if (strlen(feature_names[i].name) == len && memcmp(feature_names[i].name, name, len) == 0)
            return UINT32_C(1) << feature_names[i].bit;
    }
    return 0;
}

/* A list such as "!writable_page_tables|dom0". */
static void add_features(struct xen_notes *n, const char *s, size_t len)
{
    const char *end = s + strnlen(s, len);

    while (s < end) {
        bool required = *s == '!';
        const char *name = required ? s + 1 : s;
        uint32_t mask;

        for (s = name; s < end && *s != '|'; s++)
            ;
        mask = feature_mask(name, (size_t)(s - name));
        n->features_supported |= mask;
        if (required) {
            n->features_required |= mask;
            n->unknown_required |= mask == 0;
        }
        s += s < end; /* the | */
    }
}

static void get_text(const struct elf_note *note, char *out)
{
    size_t len = strnlen((const char *)note->desc, note->desc_len);

    if (len >= XENNOTE_TEXT_MAX)
        len = XENNOTE_TEXT_MAX - 1;
    memcpy(out, note->desc, len);
    out[len] = '\0';
}

static bool text_is_yes(const struct elf_note *note)
{
    return note->desc_len >= 3 && memcmp(note->desc, "yes", 3) == 0;
}

/* The notes whose value is text. Returns false if `note` is none of them. */
static bool take_text(struct xen_notes *n, const struct elf_note *note)
{
    switch (note->type) {
    case XEN_ELFNOTE_INFO:
        break;
    case XEN_ELFNOTE_XEN_VERSION:
        get_text(note, n->xen_version);
        break;
    case XEN_ELFNOTE_GUEST_OS:
        get_text(note, n->guest_os);
        break;
    case XEN_ELFNOTE_GUEST_VERSION:
        get_text(note, n->guest_version);
        break;
    case XEN_ELFNOTE_LOADER:
        get_text(note, n->loader);
        break;
    case XEN_ELFNOTE_FEATURES:
        add_features(n, (const char *)note->desc, note->desc_len);
        break;
    case XEN_ELFNOTE_PAE_MODE:
        n->pae = text_is_yes(note);
        break;
    case XEN_ELFNOTE_BSD_SYMTAB:
        n->bsd_symtab = text_is_yes(note);
        break;
    default:
        return false;
    }
    return true;
}

/* True if the value of the note is one number of 4 or 8 bytes. */
static bool get_number(const struct elf_note *note, uint64_t *out)
{
    return note->desc_len >= 4 && elf_note_number(note, out);
}

/*
 * The notes that a PV guest is built by, each one number. Sets *why if it is none. Returns false if
 * `note` is none of them.
 */
static bool take_needed(struct xen_notes *n, const struct elf_note *note, const char **why)
{
    uint64_t features = 0, mod_start = 0, *to;

    switch (note->type) {
    case XEN_ELFNOTE_ENTRY:
        to = &n->entry;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        to = &n->hypercall_page;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        to = &n->virt_base;
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        to = &n->paddr_offset;
        break;
    case XEN_ELFNOTE_HV_START_LOW:
        to = &n->hv_start_low;
        break;
    case XEN_ELFNOTE_INIT_P2M:
        to = &n->init_p2m;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        to = &mod_start;
        break;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        to = &features;
        break;
    default:
        return false;
    }
    if (!get_number(note, to))
        *why = "a numeric Xen note has a length other than 4 or 8";
    n->mod_start_pfn |= mod_start != 0;
    n->features_supported |= (uint32_t)features;
    return true;
}

/*
 * The notes that no PV guest needs: one that cannot be read counts as missing. Returns false then,
 * and for notes that are unknown.
 */
static bool take_optional(struct xen_notes *n, const struct elf_note *note)
{
    uint64_t v;

    switch (note->type) {
    case XEN_ELFNOTE_PHYS32_ENTRY:
        return get_number(note, &n->phys32_entry);
    case XEN_ELFNOTE_SUSPEND_CANCEL:
        if (!get_number(note, &v))
            return false;
        n->suspend_cancel = v != 0;
        return true;
    case XEN_ELFNOTE_L1_MFN_VALID:
        if (note->desc_len < 16)
            return false;
        memcpy(&n->l1_valid_mask, note->desc, 8);
        memcpy(&n->l1_valid_value, note->desc + 8, 8);
        return true;
    default:
        return false;
    }
}

/*
 * Notes that are unknown here say what newer hypervisors may make use of, in a form that is theirs:
 * whatever stands in them is passed over. The list of the known ones is this file's, not that of
 * the headers it is compiled with.
 */
static const char *take_note(struct xen_notes *n, const struct elf_note *note)
{
    const char *why = NULL;

    if (note->type >= 32 || xennote_has(n, note->type))
        return NULL;
    if (take_text(n, note) || take_needed(n, note, &why) || take_optional(n, note))
        n->present |= UINT32_C(1) << note->type;
    return why;
}

/* --- what older kernels have in place of notes: text in a section of its own --- */

static void keep_text(char *out, const char *s, size_t len)
{
    len = MIN(len, XENNOTE_TEXT_MAX - 1u);
    memcpy(out, s, len);
    out[len] = '\0';
}

/* The number that is all of the text. */
static bool text_number(const char *s, size_t len, uint64_t *out)
{
    const char *end;
    char buf[32];

    if (len >= sizeof(buf))
        return false;
    memcpy(buf, s, len);
    buf[len] = '\0';
    return str_to_u64(buf, &end, 0, out) && !*end;
}

/* Keys of numbers, and where they go. */
static uint64_t *legacy_number(struct xen_notes *n, const char *key, unsigned *type)
{
    const struct {
        const char *key;
        unsigned type;
        uint64_t *to;
    } numbers[] = {
        { "VIRT_ENTRY", XEN_ELFNOTE_ENTRY, &n->entry },
        { "VIRT_BASE", XEN_ELFNOTE_VIRT_BASE, &n->virt_base },
        { "ELF_PADDR_OFFSET", XEN_ELFNOTE_PADDR_OFFSET, &n->paddr_offset },
        { "HYPERCALL_PAGE", XEN_ELFNOTE_HYPERCALL_PAGE, &n->hypercall_page },
    };

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (str_eq(numbers[i].key, key)) {
            *type = numbers[i].type;
            return numbers[i].to;
        }
    }
    return NULL;
}

static char *legacy_text(struct xen_notes *n, const char *key, unsigned *type)
{
    const struct {
        const char *key;
        unsigned type;
        char *to;
    } texts[] = {
        { "GUEST_OS", XEN_ELFNOTE_GUEST_OS, n->guest_os },
        { "GUEST_VER", XEN_ELFNOTE_GUEST_VERSION, n->guest_version },
        { "XEN_VER", XEN_ELFNOTE_XEN_VERSION, n->xen_version },
        { "LOADER", XEN_ELFNOTE_LOADER, n->loader },
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (str_eq(texts[i].key, key)) {
            *type = texts[i].type;
            return texts[i].to;
        }
    }
    return NULL;
}

/* One KEY=VALUE. False: the value of a number is none. */
static bool take_legacy(struct xen_notes *n, const char *key, const char *value, size_t len)
{
    unsigned type = XEN_ELFNOTE_INFO;
    uint64_t *number = legacy_number(n, key, &type);
    char *text = number ? NULL : legacy_text(n, key, &type);

    if (number && !text_number(value, len, number))
        return false;
    if (text)
        keep_text(text, value, len);
    if (str_eq(key, "FEATURES")) {
        type = XEN_ELFNOTE_FEATURES;
        add_features(n, value, len);
    } else if (str_eq(key, "PAE")) {
        type = XEN_ELFNOTE_PAE_MODE;
        n->pae = len >= 3 && memcmp(value, "yes", 3) == 0;
    } else if (str_eq(key, "BSD_SYMTAB")) {
        type = XEN_ELFNOTE_BSD_SYMTAB;
        n->bsd_symtab = true;
    }
    n->present |= UINT32_C(1) << type;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The next KEY or KEY=VALUE up to a comma or the text's end; false at the end. */
static bool next_legacy(const char **s, const char *end, char *key, size_t room, const char **value,
                        size_t *len)
{
    const char *p = *s, *stop, *eq;
    size_t n;

    while (p < end && (is_blank(*p) || *p == ','))
        p++;
    if (p == end)
        return false;
    for (stop = p; stop < end && *stop != ','; stop++)
        ;
    *s = stop;
    for (eq = p; eq < stop && *eq != '='; eq++)
        ;
    n = MIN((size_t)(eq - p), room - 1);
    while (n && is_blank(p[n - 1]))
        n--;
    memcpy(key, p, n);
    key[n] = '\0';
    *value = eq < stop ? eq + 1 : stop;
    while (stop > *value && is_blank(stop[-1]))
        stop--;
    *len = (size_t)(stop - *value);
    return true;
}

/*
 * Section __xen_guest, as the comments "LEGACY" of <xen/elfnote.h> have it. The hypercall page is
 * told by its frame there, and p_paddr counts from virt_base unless it is said otherwise.
 */
static const char *parse_legacy(const struct elf_image *e, struct xen_notes *n)
{
    const char *s, *end, *value;
    const uint8_t *data;
    size_t size, len;
    char key[24];

    if (!elf_find_section(e, "__xen_guest", &data, &size))
        return NULL;
    s = (const char *)data;
    end = s + strnlen(s, size);
    while (next_legacy(&s, end, key, sizeof(key), &value, &len))
        if (!take_legacy(n, key, value, len))
            return "a number in the section __xen_guest is none";
    if (!xennote_has(n, XEN_ELFNOTE_PADDR_OFFSET))
        n->paddr_offset = n->virt_base;
    if (xennote_has(n, XEN_ELFNOTE_HYPERCALL_PAGE))
        n->hypercall_page = n->virt_base + (n->hypercall_page << 12);
    return NULL;
}

const char *xennote_parse(const struct elf_image *e, struct xen_notes *out)
{
    struct elf_note_iter it = { 0 };
    struct elf_note note;
    const char *legacy;

    memset(out, 0, sizeof(*out));
    while (elf_next_note(e, &it, &note)) {
        const char *why = elf_note_named(&note, "Xen") ? take_note(out, &note) : NULL;

        if (why)
            return why;
    }
    legacy = out->present ? NULL : parse_legacy(e, out);
    if (legacy)
        return legacy;
    if (!xennote_has(out, XEN_ELFNOTE_ENTRY))
        out->entry = e->entry;
    return out->present ? NULL : "no Xen notes: the kernel is built without support for Xen";
}

/*
 * What a kernel may require although XENVER_get_features does not show it: plain writes to page
 * tables are carried out (the flag would say that tables need no write protection), and tables
 * above 4 GiB are an assist that is switched on.
 */
#define ALWAYS_MET \
    (UINT32_C(1) << XENFEAT_writable_page_tables | UINT32_C(1) << XENFEAT_pae_pgdir_above_4gb)

const char *xennote_check_pv(const struct xen_notes *n, const struct elf_image *e,
                             uint64_t hv_start, uint32_t offered, bool dom0)
{
    if (e->machine != ELF_EM_X86_64)
        return "the kernel is not for x86-64";
    if (xennote_has(n, XEN_ELFNOTE_PHYS32_ENTRY) && !xennote_has(n, XEN_ELFNOTE_VIRT_BASE) &&
        !xennote_has(n, XEN_ELFNOTE_ENTRY))
        return "the kernel supports PVH only, not PV";
    if (xennote_has(n, XEN_ELFNOTE_LOADER) && !str_eq(n->loader, "generic"))
        return "the kernel's Xen notes name a loader other than generic";
    if (xennote_has(n, XEN_ELFNOTE_XEN_VERSION) && !str_eq(n->xen_version, "xen-3.0"))
        return "the kernel's Xen notes name an interface other than xen-3.0";
    if (n->unknown_required)
        return "the kernel requires a Xen feature that is unknown here";
    if (n->features_required & ~(offered | ALWAYS_MET))
        return "the kernel requires a Xen feature that is not offered to PV guests";
    if (dom0 && xennote_has(n, XEN_ELFNOTE_SUPPORTED_FEATURES) &&
        !(n->features_supported & UINT32_C(1) << XENFEAT_dom0))
        return "the kernel is built without support for being Domain 0";
    if (xennote_has(n, XEN_ELFNOTE_HV_START_LOW) && n->hv_start_low > hv_start)
        return "the kernel wants addresses that belong to the hypervisor";
    return NULL;
}
