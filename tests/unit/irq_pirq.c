/* SPDX-License-Identifier: MIT */
/* Dom0's PIRQs and MSIs on a simulated PCI bus, with simulated interrupt sources below. */
#include "machine.h"
#include "x86/dev/pci.c"
#include "x86/irq/msi.c"
#include "x86/irq/pirq.c"

struct cpu_features cpu_feat = { .phys_bits = 40 };
struct pcpu *pcpus[MAX_CPUS];
static struct x86_pcpu cpu0 = { .apic_id = 7 };
const struct irq_chip ioapic_chip;
struct frame *frame_table;
uint64_t max_mfn;
unsigned long frame_chunks[1];

/* --- one bus: 00:01.0 with MSI and MSI-X, 00:02.0 with a looping capability list --- */
static uint8_t config[2][256];
static uint32_t config_address;
static uint32_t table[4 * 4]; /* MSI-X table: four entries */
static unsigned int mapped_pages;

#define DEV ((struct pci_addr){ 0, 0, 1 << 3 })
#define LOOP ((struct pci_addr){ 0, 0, 2 << 3 })
#define ABSENT ((struct pci_addr){ 0, 0, 3 << 3 })
#define BAR 0xfebd0000ull
#define MSI_AT 0x50
#define MSIX_AT 0x70

static uint8_t *config_byte(uint16_t port)
{
    unsigned int dev = config_address >> 11 & 0x1f;

    if (!(config_address >> 31) || config_address & 0xffff00 & ~0xf800u || dev < 1 || dev > 2)
        return NULL;
    return &config[dev - 1][(config_address & 0xfc) + (port & 3)];
}

static uint32_t bus_in(uint16_t port, unsigned int size)
{
    uint8_t *p = config_byte(port);
    uint32_t v = ~0u;

    if (p)
        memcpy(&v, p, size);
    return v;
}

static void bus_out(uint16_t port, unsigned int size, uint32_t v)
{
    uint8_t *p;

    if (port == PORT_ADDRESS) {
        config_address = v;
        return;
    }
    p = config_byte(port);
    if (p)
        memcpy(p, &v, size);
}

static uint32_t get(unsigned int reg, unsigned int size)
{
    uint32_t v = 0;

    memcpy(&v, &config[0][reg], size);
    return v;
}

static void set(unsigned int dev, unsigned int reg, uint32_t v, unsigned int size)
{
    memcpy(&config[dev - 1][reg], &v, size);
}

void *vmap(maddr_t pa, size_t len, enum vmap_attr attr)
{
    CHECK(attr == VMAP_UC && len == ENTRY_SIZE);
    CHECK(pa.v >= BAR + 0x800 && pa.v < BAR + 0x840);
    mapped_pages++;
    return &table[(pa.v - BAR - 0x800) / 4];
}

void vunmap(void *va, size_t len)
{
    CHECK(len == ENTRY_SIZE && va);
    mapped_pages--;
}

bool machine_owns_frame(mfn_t mfn)
{
    return mfn.v == 0xfee00;
}

/* --- interrupt sources --- */
static int tables;
static unsigned int sources, guest_eois, unmasked_ports, moves;
static bool vectors_out;
static struct irq lines[24];

struct irq *irq_alloc(const struct irq_chip *chip)
{
    struct irq *irq = calloc(1, sizeof(*irq));

    irq->chip = chip;
    irq->masked = true;
    irq->lock.rank = RANK_IRQ;
    sources++;
    return irq;
}

void irq_free(struct irq *irq)
{
    CHECK(irq->user == IRQ_UNUSED);
    free(irq);
    sources--;
}

struct irq *irq_of_gsi(uint32_t gsi)
{
    return gsi < 24 ? &lines[gsi] : NULL;
}

int irq_assign_vector(struct irq *irq, unsigned int cpu)
{
    if (vectors_out)
        return -XEN_ENOSPC;
    irq->vector = 0x41;
    irq->cpu = cpu;
    if (irq->chip == &msi_chip)
        irq->chip->program(irq, cpu0.apic_id);
    return 0;
}

int irq_bind_guest(struct irq *irq, unsigned int cpu, struct domain *d, uint32_t port)
{
    (void)cpu;
    if (irq->user != IRQ_UNUSED)
        return -XEN_EBUSY;
    irq->user = IRQ_GUEST;
    irq->guest.d = d;
    irq->guest.port = port;
    irq->masked = false;
    if (irq->chip == &msi_chip)
        irq->chip->unmask(irq);
    return 0;
}

void irq_unbind(struct irq *irq)
{
    if (irq->user != IRQ_UNUSED && irq->chip == &msi_chip)
        irq->chip->mask(irq);
    irq->user = IRQ_UNUSED;
    irq->masked = true;
}

void irq_guest_eoi(struct irq *irq)
{
    (void)irq;
    guest_eois++;
}

bool irq_needs_eoi(const struct irq *irq)
{
    return irq->level;
}

void irq_set_cpu(struct irq *irq, unsigned int cpu)
{
    (void)irq;
    (void)cpu;
    moves++;
}

int irq_set_gsi_mode(uint32_t gsi, struct gsi_mode mode)
{
    if (gsi >= 24)
        return -XEN_EINVAL;
    lines[gsi].level = mode.level;
    return 0;
}

uint32_t ioapic_nr_gsis(void)
{
    return 24;
}

int evtchn_unmask(struct domain *d, evtchn_port port)
{
    (void)d;
    (void)port;
    unmasked_ports++;
    return 0;
}

static unsigned long shared_page[512];
static unsigned int typed;

int gfn_get_slowly(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    (void)d;
    CHECK_EQ(access, GFN_WRITE | GFN_MAP);
    *f = frame_of(MFN(gfn.v));
    typed += *f != NULL;
    return *f ? 0 : -XEN_EINVAL;
}

bool frame_get(struct frame *f, const struct domain *d)
{
    (void)f, (void)d;
    return false;
}

void *frame_alloc_hv_order(unsigned int order)
{
    tables++;
    return calloc(1, PAGE_SIZE << order);
}

void frame_free_hv_order(void *p, unsigned int order)
{
    (void)order;
    tables--;
    free(p);
}

void frame_put(struct frame *f)
{
    (void)f;
}

unsigned int dirty_logs;

void dirty_mark_frame(const struct frame *f)
{
    (void)f;
}

void frame_put_typed(struct frame *f)
{
    (void)f;
    typed--;
}

static mfn_t shared_mfn;

void *arch_map(mfn_t mfn)
{
    shared_mfn = mfn;
    return shared_page;
}

mfn_t arch_unmap(const void *p)
{
    (void)p;
    return shared_mfn;
}

static const struct guest_ops dom_ops;
static struct x86_domain dom_record = { .d = { .privileged = true, .ops = &dom_ops } };
static struct x86_domain other_record = { .d = { .id = 1, .ops = &dom_ops } };
#define dom dom_record.d
#define other other_record.d
static struct vcpu vcpu0;

static void setup(void)
{
    static struct frame frames[8];

    memset(config, 0, sizeof(config));
    memset(table, 0xff, sizeof(table));
    pirq_end(&dom);
    memset(lines, 0, sizeof(lines));
    typed = sources = mapped_pages = guest_eois = unmasked_ports = moves = 0;
    vectors_out = false;
    host_machine.in = bus_in;
    host_machine.out = bus_out;
    pcpus[0] = &cpu0.p;
    vcpu0.cpu = &cpu0.p;
    dom.vcpu[0] = &vcpu0;
    frames[5].state = FRAME_RAM;
    frame_table = frames;
    frame_chunks[0] = 1;
    max_mfn = 8;
    set(1, PCI_VENDOR, 0x1af4, 2);
    set(1, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    set(1, PCI_STATUS, PCI_STATUS_CAPS, 2);
    set(1, PCI_CAP_POINTER, MSI_AT, 1);
    set(1, MSI_AT, PCI_CAP_MSI | MSIX_AT << 8, 2);
    set(1, MSI_AT + MSI_CONTROL, MSI_CONTROL_64BIT | MSI_CONTROL_MASKABLE | 0x20, 2);
    set(1, MSIX_AT, PCI_CAP_MSIX, 2);
    set(1, MSIX_AT + MSIX_CONTROL, 3, 2); /* four entries */
    set(1, MSIX_AT + MSIX_TABLE, 0x800 | 1, 4);
    set(2, PCI_VENDOR, 0x8086, 2);
    set(2, PCI_STATUS, PCI_STATUS_CAPS, 2);
    set(2, PCI_CAP_POINTER, 0x40, 1);
    set(2, 0x40, 0x09 | 0x44 << 8, 2);
    set(2, 0x44, 0x0a | 0x40 << 8, 2);
    pirq_init();
}

TEST(capabilities)
{
    setup();
    CHECK_EQ(pci_find_cap(DEV, PCI_CAP_MSI), MSI_AT);
    CHECK_EQ(pci_find_cap(DEV, PCI_CAP_MSIX), MSIX_AT);
    CHECK_EQ(pci_find_cap(DEV, 0x10), 0);
    CHECK_EQ(pci_find_cap(LOOP, PCI_CAP_MSI), 0); /* ends */
    CHECK(!pci_exists(ABSENT));
    CHECK_EQ(pci_find_cap(ABSENT, PCI_CAP_MSI), 0);
}

TEST(dom0s_own_configuration_access)
{
    uint32_t v = 0x80000800;

    setup();
    CHECK(pci_guest_port(0xcf8, 4, true, &v));
    (void)pci_read16(LOOP, PCI_VENDOR); /* ours, in between */
    CHECK(pci_guest_port(0xcfc, 2, false, &v));
    CHECK_EQ(v & 0xffff, 0x1af4);
    CHECK(pci_guest_port(0xcf8, 4, false, &v));
    CHECK_EQ(v, 0x80000800);
    CHECK(!pci_guest_port(0xcf9, 1, true, &v));
    CHECK(!pci_guest_port(0xcf8, 1, true, &v));
    CHECK(!pci_guest_port(0xcfe, 4, false, &v));
    CHECK(!pci_guest_port(0xd00, 1, false, &v));
}

TEST(lines)
{
    int pirq = -1;
    uint32_t flags;

    setup();
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    CHECK_EQ(pirq, 9);
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0); /* again: the same */
    pirq = 10;
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), -XEN_EINVAL);
    pirq = -1;
    CHECK_EQ(pirq_map_gsi(&dom, 24, &pirq), -XEN_EINVAL);
    CHECK_EQ(pirq_map_gsi(&dom, UINT32_MAX, &pirq), -XEN_EINVAL);
    CHECK_EQ(pirq_status(&dom, 9, &flags), 0);
    CHECK_EQ(flags, 0);
    CHECK_EQ(pirq_setup_gsi(&dom, 9, (struct gsi_mode){ .level = true }), 0);
    CHECK_EQ(pirq_status(&dom, 9, &flags), 0);
    CHECK_EQ(flags, XENIRQSTAT_needs_eoi);
    CHECK_EQ(pirq_status(&dom, MAX_PIRQS, &flags), -XEN_EINVAL);
}

TEST(binding)
{
    int pirq = -1;

    setup();
    CHECK_EQ(arch_pirq_bind(&dom, 9, 33, true), -XEN_EPERM); /* not mapped */
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    CHECK_EQ(arch_pirq_bind(&other, 9, 33, true), -XEN_EPERM);
    CHECK_EQ(arch_pirq_bind(&dom, MAX_PIRQS, 33, true), -XEN_EINVAL);
    CHECK_EQ(pirq_eoi(&dom, 9), 0);
    CHECK_EQ(guest_eois, 0); /* not bound: nothing to end */
    CHECK_EQ(arch_pirq_bind(&dom, 9, 33, true), 0);
    CHECK_EQ(arch_pirq_bind(&dom, 9, 34, true), -XEN_EEXIST);
    CHECK_EQ(pirq_eoi(&dom, 9), 0);
    CHECK_EQ(guest_eois, 1);
    CHECK_EQ(pirq_eoi(&dom, MAX_PIRQS), -XEN_EINVAL);
    arch_pirq_set_affinity(&dom, 9, &vcpu0);
    CHECK_EQ(moves, 1);
    CHECK_EQ(pirq_unmap(&dom, 9), 0); /* while the port is open */
    CHECK(lines[9].user == IRQ_UNUSED);
    CHECK_EQ(pirq_unmap(&dom, 9), -XEN_EINVAL);
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), -XEN_EBUSY); /* the old port still names it */
    arch_pirq_unbind(&dom, 9);
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    CHECK_EQ(arch_pirq_bind(&dom, 9, 35, true), 0);
    arch_pirq_unbind(&dom, 9);
    arch_pirq_unbind(&dom, MAX_PIRQS);
}

TEST(in_use_by_the_hypervisor)
{
    int pirq = -1;

    setup();
    lines[4].user = IRQ_HANDLER;
    CHECK_EQ(pirq_map_gsi(&dom, 4, &pirq), 0); /* Linux maps all sixteen */
    CHECK_EQ(arch_pirq_bind(&dom, 4, 3, false), -XEN_EBUSY);
}

TEST(plain_msi)
{
    struct msi_request r = { .dev = DEV };
    int pirq = -1, again = -1;

    setup();
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), 0);
    CHECK_EQ(pirq, 24);
    CHECK_EQ(get(MSI_AT + MSI_ADDR_LO, 4), 0xfee07000);
    CHECK_EQ(get(MSI_AT + MSI_ADDR_HI, 4), 0);
    CHECK_EQ(get(MSI_AT + 12, 2), 0x41);
    CHECK_EQ(get(MSI_AT + 16, 4), 1); /* masked until bound */
    CHECK_EQ(get(MSI_AT + MSI_CONTROL, 2) & MSI_CONTROL_COUNT, 0);
    CHECK_EQ(pirq_map_msi(&dom, &r, &again), 0);
    CHECK_EQ(again, pirq);
    CHECK_EQ(arch_pirq_bind(&dom, 24, 5, false), 0);
    CHECK_EQ(get(MSI_AT + 16, 4), 0);
    set(1, MSI_AT + MSI_CONTROL, get(MSI_AT + MSI_CONTROL, 2) | MSI_CONTROL_ENABLE, 2);
    arch_pirq_unbind(&dom, 24);
    CHECK_EQ(get(MSI_AT + 16, 4), 1);
    CHECK_EQ(pirq_unmap(&dom, 24), 0);
    CHECK_EQ(get(MSI_AT + MSI_CONTROL, 2) & MSI_CONTROL_ENABLE, 0);
    CHECK_EQ(sources, 0);
}

TEST(msix)
{
    struct msi_request r = { .dev = DEV, .table_bar = BAR, .entry_nr = 2 };
    int pirq = -1, second = -1;

    setup();
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), 0);
    CHECK_EQ(table[8], 0xfee07000);
    CHECK_EQ(table[9], 0);
    CHECK_EQ(table[10], 0x41);
    CHECK(table[11] & 1);
    CHECK_EQ(table[7], ~0u); /* its neighbour is untouched */
    r.entry_nr = 3;
    CHECK_EQ(pirq_map_msi(&dom, &r, &second), 0);
    CHECK(second != pirq);
    CHECK_EQ(arch_pirq_bind(&dom, (unsigned int)pirq, 5, false), 0);
    CHECK(!(table[11] & 1));
    CHECK(table[15] & 1);
    table[8] = table[9] = table[10] = 0; /* the device was reset */
    table[11] = 1;
    CHECK_EQ(pirq_restore_msi(&dom, DEV), 0);
    dom_record.pirqs.table[pirq].irq->cpu = 0;
    CHECK_EQ(table[8], 0xfee07000);
    CHECK_EQ(table[10], 0x41);
    CHECK(!(table[11] & 1));
    CHECK(table[15] & 1);
    CHECK_EQ(get(MSIX_AT + MSIX_CONTROL, 2), MSIX_CONTROL_ENABLE | 3);
    arch_pirq_unbind(&dom, (unsigned int)pirq);
    CHECK_EQ(pirq_unmap(&dom, (uint32_t)pirq), 0);
    CHECK_EQ(pirq_unmap(&dom, (uint32_t)second), 0);
    CHECK_EQ(sources, 0);
    CHECK_EQ(mapped_pages, 0);
}

TEST(refused_messages)
{
    struct msi_request r = { .dev = ABSENT };
    int pirq = -1;

    setup();
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ENODEV);
    r.dev = LOOP;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ENODEV);
    r = (struct msi_request){ .dev = DEV, .table_bar = BAR, .entry_nr = 4 };
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ERANGE);
    r.entry_nr = 0;
    r.table_bar = 0x5000 - 0x800; /* RAM */
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_EACCES);
    r.table_bar = 0xfee00000 - 0x800; /* the local APIC */
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_EACCES);
    r.table_bar = UINT64_MAX;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_EACCES);
    r.table_bar = 1ull << 41;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_EACCES);
    r.table_bar = BAR;
    set(1, PCI_COMMAND, 0, 2);
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ENXIO);
    set(1, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    vectors_out = true;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ENOSPC);
    vectors_out = false;
    pirq = 3; /* a line's number */
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ERANGE);
    pirq = INT32_MAX;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), -XEN_ERANGE);
    CHECK_EQ(sources, 0);
    CHECK_EQ(mapped_pages, 0);
}

TEST(numbers_to_keep)
{
    struct msi_request r = { .dev = DEV };
    uint32_t a, b;
    int pirq;

    setup();
    CHECK_EQ(pirq_get_free(&dom, &a), 0);
    CHECK_EQ(pirq_get_free(&dom, &b), 0);
    CHECK(a != b && a >= 24);
    pirq = (int)b;
    CHECK_EQ(pirq_map_msi(&dom, &r, &pirq), 0);
    CHECK_EQ(pirq, b);
    CHECK_EQ(pirq_unmap(&dom, a), 0);
    CHECK_EQ(pirq_unmap(&dom, b), 0);
    for (uint32_t n = 24; n < MAX_PIRQS; n++)
        CHECK_EQ(pirq_get_free(&dom, &a), 0);
    CHECK_EQ(pirq_get_free(&dom, &a), -XEN_ENOSPC);
}

/* Each domain has a table of its own; the end of one gives everything back. */
TEST(a_table_for_each)
{
    const struct msi_request r = { .dev = DEV };
    int pirq = -1, msi = -1;

    setup();
    CHECK_EQ(tables, 0);
    CHECK_EQ(arch_pirq_bind(&other, 9, 33, true), -XEN_EPERM);
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    CHECK_EQ(pirq_map_msi(&dom, &r, &msi), 0);
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(5), false), 0);
    CHECK_EQ(tables, 1);
    CHECK_EQ(arch_pirq_bind(&other, 9, 33, true), -XEN_EPERM);
    CHECK_EQ(pirq_unmap(&other, 9), -XEN_EINVAL);
    pirq = -1;
    CHECK_EQ(pirq_map_gsi(&other, 10, &pirq), 0);
    CHECK_EQ(arch_pirq_bind(&other, 9, 33, true), -XEN_EPERM); /* not mapped by it */
    CHECK_EQ(tables, 2);
    CHECK_EQ(sources, 1);
    pirq_end(&other);
    pirq_end(&dom);
    CHECK_EQ(tables, 0);
    CHECK_EQ(sources, 0);
    CHECK_EQ(typed, 0);
}

TEST(page_of_needs)
{
    int pirq = -1;

    setup();
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    lines[9].level = true;
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(6), false), -XEN_EINVAL); /* not RAM */
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(~0ull), false), -XEN_EINVAL);
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(5), false), 0);
    CHECK(bit_test(shared_page, 9));
    CHECK_EQ(pirq_setup_gsi(&dom, 9, (struct gsi_mode){ 0 }), 0);
    CHECK(!bit_test(shared_page, 9));
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(5), true), -XEN_EBUSY);
    CHECK_EQ(typed, 1);
    CHECK_EQ(arch_pirq_bind(&dom, 9, 3, true), 0);
    CHECK_EQ(pirq_eoi(&dom, 9), 0);
    CHECK_EQ(unmasked_ports, 0);
    setup();
    CHECK_EQ(pirq_set_eoi_page(&dom, GFN(5), true), 0);
    CHECK_EQ(pirq_map_gsi(&dom, 9, &pirq), 0);
    CHECK_EQ(arch_pirq_bind(&dom, 9, 3, true), 0);
    CHECK_EQ(pirq_eoi(&dom, 9), 0);
    CHECK_EQ(unmasked_ports, 1); /* version 1 */
}
