#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes Domain 0's initramfs images under build/dom0/ from the packages that scripts/fetch unpacked.

  bench.cpio   busybox, /init and the static test programs: what the figures are taken in
  small.cpio   the same, plus the kernel modules that the system tests need
  tools.cpio   the same, plus Debian's xl, xenstored, xentop and their libraries
  guests.cpio  what creates and serves guests: Debian's whole xl toolstack, the backends' modules, and under /guest
               the guest's kernel (Debian's file, and the same repacked as lz4, which unpacks faster), its initramfs
               and a disk image
  guest.cpio   the guest's own initramfs: busybox, frontends' modules, dom0/guest

They are not compressed: unpacking would only add the kernel's decompressor to every boot's time."""
import glob
import gzip
import lzma
import os
import re
import subprocess
import sys

import cpio as newc

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FETCH = os.path.join(TOP, "build/fetch")
OUT = os.path.join(TOP, "build/dom0")
HERE = os.path.join(TOP, "dom0")

# What each name brings in is found from the modules' own `depends`.
MODULES = {
    "bench": ["xen-privcmd", "xenfs", "brd"],
    "small": ["xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "virtio_pci",
              "virtio_blk", "virtio_net", "ahci", "sd_mod", "nvme", "e1000", "ext4", "crc32c_generic",
              "crc32c-intel", "efivarfs"],
}
MODULES["tools"] = MODULES["small"]
MODULES["guests"] = ["xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-blkback", "xen-netback",
                     "loop", "nbd", "bridge", "tun", "virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic"]
MODULES["guest"] = ["xen-blkfront", "xen-netfront", "ext4", "crc32c_generic", "xen_wdt"]

TOOL_DIR = os.readlink(FETCH + "/tools/xen-bin")   # usr/lib/xen-VERSION/bin
TOOLS = ["xl", "xentop", "xenstored", "xen-init-dom0", "xenstore-control"]
TOOL_FILES = ["usr/bin/xenstore-ls", "usr/bin/xenstore-read", "usr/bin/xenstore-write",
              "usr/bin/xenstore-list", "etc/default/xen", "etc/xen/xl.conf"]
# What xl starts itself stands where Debian has it.
GUEST_TOOLS = ["xl", "xenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "xenstore-control", "xentop", "xenctx",
               "lsevtchn", "xen-hvmctx", "libxl-save-helper", "xentrace"]
GUEST_TOOL_FILES = TOOL_FILES + [f"usr/bin/xenstore-{n}" for n in ("rm", "watch", "exists", "chmod")]
GUEST_PROGS = ["bench", "bigfile", "storm", "tcpecho", "kmsg", "xsloop"]
DISK_MIB = 64


def module_order(names, linux="linux"):
    """The modules to load, [(name, content)], in order, so that each comes after what it depends on; of a kernel of scripts/fetch."""
    files = {}
    for path in glob.glob(f"{FETCH}/{linux}/lib/modules/*/kernel/**/*.ko*", recursive=True):
        files[re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_")] = path
    order, done = [], set()
    for path in glob.glob(f"{FETCH}/{linux}/lib/modules/*/modules.builtin"):
        with open(path, encoding="utf-8") as f:
            done |= {os.path.basename(line.strip()).removesuffix(".ko").replace("-", "_") for line in f}
    todo = [n.replace("-", "_") for n in reversed(names)]
    while todo:
        name = todo[-1]
        if name in done:
            todo.pop()
            continue
        if name not in files:
            sys.exit(f"mkinitramfs: Debian's kernel package has no module {name}")
        with (lzma.open if files[name].endswith(".xz") else open)(files[name], "rb") as f:
            content = f.read()
        depends = re.search(rb"\0depends=([^\0]*)\0", content).group(1).decode()
        missing = [d for d in depends.replace("-", "_").split(",") if d and d not in done]
        if missing:
            todo += missing
        else:
            order.append((os.path.basename(files[name]).removesuffix(".xz"), content))
            done.add(name)
            todo.pop()
    return order


def add_libraries(cpio, programs):
    for lib, path in newc.libraries(programs, [FETCH + "/tools"]).items():
        cpio.file("lib/x86_64-linux-gnu/" + lib, path)
    cpio.dir("lib64")
    cpio.link("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    for path in glob.glob(f"{FETCH}/tools/**/terminfo/[lvx]/*", recursive=True):
        if os.path.basename(path) in ("linux", "vt100", "xterm", "xterm-256color"):
            cpio.file("lib/terminfo/" + "/".join(path.split("/")[-2:]), path, 0o644)


def add_tools(cpio, tools, place, files):
    programs = []
    for tool in tools:
        path = f"{FETCH}/tools/{TOOL_DIR}/{tool}"
        cpio.file(f"{place}/{tool}", path)
        programs.append(path)
    for name in files:
        path = f"{FETCH}/tools/{name}"
        if os.path.exists(path):
            cpio.file(name, path)
            if name.startswith("usr/bin"):
                programs.append(path)
    add_libraries(cpio, programs)


def disk_image():
    """An empty ext4 disk, compressed: its zeros would fill Domain 0's memory."""
    path = f"{OUT}/disk.img"
    with open(path, "wb") as f:
        f.truncate(DISK_MIB << 20)
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", path], check=True, env=env)
    with open(path, "rb") as f:
        image = f.read()
    os.unlink(path)
    return gzip.compress(image, 1, mtime=0)


def add_guests(cpio):
    """What Domain 0 makes guests with."""
    sys.path.insert(0, TOP + "/tests/emu")
    import images  # pylint: disable=import-outside-toplevel
    add_tools(cpio, GUEST_TOOLS, TOOL_DIR, GUEST_TOOL_FILES)
    # Not linked, but loaded when a thread is cancelled.
    cpio.file("lib/x86_64-linux-gnu/libgcc_s.so.1", glob.glob(FETCH + "/tools/**/libgcc_s.so.1", recursive=True)[0])
    for tool in GUEST_TOOLS:
        cpio.link(f"usr/sbin/{tool}", f"/{TOOL_DIR}/{tool}")
    for path in sorted(glob.glob(HERE + "/hotplug/*")):
        cpio.file("etc/xen/scripts/" + os.path.basename(path), path, 0o755)
    cpio.file("guest/vmlinuz", images.VMLINUZ, 0o644)
    cpio.file("guest/vmlinuz.lz4", images.repack_kernel("lz4"), 0o644)
    cpio.file("guest/initrd", OUT + "/guest.cpio", 0o644)
    cpio.text("guest/disk.img.gz", disk_image())


def find_busybox(group):
    return glob.glob(f"{FETCH}/{group}/**/bin/busybox", recursive=True)[0]


def base(init, tasks, progs, modules, linux="linux"):
    """busybox, an init with its tasks, our static programs, modules in the order of loading. For a kernel other than `linux` its group
    brings the busybox, too, and there are no programs of ours."""
    cpio = newc.Cpio()
    for name in ["proc", "sys", "dev", "tmp", "run", "etc", "mnt", "var/lib/xenstored", "var/lib/xen",
                 "var/log/xen", "bin", "sbin", "usr/bin", "usr/sbin"]:
        cpio.dir(name)
    cpio.link("var/run", "/run")
    cpio.link("var/lock", "/run/lock")
    cpio.node("dev/console", 5, 1)
    cpio.node("dev/null", 1, 3)
    busybox = find_busybox("busybox")
    cpio.file("bin/busybox", busybox if linux == "linux" else find_busybox(linux), 0o755)
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
    for name in applets.split():
        if name != "busybox":
            cpio.link("bin/" + name, "busybox")
    cpio.file("init", init, 0o755)
    for path in sorted(glob.glob(tasks + "/*")):
        cpio.file("tasks/" + os.path.basename(path), path, 0o755)
    for path in sorted(glob.glob(OUT + "/progs/*")) if linux == "linux" else ():
        if progs is None or os.path.basename(path) in progs:
            cpio.file("progs/" + os.path.basename(path), path, 0o755)
    for i, (name, content) in enumerate(module_order(modules, linux)):
        cpio.text(f"modules/{i:02d}-{name}", content)
    return cpio


def guest(linux="linux"):
    """A guest's initramfs."""
    cpio = base(HERE + "/guest/init", HERE + "/guest/tasks", GUEST_PROGS, MODULES["guest"], linux)
    for name in ("poweroff", "reboot"):
        cpio.file("sbin/" + name, HERE + "/guest/stop", 0o755)
    return cpio


def make(variant):
    if variant == "guest":
        cpio = guest()
    else:
        progs = GUEST_PROGS + ["physfree", "ptyrun", "vncsee", "dmprobe", "logdirty"] if variant == "guests" else None
        cpio = base(HERE + "/init", HERE + "/tasks", progs, MODULES[variant])
    if variant == "tools":
        add_tools(cpio, TOOLS, "usr/sbin", TOOL_FILES)
    if variant == "guests":
        add_guests(cpio)
    cpio.write(f"{OUT}/{variant}.cpio")
    print(f"mkinitramfs: {variant}.cpio, {len(cpio.data) >> 10} KiB")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["bench", "small", "tools", "guest", "guests"]:
        make(wanted)
