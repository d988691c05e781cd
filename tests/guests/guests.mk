# SPDX-License-Identifier: MIT
# Micro-guests: one ELF per folder of tests/guests. Included by the top Makefile; also runs alone:
#   make -f tests/guests/guests.mk guests
# A folder's guest.mk may set, for its own NAME: guest-base-NAME (the note VIRT_BASE) and
# guest-notes-NAME (definitions for lib/head.S). Folders named pvh-* are PVH guests: lib-pvh in place
# of the PV half of lib, linked at 1 MiB.

GUEST_DIR   := tests/guests
GUEST_OUT   := build/guests
GUEST_NAMES := $(patsubst $(GUEST_DIR)/%/main.c,%,$(wildcard $(GUEST_DIR)/*/main.c))
GUEST_BOTH_C := console string trap event account
GUEST_LIB_C := $(GUEST_BOTH_C) trap_pv mm user start smp domain
GUEST_CC    ?= $(CC)
GUEST_FLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -ffreestanding \
    -fno-builtin-printf -mgeneral-regs-only -mno-red-zone -fPIC -fvisibility=hidden \
    -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing \
    -D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I$(GUEST_DIR)/lib -I$(GUEST_DIR)/lib-pvh -I.

-include $(wildcard $(GUEST_DIR)/*/guest.mk)

.PHONY: guests
guests: $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf)

GUEST_LIB_O := $(GUEST_LIB_C:%=$(GUEST_OUT)/lib/%.o) $(GUEST_OUT)/lib/entry.o $(GUEST_OUT)/lib/guarded.o
GUEST_PVH_O := $(GUEST_BOTH_C:%=$(GUEST_OUT)/lib/%.o) $(GUEST_OUT)/lib/guarded.o \
    $(GUEST_OUT)/lib-pvh/start.o $(GUEST_OUT)/lib-pvh/entry.o $(GUEST_OUT)/lib-pvh/smp.o \
    $(GUEST_OUT)/lib-pvh/smp_entry.o
.SECONDARY: $(GUEST_LIB_O) $(GUEST_PVH_O)

$(GUEST_OUT)/lib-pvh/%.o: $(GUEST_DIR)/lib-pvh/%.c $(GUEST_DIR)/guests.mk
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) -MMD -MP -c -o $@ $<

$(GUEST_OUT)/lib-pvh/%.o: $(GUEST_DIR)/lib-pvh/%.S $(GUEST_DIR)/guests.mk
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) -MMD -MP -D__ASSEMBLY__ -c -o $@ $<

$(GUEST_OUT)/lib/%.o: $(GUEST_DIR)/lib/%.c $(GUEST_DIR)/guests.mk
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) -MMD -MP -c -o $@ $<

$(GUEST_OUT)/lib/%.o: $(GUEST_DIR)/lib/%.S $(GUEST_DIR)/guests.mk
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_FLAGS) -MMD -MP -D__ASSEMBLY__ -c -o $@ $<

.SECONDEXPANSION:
$(GUEST_OUT)/pvh-%.elf: $$(wildcard $(GUEST_DIR)/pvh-%/*) $(GUEST_PVH_O) $(GUEST_DIR)/lib-pvh/head.S \
        $(GUEST_DIR)/lib/guest.ld $(wildcard $(GUEST_DIR)/lib/*.h $(GUEST_DIR)/lib-pvh/*.h)
	@mkdir -p $(GUEST_OUT)/obj
	$(GUEST_CC) $(GUEST_FLAGS) $(guest-notes-pvh-$*) -c -o $(GUEST_OUT)/obj/pvh-$*.o $(GUEST_DIR)/pvh-$*/main.c
	$(GUEST_CC) $(GUEST_FLAGS) $(guest-notes-pvh-$*) -D__ASSEMBLY__ -c \
	    -o $(GUEST_OUT)/obj/pvh-$*-head.o $(GUEST_DIR)/lib-pvh/head.S
	echo 'const char guest_name[] = "pvh-$*";' | $(GUEST_CC) $(GUEST_FLAGS) -fno-lto -x c -c \
	    -o $(GUEST_OUT)/obj/pvh-$*-name.o -
	$(LD) -static -no-pie -nostdlib -z max-page-size=4096 --no-warn-rwx-segments --defsym VIRT_BASE=0 \
	    -T $(GUEST_DIR)/lib/guest.ld -o $@ $(GUEST_OUT)/obj/pvh-$*-head.o $(GUEST_OUT)/obj/pvh-$*.o \
	    $(GUEST_OUT)/obj/pvh-$*-name.o $(GUEST_PVH_O)

$(GUEST_OUT)/%.elf: $$(wildcard $(GUEST_DIR)/%/*) $(GUEST_LIB_O) $(GUEST_DIR)/lib/head.S \
        $(GUEST_DIR)/lib/guest.ld $(wildcard $(GUEST_DIR)/lib/*.h)
	@mkdir -p $(GUEST_OUT)/obj
	$(GUEST_CC) $(GUEST_FLAGS) $(guest-notes-$*) -c -o $(GUEST_OUT)/obj/$*.o $(GUEST_DIR)/$*/main.c
	$(GUEST_CC) $(GUEST_FLAGS) $(guest-notes-$*) -D__ASSEMBLY__ -c \
	    -o $(GUEST_OUT)/obj/$*-head.o $(GUEST_DIR)/lib/head.S
	echo 'const char guest_name[] = "$*";' | $(GUEST_CC) $(GUEST_FLAGS) -fno-lto -x c -c \
	    -o $(GUEST_OUT)/obj/$*-name.o -
	$(LD) -static -no-pie -nostdlib -z max-page-size=4096 --no-warn-rwx-segments \
	    --defsym VIRT_BASE=$(or $(guest-base-$*),0xffffffff80000000) -T $(GUEST_DIR)/lib/guest.ld \
	    -o $@ $(GUEST_OUT)/obj/$*-head.o $(GUEST_OUT)/obj/$*.o $(GUEST_OUT)/obj/$*-name.o \
	    $(GUEST_LIB_O)

-include $(wildcard $(GUEST_OUT)/lib/*.d $(GUEST_OUT)/lib-pvh/*.d)
