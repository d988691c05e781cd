# SPDX-License-Identifier: MIT
# make            build/orlop.elf (QEMU, GRUB), build/orlop.gz, build/orlop.syms
# make DEBUG=1    the same with ASSERTs and lock checks, under build/debug/
# make test lint size run run-gdb iso deb format clean

ROOT_BUILD := build
BUILD := $(if $(DEBUG),$(ROOT_BUILD)/debug,$(ROOT_BUILD))
CC ?= gcc
.DEFAULT_GOAL := all

XEN_DEFS := -D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100
WARN := -Wall -Wextra -Werror -Wvla -Wframe-larger-than=1536 -Wundef -Wshadow -Wno-unused-parameter \
	-Wno-sign-compare -Wno-missing-field-initializers
HV_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fpie -fvisibility=hidden -fno-strict-aliasing \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-jump-tables \
	-mgeneral-regs-only -mno-red-zone -mpreferred-stack-boundary=3 \
	-mindirect-branch=thunk-extern -mindirect-branch-register \
	$(WARN) $(XEN_DEFS) -include hv/hidden.h -I. -Ihv -I$(BUILD) $(if $(DEBUG),-DORLOP_DEBUG)

HV_C := $(filter-out hv/x86/asm_offsets.c hv/x86/boot/unpack_shim.c,$(shell find hv lib -name '*.c' | LC_ALL=C sort))
HV_S := $(filter-out hv/image.S,$(shell find hv -name '*.S' | LC_ALL=C sort))
HV_OBJ := $(HV_C:%.c=$(BUILD)/obj/%.o) $(HV_S:%.S=$(BUILD)/obj/%.o)

all: $(BUILD)/orlop.elf $(BUILD)/orlop.gz

include hv/x86/boot/unpack.mk
-include $(wildcard tests/unit/*.mk tests/fuzz/*.mk tests/model/*.mk tests/guests/guests.mk \
	tests/xenstored/xs.mk tests/consoled/*.mk tests/cli/cli.mk tools/tools.mk tests/builder/*.mk)

$(BUILD)/asm-offsets.h: hv/x86/asm_offsets.c
	@mkdir -p $(@D)
	@$(CC) $(HV_CFLAGS) -g0 -MMD -MF $(BUILD)/asm-offsets.d -MT $@ -S -o $(BUILD)/asm-offsets.s $<
	@sed -n 's/.*"->\([A-Za-z0-9_]*\) \$$*\(-*[0-9]*\)".*/#define \1 \2/p' $(BUILD)/asm-offsets.s > $@

# The letters of the screen.
$(BUILD)/font.h: scripts/font
	@mkdir -p $(@D)
	@scripts/font $@
$(BUILD)/obj/hv/x86/picture.o: $(BUILD)/font.h

$(BUILD)/obj/%.o: %.c | $(BUILD)/asm-offsets.h
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(HV_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.S $(BUILD)/asm-offsets.h
	@mkdir -p $(@D)
	@echo "AS $<"
	@$(CC) $(filter-out -include hv/hidden.h,$(HV_CFLAGS)) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

$(BUILD)/orlop.syms: $(HV_OBJ) $(UNPACK_O) hv/hv.ld
	ld -static -no-pie -z noexecstack -z max-page-size=4096 --build-id=none -T hv/hv.ld -o $@ $(HV_OBJ) $(UNPACK_O)

# The image with its bss, and the table of function names for backtraces behind it.
$(BUILD)/orlop.bin: $(BUILD)/orlop.syms
	objcopy -O binary --set-section-flags .bss=alloc,load,contents $< $@

$(BUILD)/orlop.symtab: $(BUILD)/orlop.syms scripts/symtab
	scripts/symtab $< $@

$(BUILD)/orlop.elf: hv/image.S hv/image.ld $(BUILD)/orlop.bin $(BUILD)/orlop.symtab
	$(CC) -m32 -c -I$(BUILD) -Wa,-I$(BUILD) -o $(BUILD)/image.o hv/image.S
	ld -m elf_i386 -n -z max-page-size=4096 -T hv/image.ld --build-id=none -o $@ $(BUILD)/image.o

$(BUILD)/orlop.gz: $(BUILD)/orlop.elf
	gzip -9nc $< > $@

-include $(HV_OBJ:.o=.d) $(BUILD)/asm-offsets.d

# --- tests and checks ---
unit: $(UNIT_TESTS)
	@scripts/run-tests $(UNIT_TESTS)

# Here, since each tests/fuzz/*.mk adds its own.
fuzz: $(FUZZERS)

# All of these built, none run: what a change of a shared file breaks shows here.
test-programs: $(UNIT_TESTS) $(FUZZERS) $(TSAN_TESTS)

tsan: $(TSAN_TESTS)
	@scripts/run-tests $(TSAN_TESTS)

# Both, even if the first fails.
test:
	@$(MAKE) --no-print-directory -k unit fuzz

lint:
	@scripts/lint

size:
	@scripts/size

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

# --- running ---
run: all
	@scripts/run-qemu

run-gdb: all
	@scripts/run-qemu --gdb

iso: all
	@scripts/make-iso

# Debian packages, in build/deb.
deb:
	@scripts/deb

clean:
	rm -rf $(BUILD)/obj $(BUILD)/orlop.* $(BUILD)/asm-offsets.* $(BUILD)/image.o $(BUILD)/tests

.PHONY: all unit tsan test test-programs lint size format run run-gdb iso deb clean
