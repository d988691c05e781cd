# SPDX-License-Identifier: MIT
# Domain 0's programs: `make tools` leaves them in build/tools/.

TOOLS_OUT ?= build/tools
TOOLS_CC ?= gcc
TOOLS_CFLAGS ?= -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -pie \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=0x00041100

XENSTORED_SRC := $(wildcard tools/xenstored/*.c)
XENSTORED_HDR := $(wildcard tools/xenstored/*.h)

$(TOOLS_OUT)/xenstored: $(XENSTORED_SRC) $(XENSTORED_HDR) tools/tools.mk
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_CFLAGS) -I. -Itools -o $@ $(XENSTORED_SRC) -lxenevtchn -lxengnttab -lxenforeignmemory -lxencall

tools: $(TOOLS_OUT)/xenstored
.PHONY: tools
