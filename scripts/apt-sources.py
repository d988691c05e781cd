#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints apt sources (one-line style) of a Debian release, by default the machine's own and then with its backports.

Only entries that name this machine's Debian suites are taken, so other repositories that it may use stay out, and the
mirror is the one the user chose; another release has the same suites there under its own name."""
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


def suites(entries, own, release):
    """The lines for `release`: the machine's suites of its own release `own`, under the other's name."""
    lines = []
    for options, uri, names in entries:
        for name in names:
            if not re.fullmatch(own + r"(-updates|-security|/updates|-backports)?", name):
                continue
            other = name.replace(own, release).replace("/updates", "-security")
            if release != own and other.endswith("-backports"):
                continue
            line = f"deb {options} {uri} {name if release == own else other} main".replace("  ", " ")
            if line not in lines:
                lines.append(line)
    return lines


def main():
    own = re.search(r'^VERSION_CODENAME="?([a-z]+)', open("/etc/os-release").read(), re.M).group(1)
    release = sys.argv[1] if len(sys.argv) > 1 else own
    entries = []
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        try:
            entries += one_line(path)
        except FileNotFoundError:
            pass
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        entries += deb822(path)
    lines = suites(entries, own, release)
    main_line = next((line for line in lines if line.endswith(f" {release} main")), None)
    if main_line is None:
        sys.exit(f"apt-sources: no apt source of Debian {own} is configured on this machine")
    if release == own:
        backports = main_line.replace(f" {own} main", f" {own}-backports main")
        if backports not in lines:
            lines.append(backports)
    print("\n".join(lines))


main()
