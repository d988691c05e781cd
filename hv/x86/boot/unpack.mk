# SPDX-License-Identifier: MIT
# Makes $(BUILD)/unpack.o: the shim and what it uses of the distribution's static decompression
# libraries, as one object whose only global symbols are those of unpack.h. Open symbols: memcpy,
# memmove, memset, memcmp.

BUILD ?= build
UNPACK_CC ?= gcc
UNPACK_O := $(BUILD)/unpack.o
UNPACK_LIBS := $(foreach l,lzma zstd lz4 z,$(shell $(UNPACK_CC) -print-file-name=lib$(l).a))
UNPACK_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -ffreestanding -fPIC \
	-fvisibility=hidden -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -U_FORTIFY_SOURCE

$(BUILD)/unpack_shim.o: hv/x86/boot/unpack_shim.c hv/x86/boot/unpack.h lib/bzimage.h \
		hv/x86/boot/unpack.mk
	@mkdir -p $(@D)
	$(UNPACK_CC) $(UNPACK_CFLAGS) -I. -Ihv -c -o $@ $<

$(UNPACK_O): $(BUILD)/unpack_shim.o $(UNPACK_LIBS) hv/x86/boot/unpack.lds hv/x86/boot/unpack.mk
	ld -r -T hv/x86/boot/unpack.lds -o $@.all $(BUILD)/unpack_shim.o \
		--start-group $(UNPACK_LIBS) --end-group
	objcopy --keep-global-symbol=unpack_payload --keep-global-symbol=unpack_work_size \
		$@.all $@
	@rm -f $@.all
