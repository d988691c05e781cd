/* SPDX-License-Identifier: MIT */
/* What the steps of the PV model test choose from, and how they call. */
#ifndef TESTS_MODEL_PV_PICK_H
#define TESTS_MODEL_PV_PICK_H

#include "core/hypercall.h"
#include "model/pv_ops.h"
#include "x86/pv/mm.h"

#define PAGES 150u    /* a domain begins with */
#define TABLES 8u     /* the first of them: tables and two spare L4s */
#define ARGS_SLOT 16u /* four pages for each vCPU's arguments */
#define ARGS_PAGES 4u
#define WINDOW 1024u /* slots that have L1 tables at first */
#define FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX)

extern uint64_t hot_frame[6];
extern __thread const uint8_t *choices;
extern __thread size_t choices_left;
extern __thread struct rng rng;
extern __thread unsigned int depth;
extern uint64_t first_l4[PV_DOMAINS];

static inline pte_t *page(uint64_t mfn)
{
    return direct(mfn << PAGE_SHIFT);
}

void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
uint64_t choose(void);
uint64_t below(uint64_t n);
bool one_in(uint64_t n);
bool is_own(const struct domain *d, uint64_t m);
uint64_t own_frame(const struct domain *d, unsigned int type);
uint64_t strange_frame(const struct domain *d);
uint64_t pick_frame(const struct domain *d);
pte_t pick_flags(void);
pte_t pick_l1e(const struct domain *d);
pte_t pick_entry(const struct domain *d, int level);
unsigned int pick_index(int level);
unsigned int pick_slot(void);
uint64_t pick_va(void);
uint64_t slot_entry(struct vcpu *v, unsigned int slot);
uint64_t slot_frame(struct vcpu *v, unsigned int slot);
long call(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1, unsigned long a2,
          unsigned long a3);
uint64_t args_va(const struct vcpu *v);
void recover(struct vcpu *v);
bool put_args(struct vcpu *v, unsigned int offset, const void *src, size_t n);
bool get_args(struct vcpu *v, unsigned int offset, void *dst, size_t n);

#endif
