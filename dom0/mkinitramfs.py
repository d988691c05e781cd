#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes Domain 0's initramfs images under build/dom0/ from the packages that scripts/fetch unpacked.

  bench.cpio   busybox, /init and the static test programs: what the figures are taken in
  small.cpio   the same, plus the kernel modules that the system tests need
  tools.cpio   the same, plus Debian's xl, xenstored, xentop and their libraries

The archives are written here (newc format), so neither root nor cpio is needed, and they are not
compressed: unpacking would only add the kernel's decompressor to every boot's time."""
import glob
import os
import re
import stat
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FETCH = os.path.join(TOP, "build/fetch")
OUT = os.path.join(TOP, "build/dom0")
HERE = os.path.join(TOP, "dom0")

# What each name brings in is found from the modules' own `depends`.
MODULES = {
    "bench": ["xen-privcmd", "xenfs", "brd"],
    "small": ["xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "virtio_pci",
              "virtio_blk", "virtio_net", "ahci", "sd_mod", "nvme", "e1000", "ext4", "crc32c_generic",
              "crc32c-intel"],
}
MODULES["tools"] = MODULES["small"]

TOOL_DIR = "usr/lib/xen-4.17/bin"
TOOLS = ["xl", "xentop", "xenstored", "xen-init-dom0", "xenstore-control"]
TOOL_FILES = ["usr/bin/xenstore-ls", "usr/bin/xenstore-read", "usr/bin/xenstore-write",
              "usr/bin/xenstore-list", "etc/default/xen", "etc/xen/xl.conf"]
LIB_DIRS = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]


class Cpio:
    """A newc archive in the making; parent directories come by themselves."""

    def __init__(self):
        self.data = bytearray()
        self.seen = set()
        self.inode = 1

    def _entry(self, name, mode, body=b"", rdev=(0, 0)):
        path = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(body), 0, 0, *rdev, len(path), 0]
        self.inode += 1
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + path
        self._pad()
        self.data += body
        self._pad()

    def _pad(self):
        self.data += b"\0" * (-len(self.data) % 4)

    def dir(self, name):
        if name and name not in self.seen:
            self.dir(os.path.dirname(name))
            self.seen.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, path, mode=None):
        if name in self.seen:
            return
        self.dir(os.path.dirname(name))
        self.seen.add(name)
        with open(path, "rb") as f:
            body = f.read()
        self._entry(name, stat.S_IFREG | (mode or (os.stat(path).st_mode & 0o777)), body)

    def link(self, name, target):
        self.dir(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        self.dir(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        tmp = path + ".tmp"
        with open(tmp, "wb") as f:
            f.write(self.data + b"\0" * (-len(self.data) % 512))
        os.replace(tmp, path)


def module_order(names):
    """The .ko files to load, in order, so that each comes after what it depends on."""
    files = {}
    for path in glob.glob(FETCH + "/linux/lib/modules/*/kernel/**/*.ko*", recursive=True):
        files[re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_")] = path
    order, done = [], set()
    todo = [n.replace("-", "_") for n in reversed(names)]
    while todo:
        name = todo[-1]
        if name in done:
            todo.pop()
            continue
        if name not in files:
            sys.exit(f"mkinitramfs: Debian's kernel package has no module {name}")
        with open(files[name], "rb") as f:
            depends = re.search(rb"\0depends=([^\0]*)\0", f.read()).group(1).decode()
        missing = [d for d in depends.replace("-", "_").split(",") if d and d not in done]
        if missing:
            todo += missing
        else:
            order.append(files[name])
            done.add(name)
            todo.pop()
    return order


def needed(path):
    text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


def add_tools(cpio):
    todo = []
    for tool in TOOLS:
        path = f"{FETCH}/tools/{TOOL_DIR}/{tool}"
        cpio.file(f"usr/sbin/{tool}", path)
        todo.append(path)
    for name in TOOL_FILES:
        path = f"{FETCH}/tools/{name}"
        if os.path.exists(path):
            cpio.file(name, path)
            if name.startswith("usr/bin"):
                todo.append(path)
    have = set()
    while todo:
        for lib in needed(todo.pop()):
            if lib in have:
                continue
            have.add(lib)
            found = [p for d in LIB_DIRS if os.path.exists(p := f"{FETCH}/tools/{d}/{lib}")]
            if not found:
                sys.exit(f"mkinitramfs: no fetched package has {lib}; add it in scripts/fetch")
            cpio.file("lib/x86_64-linux-gnu/" + lib, found[0])
            todo.append(found[0])
    cpio.dir("lib64")
    cpio.link("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    for path in sorted(glob.glob(f"{FETCH}/tools/lib/terminfo/*/*") +
                       glob.glob("/lib/terminfo/[lvx]/[lvx]*")):
        if os.path.basename(path) in ("linux", "vt100", "xterm", "xterm-256color"):
            short = os.path.relpath(path, path.split("/lib/terminfo")[0])
            cpio.file(short, path, 0o644)


def make(variant):
    cpio = Cpio()
    for name in ["proc", "sys", "dev", "tmp", "run", "etc", "mnt", "var/lib/xenstored", "var/lib/xen",
                 "var/log/xen", "bin", "sbin", "usr/bin", "usr/sbin"]:
        cpio.dir(name)
    cpio.link("var/run", "/run")
    cpio.link("var/lock", "/run/lock")
    cpio.node("dev/console", 5, 1)
    cpio.node("dev/null", 1, 3)
    busybox = glob.glob(FETCH + "/busybox/**/bin/busybox", recursive=True)[0]
    cpio.file("bin/busybox", busybox, 0o755)
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
    for name in applets.split():
        if name != "busybox":
            cpio.link("bin/" + name, "busybox")
    cpio.file("init", HERE + "/init", 0o755)
    for path in sorted(glob.glob(HERE + "/tasks/*")):
        cpio.file("tasks/" + os.path.basename(path), path, 0o755)
    for path in sorted(glob.glob(OUT + "/progs/*")):
        cpio.file("progs/" + os.path.basename(path), path, 0o755)
    for i, path in enumerate(module_order(MODULES[variant])):
        cpio.file(f"modules/{i:02d}-{os.path.basename(path)}", path, 0o644)
    if variant == "tools":
        add_tools(cpio)
    cpio.write(f"{OUT}/{variant}.cpio")
    print(f"mkinitramfs: {variant}.cpio, {len(cpio.data) >> 10} KiB")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["bench", "small", "tools"]:
        make(wanted)
