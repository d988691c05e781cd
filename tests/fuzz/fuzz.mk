# SPDX-License-Identifier: MIT
# Fuzzers, with clang's libFuzzer. `make fuzz` runs each for FUZZ_SECONDS. One of them without an
# end: `make fuzz FUZZ_SECONDS=0 FUZZERS=build/tests/fuzz/fuzz_elf`.

BUILD ?= build
FUZZ_OUT ?= $(BUILD)/tests/fuzz
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 5
FUZZ_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100 -I. -Ihv

FUZZ_LIB_SRC := $(filter-out lib/string.c,$(wildcard lib/*.c))
FUZZ_ACPI_SRC := $(wildcard hv/x86/acpi/*.c)

FUZZ_LIB := $(patsubst %,$(FUZZ_OUT)/fuzz_%,elf bzimage cmdline format pvlayout cpu_policy)
FUZZERS += $(FUZZ_LIB) $(FUZZ_OUT)/fuzz_acpi $(FUZZ_OUT)/fuzz_unpack

$(FUZZ_LIB): $(FUZZ_OUT)/%: tests/fuzz/%.c $(FUZZ_LIB_SRC) $(wildcard lib/*.h) tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $< $(FUZZ_LIB_SRC)

$(FUZZ_OUT)/fuzz_acpi: tests/fuzz/fuzz_acpi.c $(FUZZ_ACPI_SRC) $(wildcard hv/x86/acpi/*.h) tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $< $(FUZZ_ACPI_SRC)

$(FUZZ_OUT)/fuzz_unpack: tests/fuzz/fuzz_unpack.c lib/bzimage.c $(BUILD)/unpack.o tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -no-pie -o $@ $< lib/bzimage.c $(BUILD)/unpack.o

$(FUZZ_OUT)/seeds: tests/fuzz/seeds.py
	python3 $< $@
	@touch $@

# A corpus of its own per fuzzer, kept between runs; findings stay beside it.
.PHONY: fuzz
fuzz: $(FUZZERS) $(FUZZ_OUT)/seeds
	@set -e; for f in $(FUZZERS); do \
		n=$$(basename $$f); mkdir -p $(FUZZ_OUT)/corpus/$$n $(FUZZ_OUT)/seeds/$$n; \
		if $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
			-artifact_prefix=$(FUZZ_OUT)/$$n- $(FUZZ_OUT)/corpus/$$n $(FUZZ_OUT)/seeds/$$n \
			>$(FUZZ_OUT)/$$n.log 2>&1; then echo "ok $$n"; \
		else echo "FAIL $$n: see $(FUZZ_OUT)/$$n.log"; tail -n 20 $(FUZZ_OUT)/$$n.log; exit 1; fi; \
	done
