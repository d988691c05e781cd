#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints apt sources (one-line style): the machine's own Debian suites and the backports beside them.

Only entries that name this Debian release's suites are taken, so other repositories that the machine
may use stay out, and the mirror is the one the user chose."""
import glob
import re
import sys


def one_line(path):
    """Yields (options, uri, suites) of `deb` lines."""
    for line in open(path, encoding="utf-8"):
        m = re.match(r"\s*deb\s+(\[[^]]*\]\s+)?(\S+)\s+(.*?)\s*(#.*)?$", line)
        if m:
            yield (m.group(1) or "").strip(), m.group(2), m.group(3).split()[:1]


def deb822(path):
    """Yields (options, uri, suites) of stanzas in deb822 style."""
    for stanza in re.split(r"\n\s*\n", open(path, encoding="utf-8").read()):
        fields, key = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        key = fields.get("signed-by", "")
        options = f"[signed-by={key}]" if key.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            yield options, uri, fields.get("suites", "").split()


def main():
    codename = re.search(r'^VERSION_CODENAME="?([a-z]+)', open("/etc/os-release").read(), re.M).group(1)
    entries = []
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        try:
            entries += one_line(path)
        except FileNotFoundError:
            pass
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        entries += deb822(path)
    lines, main_entry = [], None
    for options, uri, suites in entries:
        for suite in suites:
            if re.fullmatch(codename + r"(-updates|-security|/updates|-backports)?", suite):
                line = f"deb {options} {uri} {suite} main".replace("  ", " ")
                if line not in lines:
                    lines.append(line)
                if suite == codename and main_entry is None:
                    main_entry = (options, uri)
    if main_entry is None:
        sys.exit(f"apt-sources: no apt source of Debian {codename} is configured on this machine")
    options, uri = main_entry
    backports = f"deb {options} {uri} {codename}-backports main".replace("  ", " ")
    if backports not in lines:
        lines.append(backports)
    print("\n".join(lines))


main()
