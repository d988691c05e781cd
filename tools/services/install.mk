# SPDX-License-Identifier: MIT
# make install, make uninstall [PREFIX=/usr/local] [DESTDIR=]: the programs, services and documents of
# Domain 0, and the hypervisor's image in /boot.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
LIBDIR := $(PREFIX)/lib/orlop
SBINDIR := $(PREFIX)/sbin
UNITDIR := $(PREFIX)/lib/systemd/system
UNITS := orlop-xenstored orlop-consoled orlop-monitor orlop-guests
FILL = sed -e 's|@LIBDIR@|$(LIBDIR)|g; s|@SBINDIR@|$(SBINDIR)|g'

install: tools $(BUILD)/orlop.gz
	install -D -m 755 $(TOOLS_OUT)/orlop $(DESTDIR)$(SBINDIR)/orlop
	install -D -m 755 $(TOOLS_OUT)/xenstored $(DESTDIR)$(LIBDIR)/xenstored
	install -D -m 755 $(TOOLS_OUT)/orlop-consoled $(DESTDIR)$(LIBDIR)/orlop-consoled
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/init.d
	for u in $(UNITS); do \
		$(FILL) tools/services/$$u.service.in > $(DESTDIR)$(UNITDIR)/$$u.service || exit 1; \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$u.service; \
	done
	$(FILL) tools/services/orlop.init.in > $(DESTDIR)$(SYSCONFDIR)/init.d/orlop
	chmod 755 $(DESTDIR)$(SYSCONFDIR)/init.d/orlop
	install -d -m 755 $(DESTDIR)$(SYSCONFDIR)/orlop/auto $(DESTDIR)/var/log/orlop
	install -d -m 700 $(DESTDIR)/var/lib/orlop/dump
	install -D -m 644 $(BUILD)/orlop.gz $(DESTDIR)/boot/orlop.gz
	for m in $(wildcard docs/man/*.[158]); do \
		install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$(basename $$m) || exit 1; \
	done
	$(TOOLS_OUT)/orlop completion bash > /dev/null 2>&1 && \
		install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions && \
		$(TOOLS_OUT)/orlop completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/orlop || :

# Leaves what is the user's: configurations, cores, logs.
uninstall:
	for u in $(UNITS); do rm -f $(DESTDIR)$(UNITDIR)/$$u.service; done
	for m in $(wildcard docs/man/*.[158]); do \
		rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$(basename $$m); \
	done
	rm -f $(DESTDIR)$(SBINDIR)/orlop $(DESTDIR)$(LIBDIR)/xenstored $(DESTDIR)$(LIBDIR)/orlop-consoled \
		$(DESTDIR)$(SYSCONFDIR)/init.d/orlop $(DESTDIR)/boot/orlop.gz \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/orlop
	-rmdir $(DESTDIR)$(LIBDIR)
.PHONY: install uninstall
