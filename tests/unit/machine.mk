# SPDX-License-Identifier: MIT
# Unit tests of x86/irq, x86/time, dev and power: each includes the C file that it looks into, on the
# simulated machine of tests/host (whose headers come first).

MACHINE_SRC := tests/host/x86/cpu/ops.c $(filter-out lib/string.c,$(wildcard lib/*.c))
MACHINE_UNIT := $(patsubst tests/unit/%.c,$(UNIT_OUT)/%,$(wildcard tests/unit/irq_*.c tests/unit/time_*.c tests/unit/dev_*.c))
UNIT_TESTS += $(MACHINE_UNIT)

$(UNIT_OUT)/time_stable: MACHINE_EXTRA := hv/x86/time/stable.c
$(UNIT_OUT)/dev_power: MACHINE_EXTRA := hv/x86/s5.c
$(UNIT_OUT)/time_tsc: MACHINE_EXTRA := hv/x86/time/pmtimer.c hv/x86/time/pit.c hv/x86/time/vtsc.c

$(MACHINE_UNIT): $(UNIT_OUT)/%: tests/unit/%.c tests/unit/unit.h tests/unit/machine.h $(MACHINE_SRC) \
		$(wildcard hv/x86/irq/*.[ch] hv/x86/time/*.[ch] hv/x86/dev/*.[ch] hv/x86/pv/*.[ch] hv/x86/*.[ch] hv/x86/cpu/*.[ch] hv/core/*.h) \
		tests/unit/machine.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host -I. -Ihv -Itests/unit -o $@ $< $(MACHINE_SRC) $(MACHINE_EXTRA)

# What a guest sees of the hypervisor on a processor with Meltdown; the entry code's pages as the link has them.
UNIT_TESTS += $(UNIT_OUT)/mm_isolation
$(UNIT_OUT)/mm_isolation: tests/unit/mm_isolation.c hv/x86/mm/isolation.c tests/unit/unit.h $(wildcard hv/x86/mm/*.h hv/x86/cpu/*.h hv/core/*.h \
		tests/host/pv_inc/*/*/*.h) tests/unit/machine.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -fPIC -no-pie -Itests/host/pv_inc -Itests/host -I. -Ihv -Itests/unit -o $@ $< \
		-Wl,--no-relax,--defsym=__entry_start=0xffff818000401000,--defsym=__entry_end=0xffff818000404000

UNIT_TESTS += $(UNIT_OUT)/mm_tlb
$(UNIT_OUT)/mm_tlb: tests/unit/mm_tlb.c hv/x86/mm/tlb.c tests/unit/unit.h $(wildcard hv/x86/mm/*.h hv/x86/cpu/*.h hv/core/*.h \
		tests/host/pv_inc/*/*/*.h) tests/unit/machine.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -Itests/host/pv_inc -Itests/host -I. -Ihv -Itests/unit -o $@ $<

UNIT_TESTS += $(UNIT_OUT)/efi_calls
$(UNIT_OUT)/efi_calls: tests/unit/efi_calls.c hv/x86/hypercall/efi.c lib/efi_map.c tests/unit/unit.h $(wildcard hv/x86/*/efi.h hv/x86/efi/*.h hv/core/*.h) \
		tests/unit/machine.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -I. -Ihv -Itests/unit -o $@ $< hv/x86/hypercall/efi.c lib/efi_map.c
